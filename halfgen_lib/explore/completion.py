"""Complete a picture of your own: any picture in, its known half kept, the other half made."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Generator, Tensor

from ..data import Side, halves, join
from ..files import write_atomic
from ..runs import Run, RunError
from ..runs.published import published_runs, shown_run
from .pictures import FORMATS, Picture, to_pose

TICK_GREY = 150
NAMED = 4  # the least scale at which names are legible


@dataclass(frozen=True, eq=False)
class Completion:
    """Hold a picture in the data set's pose, and what a model made of its known half."""

    image: Tensor  # float32 (1, 1, 28, 28) in [0, 1]; 0 where only the known half came
    completed: Tensor  # float32 (n, 1, 28, 28) in [0, 1]; the known half is that of the image
    given: Side
    model: str  # its name
    notes: tuple[str, ...]  # plain sentences on what was done to the picture

    def sheet(self, scale: int = 8) -> Image.Image:
        """Return ``image`` and then each completion, side by side, each pixel a square.

        Its edge is ``scale``, 1 to 64, or else ValueError is raised. Ticks show where halves meet,
        and from ``NAMED`` on a name stands under each.
        """
        if type(scale) is not int or not 1 <= scale <= 64:  # True is no scale
            raise ValueError(f"scale is {scale!r}, allowed: 1 to 64")
        images = torch.cat((self.image, self.completed))[:, 0].mul(255).round().byte().numpy()
        large = images.repeat(scale, axis=1).repeat(scale, axis=2)
        margin, line = max(2, scale), 4 * scale * (scale >= NAMED)  # of names, its height
        framed = np.pad(large, ((0, 0), (margin, margin), (margin, margin)), constant_values=255)
        ticked = framed[1:] if self.given in ("left", "right") else framed[1:].swapaxes(1, 2)
        edge, half = framed.shape[1], max(1, scale // 8)
        for place in (slice(margin // 2, margin - 1), slice(1 - margin, -(margin // 2))):
            ticked[:, place, edge // 2 - half : edge // 2 + half] = TICK_GREY
        sheet = ImageOps.expand(Image.fromarray(np.hstack(framed)), (0, 0, 0, line), fill=255)
        draws = [f"draw {i}" for i in range(1, len(images))] if len(images) > 2 else ["completed"]
        for i, name in enumerate(["picture", *draws] if line else ()):
            place, font = ((i + 0.5) * edge, edge), ImageFont.load_default(0.6 * line)
            ImageDraw.Draw(sheet).text(place, name, fill=0, font=font, anchor="ma")
        return sheet

    def save(self, path: Path | str, scale: int = 8, *, overwrite: bool = False) -> None:
        """Write :meth:`sheet` to a file, whole or not at all; its ending names the format.

        Raises ValueError for an ending of no known format, and FileExistsError if the file is there
        and ``overwrite`` is not set.
        """
        path = Path(path)
        kind = Image.registered_extensions().get(path.suffix.lower())
        if kind not in FORMATS:
            raise ValueError(f"{path} must end as a picture does: .png or .jpg, for example")
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} is there already; give another name or remove it first")
        self.sheet(scale).save(content := io.BytesIO(), format=kind)
        write_atomic(path, content.getvalue())

    def _repr_png_(self) -> bytes:
        """Show :meth:`sheet` where a notebook's cell ends with a completion."""
        return self.sheet()._repr_png_()


def complete(
    picture: Picture,
    given: Side = "left",
    model: Any = "cae",
    n: int = 1,
    generator: Generator | None = None,
) -> Completion:
    """Complete a picture, whatever :func:`pictures.to_pose` takes, from its known half.

    The model is the name of a published network, the id of a finished run ("current": the one that
    the notebooks show), or anything with ``predict(left)`` or ``sample(left, n, generator)``. One
    that can draw always draws, by ``generator`` (by default one that is seeded with 0); only then
    ``n`` may be more than 1. Raises TypeError or ValueError for a picture or an argument that
    cannot be used, and RunError for a run that is not there or whose weights cannot.
    """
    if type(n) is not int or n < 1:  # True is no number
        raise ValueError(f"n is {n!r}, allowed: an integer of 1 or more")
    image, notes = to_pose(picture, given)
    name = type(model).__name__
    if isinstance(model, str):
        run = _named(model)
        model, name, side = run.model(), run.run_id, run.config.given
        if side != given:
            notes.append(f"turned it for a network that saw only {side} halves: expect less of it")
    if hasattr(model, "sample"):
        generator = generator or Generator().manual_seed(0)
    elif not hasattr(model, "predict"):
        raise TypeError(f"model is a {name}, which can neither predict nor sample")
    elif n > 1:
        raise ValueError(f"n is {n}, but {name} makes one completion and draws none: n must be 1")
    else:
        generator = None
    completed = fill(image.expand(n, -1, -1, -1), given, model, generator)
    return Completion(image, completed, given, name, tuple(notes))


def fill(images: Tensor, given: Side, model: Any, generator: Generator | None = None) -> Tensor:
    """Return images (N, 1, 28, 28), their unknown halves drawn by a generator or else predicted."""
    left, _ = halves(images, given)
    right = model.sample(left, 1, generator)[0] if generator else model.predict(left)
    return join(left, right, given)


def _named(model: str) -> Run:
    try:
        return shown_run(model)
    except RunError as error:
        names = ", ".join(published_runs()) or "nothing"
        raise RunError(f"model {model!r}: {error}; published: {names}") from None
