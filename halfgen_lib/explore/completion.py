"""Complete a picture of your own: any picture in, its known half kept, the other half made."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data import Side, halves, join
from ..evaluation import mse_per_image
from ..files import write_atomic
from ..runs import CURRENT, default_runs_dir, find_run
from ..runs.published import published_runs
from .pictures import FORMATS, Picture, to_pose

MAX_SCALE = 64
TICK_GREY = 150


@dataclass(frozen=True, eq=False)
class Completion:
    """A picture and what a model made of its known half.

    Attributes:
        image: float32 (1, 1, 28, 28) in [0, 1], the picture in the data set's pose; its unknown
            half is 0 where only the known one came.
        completed: float32 (n, 1, 28, 28) in [0, 1]; the known half is that of ``image``.
        given: the known side.
        model: the name of the model.
        notes: plain sentences on what was done to the picture.
    """

    image: Tensor
    completed: Tensor
    given: Side
    model: str
    notes: tuple[str, ...]

    def sheet(self, scale: int = 8) -> Image.Image:
        """Return ``image`` and then each completion as one picture, side by side.

        Small ticks in the margin show where a completion's two halves meet.

        Args:
            scale: edge of the square that shows a pixel, 1 to 64.

        Raises:
            ValueError: a scale that is not allowed.
        """
        if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= MAX_SCALE:
            raise ValueError(f"scale is {scale!r}, allowed: 1 to {MAX_SCALE}")
        grey = torch.cat((self.image, self.completed))[:, 0].mul(255).round().to(torch.uint8)
        large = grey.numpy().repeat(scale, axis=1).repeat(scale, axis=2)
        margin = max(2, scale)
        framed = np.pad(large, ((0, 0), (margin, margin), (margin, margin)), constant_values=255)
        ticked = framed[1:] if self.given in ("left", "right") else framed[1:].swapaxes(1, 2)
        seam, half = framed.shape[1] // 2, max(1, scale // 8)
        for place in (slice(margin // 2, margin - 1), slice(1 - margin, -(margin // 2))):
            ticked[:, place, seam - half : seam + half] = TICK_GREY
        return Image.fromarray(np.concatenate(list(framed), axis=1))

    def save(self, path: Path | str, scale: int = 8, *, overwrite: bool = False) -> None:
        """Write :meth:`sheet` to a file, whole or not at all; its ending names the format.

        Raises:
            ValueError: an ending of no known format, or a scale that is not allowed.
            FileExistsError: if the file is there and ``overwrite`` is not set.
            OSError: if it cannot be written.
        """
        path = Path(path)
        kind = Image.registered_extensions().get(path.suffix.lower())
        if kind not in FORMATS:
            raise ValueError(f"{path} must end as a picture does: .png or .jpg, for example")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path.parent} is not a folder")
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} is there already; give another name or remove it first")
        content = io.BytesIO()
        self.sheet(scale).save(content, format=kind)
        write_atomic(path, content.getvalue())


def complete(
    picture: Picture,
    given: Side = "left",
    model: Any = "cae",
    n: int = 1,
    generator: torch.Generator | None = None,
) -> Completion:
    """Complete a picture from its known half.

    Args:
        picture: whatever :func:`pictures.to_pose` takes; of one of 28 × 28 only the known half
            is read, and that half alone is enough.
        given: the known side: "left", "right", "top" or "bottom".
        model: the name of a published network, the id of a finished run ("current": the last one
            chosen), or anything with ``predict(left)`` or ``sample(left, n, generator)``, such as
            a network or a fitted baseline. One that can draw always draws.
        n: completions, 1 or more; more than one needs a model that draws.
        generator: for the draws; by default one that is seeded with 0.

    Raises:
        TypeError, ValueError: an argument that is not allowed, an unknown model, a picture that
            cannot be used.
        RunError: if the model's weights cannot be used.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n is {n!r}, allowed: an integer of 1 or more")
    image, notes = to_pose(picture, given)
    model, name, learned = _resolve(model)
    if learned not in ("", given):
        notes.append(f"turned it for a network that saw only {learned} halves: expect less of it")
    if hasattr(model, "sample"):
        generator = generator or torch.Generator().manual_seed(0)
        completed = sampled(image, given, model, n, generator)
    elif n == 1:
        completed = predicted(image, given, model)
    else:
        raise ValueError(f"n is {n}, but {name} makes one completion and draws none: n must be 1")
    return Completion(image, completed, given, name, tuple(notes))


def predicted(image: Tensor, given: Side, model: Any) -> Tensor:
    """Return images (N, 1, 28, 28) in [0, 1] with what a model predicts from their known half."""
    left, _ = halves(image, given)
    return join(left, model.predict(left), given)


def sampled(image: Tensor, given: Side, model: Any, n: int, generator: torch.Generator) -> Tensor:
    """Return an image (1, 1, 28, 28) in [0, 1] with each of n draws: (n, 1, 28, 28)."""
    left, _ = halves(image.expand(n, -1, -1, -1), given)  # a batch is nearly as fast as one draw
    return join(left, model.sample(left, 1, generator)[0], given)


def mse_of_unknown(completed: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error (N,) of images' unknown halves: the known ones have none."""
    return 2 * mse_per_image(completed, truth)


def _resolve(model: Any) -> tuple[Any, str, str]:
    """Return a model, its name, and the known side that it was trained on, if that is known."""
    if not isinstance(model, str):
        if not (hasattr(model, "predict") or hasattr(model, "sample")):
            raise TypeError(
                f"model is a {type(model).__name__}, which can neither predict nor sample"
            )
        return model, type(model).__name__, ""
    published = published_runs()
    run = published.get(model)
    if not run and (model == CURRENT or (model and (default_runs_dir() / model).is_dir())):
        run = find_run(model)
    if run:
        return run.model(), run.run_id, run.config.given
    names = ", ".join(published) or "nothing is"
    raise ValueError(
        f"model {model!r} is neither published ({names}) nor a run in {default_runs_dir()};"
        " halfgen train makes a run, halfgen publish RUN_ID --as NAME publishes it"
    )
