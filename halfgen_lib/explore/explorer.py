"""What the explorer shows: from a choice to pictures, numbers and words. No widget is here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from ..data import CLASS_NAMES, Images, Side, halves, load, to_unit
from ..models.base import Completer
from ..runs import RunError, find_run
from ..runs.published import published_runs
from .completion import mse_of_unknown, predicted, sampled
from .pictures import Picture, to_pose
from .tiles import awaited_tile, completed_tile, error_tile, given_tile, page, tile

WHAT_TO_RUN = (
    "There is no trained network yet. Run notebook 02_train (or halfgen train) and then this one"
    " again; published networks (halfgen publish RUN_ID --as NAME) are found too."
)
WALK = 9  # pictures on the way from one left half to another

Loader = Callable[[], Completer]
Which = tuple[int, int]  # a test image: its class, and its number there, from 0


class Explorer:
    """Test images, and the trained networks that there are.

    What is shown comes as pages of HTML, each in place of the one before: what is quick comes
    first, with the places of draws, which may take a while.

    Attributes:
        models: what loads each network, by name, and the side that it was trained on; empty where
            nothing was trained or published.
        model: returns a network by its name, loaded at its first use. It raises RunError if that
            fails, and so does all below that takes a name.
    """

    def __init__(self, test: Images, models: Mapping[str, tuple[Loader, str]]):
        self.models = models
        self.model = cache(lambda name: models[name][0]())
        self._images = [test.images[test.labels == label] for label in range(len(CLASS_NAMES))]

    def count(self, label: int) -> int:
        """Return the number of test images of a class."""
        return len(self._images[label])

    def image(self, which: Which) -> Tensor:
        """Return a test image (1, 1, 28, 28) in [0, 1]."""
        label, number = which
        return to_unit(self._images[label][number : number + 1])

    def draws(self, model: str) -> bool:
        """Tell whether a model draws samples."""
        return hasattr(self.model(model), "sample")

    def walkers(self) -> list[str]:
        """Return the models that put a code between an encoder and a decoder."""
        found = []
        for name in self.models:
            with suppress(RunError):  # where it is chosen, it is said
                if hasattr(self.model(name), "encoder") and hasattr(self.model(name), "decoder"):
                    found.append(name)
        return found

    def complete_image(
        self, which: Which, given: Side, model: str, mirrored: bool, **draws: int
    ) -> Iterator[str]:
        """Complete a test image; show the truth and the error, too.

        Args:
            which: the image.
            given: the known side.
            model: a name in ``models``.
            mirrored: whether the image is mirrored left-right first.
            draws: how many a model that draws shows, and their ``seed``.
        """
        images, completed, (plain, turned) = self._both_ways(self.image(which), given, model)
        words = [
            f"MSE of the unknown half: {plain:.4f} as the image is, {turned:.4f} mirrored."
            f" Shown is the image {'mirrored' if mirrored else 'as it is'}."
        ]
        side = self.models[model][1]
        if given != side:
            words.append(f"{model} was trained on {side} halves alone: expect less of it.")
        subject = f"a {'mirrored ' if mirrored else ''}{CLASS_NAMES[which[0]]}"
        pair = images.split(1)[mirrored], completed.split(1)[mirrored]
        return self._pages(*pair, given, model, subject, words, is_truth=True, **draws)

    def complete_picture(
        self, picture: Picture, given: Side, model: str, **draws: int
    ) -> Iterator[str]:
        """Complete a picture that is not in the data set; arguments as above.

        Raises:
            PictureError: if the picture cannot be used.
        """
        image, notes = to_pose(picture, given)
        words = [f"{note[0].upper()}{note[1:]}." for note in notes]
        completed = predicted(image, given, self.model(model))
        return self._pages(image, completed, given, model, "your picture", words, **draws)

    def _pages(
        self,
        image: Tensor,
        completed: Tensor,
        given: Side,
        model: str,
        subject: str,
        words: list[str],
        *,
        draws: int,
        seed: int,
        is_truth: bool = False,
    ) -> Iterator[str]:
        """Yield an image completed, and below it the draws of a model that draws."""
        truth = image if is_truth else None
        show = partial(completed_tile, truth=truth, model=model, subject=subject)
        row = [given_tile(image, given, "given", subject), show(completed, "completed")]
        if is_truth:
            row.append(tile("truth", image[0, 0].numpy(), f"The truth: {subject}"))
            row.append(error_tile(completed, image))
        if not self.draws(model):
            yield page([row], words)
            return
        titles = [f"draw {i}" for i in range(1, draws + 1)]
        yield page([row, map(awaited_tile, titles)], words)
        generator = torch.Generator().manual_seed(seed)
        drawn = sampled(image, given, self.model(model), draws, generator)
        yield page([row, map(show, drawn.split(1), titles)], words)

    def walk(self, first: Which, second: Which, model: str, percent: int) -> Iterator[str]:
        """Walk in a straight line between the codes of two left halves.

        Args:
            first, second: the images.
            model: one of :meth:`walkers`.
            percent: place of the large picture on the way, 0 (the first) to 100 (the second).
        """
        side: Any = self.models[model][1]
        images = [self.image(first), self.image(second)]
        start, end = (
            given_tile(image, side, CLASS_NAMES[label], f"a {CLASS_NAMES[label]}")
            for image, (label, _) in zip(images, (first, second), strict=True)
        )
        places = torch.cat((torch.tensor([percent / 100]), torch.linspace(0, 1, WALK)))
        titles = [f"generated at {percent}%", *(f"{place:.0%}" for place in places[1:].tolist())]
        left, _ = halves(torch.cat(images), side)
        walked = walk(self.model(model), left, places)
        here, *strip = (
            tile(title, half.numpy(), f"The half generated on the way: {title}")
            for title, half in zip(titles, walked[:, 0], strict=True)
        )
        yield page([[start, here, end], strip], [_cross_fade_words(walked[1:])])

    def mirroring(self, count: int, given: Side) -> list[tuple[str, float, float]]:
        """Return what mirroring costs the first model, for the given side.

        Returns:
            A class's name, the mean squared error of its first ``count`` test images as they are,
            and mirrored; nothing where there is no model.
        """
        rows = []
        for model in list(self.models)[:1]:
            for name, images in zip(CLASS_NAMES, self._images, strict=True):
                _, _, errors = self._both_ways(to_unit(images[:count]), given, model)
                rows.append((name, *errors))
        return rows

    def _both_ways(
        self, images: Tensor, given: Side, model: str
    ) -> tuple[Tensor, Tensor, list[float]]:
        """Complete images (N, 1, 28, 28) as they are and mirrored.

        Returns:
            images, completed: (2 N, 1, 28, 28), first as they are and then mirrored.
            errors: the mean squared error of the unknown half, as they are and mirrored.
        """
        both = torch.cat((images, images.flip(-1)))
        completed = predicted(both, given, self.model(model))
        return both, completed, mse_of_unknown(completed, both).view(2, -1).mean(1).tolist()


@torch.inference_mode()
def walk(model: Any, left: Tensor, places: Tensor) -> Tensor:
    """Return the right halves (P, 1, 28, 14) on the line between two left halves' codes.

    decoder((1 - t) encoder(a) + t encoder(b)) for each place t.

    Args:
        model: a network in evaluation mode, with an encoder and a decoder.
        left: (2, 1, 28, 14) in [0, 1].
        places: (P,) in [0, 1].
    """
    first, second = model.encoder(left).split(1)
    return model.decoder(torch.lerp(first, second, places[:, None]))


def _cross_fade_words(walked: Tensor) -> str:
    """Say how far the middle of a walk is from the mean of its ends."""
    first, middle, last = walked[0], walked[len(walked) // 2], walked[-1]
    return (
        "Half-way, the walk differs from a cross-fade of its ends by an MSE of"
        f" {mse_loss(middle, (first + last) / 2):.4f}; the ends differ by"
        f" {mse_loss(first, last):.4f}."
    )


def find_models() -> dict[str, tuple[Loader, str]]:
    """Return what is published, and the run that was last trained here unless it is published.

    Raises:
        RunError: if the settings of a published network are damaged.
    """
    runs = published_runs()
    with suppress(RunError):  # where nothing was trained
        last = find_run()
        if last.run_id not in {run.config.run_id for run in runs.values()}:
            runs[last.run_id] = last
    return {name: (run.model, run.config.given) for name, run in runs.items()}


def open_explorer(data: str) -> Explorer:
    """Return an explorer of the test images of ``"full"`` or ``"sample"``, with all models found.

    Raises:
        DataError: if the images cannot be had.
        RunError: if what is published is damaged.
    """
    return Explorer(load(data).test, find_models())
