"""What the explorer shows: from a choice to pictures, numbers and words. No widget is here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import CLASS_NAMES, Images, Side, halves, join, load, to_unit
from ..evaluation import mse_per_image
from ..models.base import Completer
from ..runs import RunError, find_run
from ..runs.published import published_runs
from .completion import right_halves
from .pictures import PictureError, to_pose
from .tiles import Tile, View, awaited, error_tile, given_tile

WHAT_TO_RUN = (
    "There is no trained network yet. Run notebook 02_train (or halfgen train) and then this one"
    " again; published networks (halfgen publish RUN_ID --as NAME) are found too."
)
WALK = 9  # pictures on the way from one left half to another
MOST_DRAWS = 8

Loader = Callable[[], Completer]


@dataclass(frozen=True)
class Choice:
    """What to look at.

    Attributes:
        label: the class's number.
        number: of the image among the test images of its class, from 0.
        model: a name in :attr:`Explorer.models`.
        given: the known side.
        mirrored: whether the image is mirrored left-right first.
        draws: how many to show of a model that draws, 1 to ``MOST_DRAWS``.
        seed: of the draws.
    """

    label: int
    number: int
    model: str
    given: Side = "left"
    mirrored: bool = False
    draws: int = 4
    seed: int = 0


class Explorer:
    """Test images, and the trained networks that there are.

    Attributes:
        models: what loads each network, by name, and the side that it was trained on; empty where
            nothing was trained or published. A network is loaded when it is first used.
    """

    def __init__(self, test: Images, models: Mapping[str, tuple[Loader, str]]):
        self.test, self.models = test, models
        labels = test.labels.numpy()
        self._positions = [np.flatnonzero(labels == label) for label in range(len(CLASS_NAMES))]
        self._loaded: dict[str, Completer] = {}
        # draws, seed and mirroring change while the completion stays
        self._both_completed = lru_cache(maxsize=16)(self._complete_both)

    def count(self, label: int) -> int:
        """Return the number of test images of a class."""
        return len(self._positions[label])

    def image(self, label: int, number: int) -> Tensor:
        """Return a test image (1, 1, 28, 28) in [0, 1], by its class and its number there."""
        position = int(self._positions[label][number])
        return to_unit(self.test.images[position : position + 1])

    def model(self, name: str) -> Completer:
        """Return a network, loaded at its first use.

        Raises:
            RunError: if it cannot be loaded.
        """
        if name not in self._loaded:
            self._loaded[name] = self.models[name][0]()
        return self._loaded[name]

    def draws(self, name: str) -> bool:
        """Tell whether a model draws samples."""
        return hasattr(self.model(name), "sample")

    def view(self, choice: Choice) -> View:
        """Complete a test image: given, completed, truth and error; below them draws, if any.

        The draws, which may take a while, are in the whole of the view.

        Raises:
            RunError: if the model cannot be loaded.
        """
        chosen = (choice.label, choice.number, choice.model, choice.given)
        left, right, completed = self._both_completed(*chosen)
        errors = mse_per_image(completed, right).tolist()
        shown = slice(1, 2) if choice.mirrored else slice(0, 1)
        left, right, completed = left[shown], right[shown], completed[shown]
        truth, whole = (join(left, half, choice.given)[0, 0] for half in (right, completed))
        name = f"{'mirrored ' if choice.mirrored else ''}{CLASS_NAMES[choice.label]}"
        mse = errors[choice.mirrored]
        given_alt = f"The {choice.given} half of a {name}; the other half is covered"
        completed_alt = f"The same {name}, completed by {choice.model}: MSE {mse:.4f}"
        first = (
            given_tile(truth, choice.given, "given", given_alt),
            Tile(f"completed, MSE {mse:.4f}", whole.numpy(), completed_alt),
            Tile("truth", truth.numpy(), f"The whole {name}"),
            error_tile(whole, truth),
        )
        words = self._words(choice, *errors)
        if not self.draws(choice.model):
            return View([first], words)
        later = [awaited(f"draw {i}") for i in range(1, choice.draws + 1)]
        return View(
            [first, later], words, lambda: View([first, self._drawn(choice, left, right)], words)
        )

    def _complete_both(self, label: int, number: int, model: str, given: Side) -> list[Tensor]:
        """Return left, right and completed halves (2, 1, 28, 14): the image's, its mirror image's.

        Both at once, so that what mirroring costs is always known.
        """
        image = self.image(label, number)
        left, right = halves(torch.cat((image, image.flip(-1))), given)
        return [left, right, self.model(model).predict(left)]

    def _drawn(self, choice: Choice, left: Tensor, right: Tensor) -> list[Tile]:
        generator = torch.Generator().manual_seed(choice.seed)
        drawn = right_halves(self.model(choice.model), left, choice.draws, generator)
        errors = mse_per_image(drawn, right.expand_as(drawn)).tolist()
        images = join(left.expand_as(drawn), drawn, choice.given)[:, 0].numpy()
        return [
            Tile(f"draw {i}, MSE {mse:.4f}", pixels, f"Draw {i} of {choice.model}: MSE {mse:.4f}")
            for i, (pixels, mse) in enumerate(zip(images, errors, strict=True), 1)
        ]

    def _words(self, choice: Choice, plain: float, mirrored: float) -> list[str]:
        words = [
            f"MSE of the unknown half: {plain:.4f} as the image is, {mirrored:.4f} mirrored."
            f" Shown is the image {'mirrored' if choice.mirrored else 'as it is'}."
        ]
        side = self.models[choice.model][1]
        if choice.given != side:
            words.append(f"{choice.model} was trained on {side} halves alone: expect less of it.")
        return words

    def walkers(self) -> list[str]:
        """Return the models that put a code between an encoder and a decoder."""
        found = []
        for name in self.models:
            with suppress(RunError):  # where it is chosen, it is said
                model = self.model(name)
                if hasattr(model, "encoder") and hasattr(model, "decoder"):
                    found.append(name)
        return found

    def walk(
        self, first: tuple[int, int], second: tuple[int, int], name: str, place: float
    ) -> View:
        """Walk in a straight line between the codes of two left halves.

        Args:
            first, second: the images' classes and their numbers there.
            name: one of :meth:`walkers`.
            place: of the large picture on the way, 0 (the first) to 1 (the second).

        Raises:
            RunError: if the model cannot be loaded.
        """
        side: Any = self.models[name][1]
        images = torch.cat([self.image(*first), self.image(*second)])
        left, _ = halves(images, side)
        places = torch.cat((torch.tensor([place]), torch.linspace(0, 1, WALK)))
        generated = walk(self.model(name), left, places)
        ends = [
            given_tile(
                image, side, CLASS_NAMES[label], f"The {side} half of a {CLASS_NAMES[label]}"
            )
            for image, (label, _) in zip(images[:, 0], (first, second), strict=True)
        ]
        here = _half(generated[0], f"generated at {place:.0%}")
        strip = [
            _half(half, f"{at:.0%}")
            for at, half in zip(places[1:].tolist(), generated[1:], strict=True)
        ]
        return View([[ends[0], here, ends[1]], strip], [_cross_fade_words(generated[1:])])

    def complete(self, picture: Any, given: Side, name: str, draws: int, seed: int) -> View:
        """Complete a picture that is not in the data set, as :func:`completion.complete` does.

        The draws, which may take a while, are in the whole of the view.

        Raises:
            PictureError: if the picture cannot be used.
            RunError: if the model cannot be loaded.
        """
        image, notes = to_pose(picture, given)
        words = [f"{note[0].upper()}{note[1:]}." for note in notes]
        alt = f"The {given} half of your picture; the other half is covered"
        first = given_tile(image[0, 0], given, "given", alt)
        titles = [f"draw {i}" for i in range(1, draws + 1)] if self.draws(name) else ["completed"]

        def completed() -> View:
            generator = torch.Generator().manual_seed(seed)
            left, _ = halves(image, given)
            right = right_halves(self.model(name), left, draws, generator)
            tiles = [
                Tile(title, pixels.numpy(), f"Your picture, {title} by {name}")
                for title, pixels in zip(
                    titles, join(left.expand_as(right), right, given)[:, 0], strict=True
                )
            ]
            return View([[first, *tiles]], words)

        if not self.draws(name):
            return completed()
        return View([[first, *map(awaited, titles)]], words, completed)

    def complete_file(
        self, title: str, content: bytes, given: Side, name: str, draws: int, seed: int
    ) -> View:
        """Complete a picture from the content of a file called ``title``; see :meth:`complete`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            path.write_bytes(content)
            try:
                return self.complete(path, given, name, draws, seed)
            except PictureError as error:
                raise PictureError(str(error).replace(str(path), title)) from None


def _half(half: Tensor, title: str) -> Tile:
    return Tile(title, half[0].numpy(), f"The half generated on the way: {title}")


def _cross_fade_words(walked: Tensor) -> str:
    """Say how far the middle of a walk is from the mean of its ends."""
    first, middle, last = walked[0], walked[len(walked) // 2], walked[-1]
    apart = (middle - (first + last) / 2).square().mean().item()
    ends_apart = (first - last).square().mean().item()
    return (
        f"Half-way, the walk differs from a cross-fade of its ends by an MSE of {apart:.4f};"
        f" the ends differ by {ends_apart:.4f}."
    )


def mirroring(explorer: Explorer, count: int, given: Side) -> list[tuple[str, float, float]]:
    """Return what mirroring costs the first model, on the first test images of each class.

    Args:
        explorer: the images and models.
        count: images of each class, at most.
        given: the known side.

    Returns:
        A class's name, its mean squared error as the images are, and mirrored; nothing where
        there is no model.
    """
    rows = []
    for name in list(explorer.models)[:1]:
        for label, title in enumerate(CLASS_NAMES):
            numbers = range(min(count, explorer.count(label)))
            images = torch.cat([explorer.image(label, number) for number in numbers])
            errors = [
                mse_per_image(explorer.model(name).predict(left), right).mean().item()
                for left, right in (halves(view, given) for view in (images, images.flip(-1)))
            ]
            rows.append((title, *errors))
    return rows


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
        RunError: if the settings of a published network are damaged.
    """
    return Explorer(load(data).test, find_models())
