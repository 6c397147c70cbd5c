"""What the explorer shows: from a choice to pictures, numbers and words in HTML without script."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from html import escape

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import mse_loss

from ..data import CLASS_NAMES, IMAGE_SIZE, Images, Side, halves, join, to_unit
from ..evaluation import mse_per_image
from ..models.base import Completer
from ..runs import Run, RunError, find_run
from ..runs.published import published_runs
from .completion import fill
from .pictures import Picture, to_pose

WHAT_TO_RUN = (
    "There is no trained network yet. Run notebook 02_train (or halfgen train) and then this one"
    " again; published networks (halfgen publish RUN_ID --as NAME) are found too."
)
WALK = 9  # pictures on the way from one left half to another
SCALE = 5  # edge of the square that shows a pixel
AWAITED = "Not drawn yet"
UNKNOWN = np.array([0.72, 0.78, 0.86])  # no grey: nobody takes it for a part of the picture
OVER, UNDER = np.array([0.84, 0.37, 0.0]), np.array([0.0, 0.45, 0.70])  # of Okabe and Ito's palette

Which = tuple[int, int]  # a test image: its class, and its number there, from 0


class Explorer:
    """Test images, a tensor of each class, and runs by the names of their networks, maybe none.

    What is shown comes as pages of HTML, each in place of the one before: what is quick comes
    first, with the places of draws. ``model`` returns a network by its name, loaded at its first
    use; if that fails, it and all that takes a name raise RunError.
    """

    def __init__(self, test: Images, runs: Mapping[str, Run]):
        self.runs = runs
        self.model = cache(lambda name: runs[name].model())
        self.images = [test.images[test.labels == label] for label in range(len(CLASS_NAMES))]

    def image(self, which: Which) -> Tensor:
        """Return a test image (1, 1, 28, 28) in [0, 1]."""
        return to_unit(self.images[which[0]][which[1]])[None]

    def draws(self, model: str) -> bool:
        """Tell whether a model draws samples."""
        return hasattr(self.model(model), "sample")

    def walkers(self) -> list[str]:
        """Return the models that put a code between an encoder and a decoder."""
        found = []
        for name in self.runs:
            with suppress(RunError):  # where it is chosen, it is said
                if hasattr(self.model(name), "encoder"):
                    found.append(name)
        return found

    def complete_image(
        self, which: Which, given: Side, model: str, mirrored: bool, **draws: int
    ) -> Iterator[str]:
        """Complete a test image, mirrored or not, with its errors, and draws by their ``seed``."""
        image, name = self.image(which), f"a {CLASS_NAMES[which[0]]}"
        plain, turned = self._errors(image, given, model)
        words = [
            f"MSE of the unknown half: {plain:.4f} as the image is, {turned:.4f} mirrored."
            f" Shown is the image {'mirrored' if mirrored else 'as it is'}."
        ]
        if given != (side := self.runs[model].config.given):
            words.append(f"{model} was trained on {side} halves alone: expect less of it.")
        if mirrored:
            image, name = image.flip(-1), f"a mirrored {CLASS_NAMES[which[0]]}"
        return (page(each, words) for each in self._rows(image, given, model, name, True, **draws))

    def complete_picture(
        self, picture: Picture, given: Side, model: str, **draws: int
    ) -> Iterator[str]:
        """Complete any picture, as above; raises PictureError if it cannot be used."""
        image, notes = to_pose(picture, given)
        words = [f"{note[0].upper()}{note[1:]}." for note in notes]
        rows = self._rows(image, given, model, "your picture", False, **draws)
        return (page(each, words) for each in rows)

    def _rows(
        self, image: Tensor, given: Side, model: str, name: str, truth: bool, draws: int, seed: int
    ) -> Iterator[list[Iterable[str]]]:
        """Yield rows of tiles: an image completed, with errors if it is the truth, and draws."""

        def show(completed: Tensor, title: str) -> str:
            if truth:
                title += f", MSE {2 * mse_loss(completed, image):.4f}"  # of the unknown half
            return tile(title, completed[0, 0].numpy(), f"Made by {model}: {title}, of {name}")

        completed = fill(image, given, self.model(model))
        row = [given_tile(image, given, "given", name), show(completed, "completed")]
        if truth:
            row.append(tile("truth", image[0, 0].numpy(), f"The truth: {name}"))
            row.append(error_tile(completed, image))
        if not self.draws(model):
            yield [row]
            return
        titles = [f"draw {i}" for i in range(1, draws + 1)]
        place = np.broadcast_to(UNKNOWN, (IMAGE_SIZE, IMAGE_SIZE, 3))
        yield [row, [tile(title, place, AWAITED) for title in titles]]
        images, generator = image.expand(draws, -1, -1, -1), torch.Generator().manual_seed(seed)
        drawn = fill(images, given, self.model(model), generator).split(1)
        yield [row, map(show, drawn, titles)]

    def walk(self, first: Which, second: Which, model: str, percent: int) -> Iterator[str]:
        """Walk between two left halves' codes; the large picture is ``percent`` of the way."""
        side = self.runs[model].config.given
        images = [self.image(which) for which in (first, second)]
        names = [CLASS_NAMES[label] for label, _ in (first, second)]
        start, end = (given_tile(i, side, n, f"a {n}") for i, n in zip(images, names, strict=True))
        places = torch.cat((torch.tensor([percent / 100]), torch.linspace(0, 1, WALK)))
        titles = [f"generated at {percent}%", *(f"{place:.0%}" for place in places[1:].tolist())]
        walked = walk(self.model(model), halves(torch.cat(images), side)[0], places)[:, 0]
        here, *strip = (
            tile(title, half.numpy(), f"The half generated on the way: {title}")
            for title, half in zip(titles, walked, strict=True)
        )
        ends, middle = walked[[1, -1]], walked[1 + WALK // 2]
        words = "Half-way, the walk differs from a cross-fade of its ends by an MSE of"
        words += f" {mse_loss(middle, ends.mean(0)):.4f}; the ends differ by {mse_loss(*ends):.4f}."
        yield page([[start, here, end], strip], [words])

    def mirroring(self, count: int, given: Side) -> list[tuple[str, float, float]]:
        """Return each class's name, and the first model's MSE as the images are and mirrored."""
        return [
            (name, *self._errors(to_unit(images[:count]), given, model))
            for model in list(self.runs)[:1]
            for name, images in zip(CLASS_NAMES, self.images, strict=True)
        ]

    def _errors(self, images: Tensor, given: Side, model: str) -> list[float]:
        """Return the mean squared error of the unknown halves, as they are and mirrored."""
        both = torch.cat((images, images.flip(-1)))
        errors = mse_per_image(fill(both, given, self.model(model)), both)
        return (2 * errors.view(2, -1).mean(1)).tolist()  # the known halves have none


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


def given_tile(image: Tensor, given: Side, title: str, subject: str) -> str:
    """Show an image (1, 1, 28, 28) whose unknown half is covered with a colour."""
    left, right = halves(image[0, 0], given)
    pixels = join(left, torch.full_like(right, torch.nan), given)[..., None].numpy()
    colours = np.where(np.isnan(pixels), UNKNOWN, pixels)
    return tile(title, colours, f"The {given} half of {subject}; the other half is covered")


def error_tile(completed: Tensor, truth: Tensor) -> str:
    """Show how much too bright (orange) or too dark (blue) each pixel is; 0.5 is full colour."""
    error = (completed - truth)[0, 0].numpy()
    strength = np.clip(np.abs(error) * 2, 0, 1)[..., None]
    colours = 1 - strength * (1 - np.where(error[..., None] > 0, OVER, UNDER))
    lean = "too bright" if error.mean() > 0 else "too dark"
    row, column = np.unravel_index(np.abs(error).argmax(), error.shape)
    alt = f"worst in row {row + 1} of {IMAGE_SIZE}, column {column + 1}"
    return tile("error", colours, f"Map of the error: on the whole {lean}, {alt}")
