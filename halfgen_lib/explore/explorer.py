"""What the explorer shows: from a choice to pictures, numbers and words in HTML without script."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from html import escape

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import mse_loss

from ..data import CLASS_NAMES, IMAGE_SIZE, Images, Side, halves, join, to_unit
from ..evaluation import first_of_each_class, halves_mse
from ..models.base import Completer
from ..runs import Run, RunError, find_run
from ..runs.published import published_runs
from ..variants import NAMES, VARIANTS
from .completion import fill

WHAT_TO_RUN = (
    "There is no trained network yet. Run notebook 02_train (or halfgen train) and then this one"
    " again; published networks (halfgen publish RUN_ID --as NAME) are found too."
)
WALK = 9  # pictures on the way from one left half to another
SCALE = 5  # edge of the square that shows a pixel
AWAITED = "Not drawn yet"
UNKNOWN = np.array([0.72, 0.78, 0.86])  # no grey: nobody takes it for a part of the picture
STRIP = 20  # test images to pick from
ORDERS = ("in order", "at random", "best", "median", "worst")

Made = tuple[str, str, Tensor | None]  # whose, what more there is to say, (1, 1, 28, 28) or awaited


def called(name: str, run: Run) -> str:
    """Return what readers call a run's network; one of one's own has its run's id besides."""
    variant = run.config.variant  # "default" of another network, too
    is_its = VARIANTS.get(variant, {}).get("model", "cae") == run.config.model
    title = NAMES.get(variant, name) if is_its else name
    return f"{title}, {name}" if title != name == run.config.run_id else title


class Explorer:
    """Test images, and runs by the names of their networks, maybe none.

    What is quick comes first, with the places of what is not. ``model`` returns a network by its
    name, loaded at its first use; if that fails, it and all that takes a name raise RunError.
    """

    def __init__(self, test: Images, runs: Mapping[str, Run]):
        self.runs, self.test = runs, test
        self.model = cache(lambda name: runs[name].model())

    def title(self, position: int) -> str:
        """Return what a test image is called: its class, its number in the test file."""
        return f"{CLASS_NAMES[self.test.labels[position]]}, test image {position}"

    def draws(self, model: str) -> bool:
        """Tell whether a model draws samples."""
        return hasattr(self.model(model), "sample")

    def strip(self, order: str, label: int, model: str, given: Side) -> Tensor:
        """Return the positions of up to 20 test images, in one of ``ORDERS``.

        They are of the class ``label``, or of all for -1: in order, two of each. Best, median and
        worst go by the model's error.
        """
        labels, count = self.test.labels, len(self.test)
        if label < 0 and order == "in order":
            return torch.from_numpy(first_of_each_class(labels.numpy(), 2).flatten())
        own = torch.arange(count) if label < 0 else (labels == label).nonzero()[:, 0]
        if order == "at random":
            return own[torch.randperm(len(own))[:STRIP]]
        if order != "in order":
            own = own[torch.from_numpy(self._errors_of(own, model, given)).argsort()]
        if order == "median":
            own = own[(torch.arange(len(own)) - len(own) // 2).abs().argsort(stable=True)]
        return (own.flip(0) if order == "worst" else own)[:STRIP]

    def _errors_of(self, own: Tensor, model: str, given: Side) -> np.ndarray:
        """Return a network's errors of the test images ``own``, as the run has them or computed."""
        run = self.runs[model]
        with suppress(RunError):  # a published map comes without them
            if run.config.given == given and len(scores := run.scores["mse"]) == len(self.test):
                return scores[own.numpy()]
        return halves_mse(self.model(model).predict, self.test.select(own), given)

    def walkers(self) -> list[str]:
        """Return the models that put a code between an encoder and a decoder."""
        found = []
        for name in self.runs:
            with suppress(RunError):  # where it is chosen, it is said
                if hasattr(self.model(name), "encoder"):
                    found.append(name)
        return found

    def completions(
        self, image: Tensor, given: Side, models: Sequence[str], draws: int = 0, seed: int = 0
    ) -> Iterator[list[Made]]:
        """Yield completions of an image (1, 1, 28, 28): those of models that draw come later.

        With ``draws`` a single one that draws draws so many besides, by the ``seed``.
        """
        made: list[Made] = [(called(name, self.runs[name]), "", None) for name in models]
        draws *= len(models) == 1 and self.draws(models[0])
        made += [(f"draw {i}", "", None) for i in range(1, draws + 1)]
        for slow in (False, True):
            for i, name in enumerate(models):
                if self.draws(name) == slow:
                    words = f"mean of {self.model(name).mean_of} draws" if slow else ""
                    made[i] = made[i][0], words, fill(image, given, self.model(name))
            if not slow or any(map(self.draws, models)):
                yield list(made)
        if draws:
            images, generator = image.expand(draws, -1, -1, -1), torch.Generator().manual_seed(seed)
            drawn = fill(images, given, self.model(models[0]), generator).split(1)
            titles = (title for title, *_ in made[1:])
            yield made[:1] + [(title, "", each) for title, each in zip(titles, drawn, strict=True)]

    def expect_less(self, models: Iterable[str], given: Side) -> list[str]:
        """Return a sentence for each network that was trained on other halves than the given."""
        sides = {name: self.runs[name].config.given for name in models}
        return [
            f"{called(name, self.runs[name])} was trained on {side} halves alone: expect less."
            for name, side in sides.items()
            if side != given
        ]

    def walk(self, first: int, second: int, model: str, percent: int) -> Iterator[str]:
        """Walk between two test images' codes; the large picture is ``percent`` of the way."""
        side, few = self.runs[model].config.given, [first, second]
        images = to_unit(self.test.images[few])
        start, end = (
            given_tile(image[None], side, "given", self.title(position))
            for image, position in zip(images, few, strict=True)
        )
        places = torch.cat((torch.tensor([percent / 100]), torch.linspace(0, 1, WALK)))
        titles = [f"generated at {percent}%", *(f"{place:.0%}" for place in places[1:].tolist())]
        walked = walk(self.model(model), halves(images, side)[0], places)[:, 0]
        here, *strip = (
            tile(title, half.numpy(), f"The half generated on the way: {title}")
            for title, half in zip(titles, walked, strict=True)
        )
        ends, middle = walked[[1, -1]], walked[1 + WALK // 2]
        words = "Half-way, the walk differs from a cross-fade of its ends by an MSE of"
        words += f" {mse_loss(middle, ends.mean(0)):.4f}; the ends differ by {mse_loss(*ends):.4f}."
        yield page([[start, here, end], strip], [words])


@torch.inference_mode()
def walk(model: Completer, left: Tensor, places: Tensor) -> Tensor:
    """Generate right halves (P, 1, 28, 14) on the straight line between two codes.

    They are those of two left halves (2, 1, 28, 14); the places (P,) on the way lie in [0, 1].
    """
    first, second = model.encoder(left).split(1)
    return model.decoder(torch.lerp(first, second, places[:, None]))


def find_runs() -> dict[str, Run]:
    """Return what is published, by name, and the run last trained here unless it is published."""
    runs = published_runs()
    with suppress(RunError):  # where nothing was trained
        last = find_run()
        if last.run_id not in {run.config.run_id for run in runs.values()}:
            runs[last.run_id] = last
    return runs


def page(rows: Iterable[Iterable[str]], words: Iterable[str]) -> str:
    """Return rows of tiles, and sentences under them."""
    style = "display:flex;flex-wrap:wrap;gap:4px"
    lines = [f'<div style="{style}">{"".join(row)}</div>' for row in rows]
    return "".join(lines + [f'<p style="margin:2px 0">{escape(each)}</p>' for each in words])


def tile(title: str, pixels: np.ndarray, alt: str) -> str:
    """Return pixels (H, W) or (H, W, 3) in [0, 1] over a title; ``alt`` says what they show."""
    dots = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    large, content = ImageOps.scale(dots, SCALE, Image.Resampling.NEAREST), io.BytesIO()
    large.save(content, format="PNG", compress_level=1)
    source = base64.b64encode(content.getvalue()).decode()
    return (
        f'<figure style="margin:0 0 8px;width:{max(large.width, 70) + 12}px">'
        f'<img alt="{escape(alt)}" width="{large.width}" height="{large.height}"'
        f' style="outline:1px solid #888" src="data:image/png;base64,{source}">'
        f'<figcaption style="line-height:1.3">{escape(title)}</figcaption></figure>'
    )


def tiles(image: Tensor, made: Iterable[Made], given: Side, subject: str) -> list[str]:
    """Show what is given of an image, and its completions, or where they will stand."""
    place = np.broadcast_to(UNKNOWN, (IMAGE_SIZE, IMAGE_SIZE, 3))
    return [given_tile(image, given, "given", subject)] + [
        tile(name, place, AWAITED)
        if half is None
        else tile(name, half[0, 0].numpy(), f"Made by {name}, of {subject}")
        for name, _, half in made
    ]


def given_tile(image: Tensor, given: Side, title: str, subject: str) -> str:
    """Show an image (1, 1, 28, 28) whose unknown half is covered with a colour."""
    left, right = halves(image[0, 0], given)
    pixels = join(left, torch.full_like(right, torch.nan), given)[..., None].numpy()
    colours = np.where(np.isnan(pixels), UNKNOWN, pixels)
    return tile(title, colours, f"The {given} half of {subject}; the other half is covered")
