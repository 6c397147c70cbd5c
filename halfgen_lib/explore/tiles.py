"""Pictures with titles, descriptions and words, as HTML that needs neither script nor network."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image
from torch import Tensor

from ..data import IMAGE_SIZE, Side, halves, join

SCALE = 5  # edge of the square that shows a pixel
FRAME = "outline:1px solid #888"  # a white map of errors has an edge, too
AWAITED = "Not drawn yet"
UNKNOWN = np.array([0.72, 0.78, 0.86])  # no grey: nobody takes it for a part of the picture
OVER, UNDER = np.array([0.84, 0.37, 0.0]), np.array([0.0, 0.45, 0.70])  # of Okabe and Ito's palette


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with what is written under it and what it shows, in words.

    Attributes:
        title: plain text.
        pixels: (H, W) grey or (H, W, 3) colours, in [0, 1].
        alt: for readers who cannot see it.
    """

    title: str
    pixels: np.ndarray
    alt: str


@dataclass(frozen=True, eq=False)
class View:
    """What is shown: rows of pictures, and sentences under them.

    Attributes:
        rows: the pictures; in place of those that take long, :func:`awaited` ones.
        words: the sentences.
        rest: makes the view in which nothing is awaited; None if this is it.
    """

    rows: Sequence[Sequence[Tile]]
    words: Sequence[str]
    rest: Callable[[], View] | None = None

    def whole(self) -> View:
        """Return the view in which nothing is awaited."""
        return self.rest() if self.rest else self

    def html(self) -> str:
        """Return the pictures in their rows, each an image with its description, and the words."""
        rows = "".join(
            f'<div style="display:flex;flex-wrap:wrap;gap:4px">{"".join(map(_figure, row))}</div>'
            for row in self.rows
        )
        return rows + "".join(
            f'<p style="margin:2px 0">{escape(sentence)}</p>' for sentence in self.words
        )


def message(text: str) -> str:
    """Return a message in place of pictures; a screen reader says it at once."""
    return f'<p role="alert">{escape(text)}</p>'


def png(pixels: np.ndarray, scale: int = SCALE) -> bytes:
    """Return pixels (H, W) or (H, W, 3) in [0, 1] as a PNG, each as a square of ``scale`` dots."""
    dots = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    content = io.BytesIO()
    enlarged = dots.repeat(scale, axis=0).repeat(scale, axis=1)
    Image.fromarray(enlarged).save(content, format="PNG", compress_level=1)
    return content.getvalue()


def given_tile(image: Tensor, given: Side, title: str, alt: str) -> Tile:
    """Show an image (28, 28) whose unknown half is covered with a colour."""
    left, right = halves(image, given)
    covered = join(left.new_zeros(left.shape), right.new_ones(right.shape), given).bool().numpy()
    colours = np.repeat(image.numpy()[..., None], 3, axis=2)
    colours[covered] = UNKNOWN
    return Tile(title, colours, alt)


def awaited(title: str) -> Tile:
    """Hold the place of a picture (28, 28) that is not made yet."""
    return Tile(title, np.broadcast_to(UNKNOWN, (IMAGE_SIZE, IMAGE_SIZE, 3)), AWAITED)


def error_tile(completed: Tensor, truth: Tensor) -> Tile:
    """Show by how much each pixel (28, 28) is too bright (orange) or too dark (blue); white: not.

    Full colour stands for an error of one half or more: larger ones are rare.
    """
    error = (completed - truth).numpy()
    strength = np.clip(np.abs(error) * 2, 0, 1)[..., None]
    colours = 1 - strength * (1 - np.where(error[..., None] > 0, OVER, UNDER))
    over, under = np.clip(error, 0, None).mean(), np.clip(-error, 0, None).mean()
    lean = "too bright" if over > under else "too dark"
    where = np.unravel_index(np.abs(error).argmax(), error.shape)
    alt = (
        f"Map of the error: on the whole {lean}, worst in row {where[0] + 1} of {IMAGE_SIZE},"
        f" column {where[1] + 1}"
    )
    return Tile("error", colours, alt)


def _figure(tile: Tile) -> str:
    height, width = (SCALE * edge for edge in tile.pixels.shape[:2])
    source = base64.b64encode(png(tile.pixels)).decode()
    image = (
        f'<img alt="{escape(tile.alt)}" width="{width}" height="{height}" style="{FRAME}"'
        f' src="data:image/png;base64,{source}">'
    )
    caption = f'<figcaption style="line-height:1.3">{escape(tile.title)}</figcaption>'
    return f'<figure style="margin:0 0 8px;width:{max(width, 70) + 12}px">{image}{caption}</figure>'
