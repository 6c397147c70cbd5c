"""Pictures with titles, descriptions and words, as HTML that needs neither script nor network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
from PIL import Image
from torch import Tensor

from ..data import IMAGE_SIZE, Side, halves, join
from .completion import mse_of_unknown

SCALE = 5  # edge of the square that shows a pixel
FRAME = "outline:1px solid #888"  # a white map of errors has an edge, too
AWAITED = "Not drawn yet"
UNKNOWN = np.array([0.72, 0.78, 0.86])  # no grey: nobody takes it for a part of the picture
OVER, UNDER = np.array([0.84, 0.37, 0.0]), np.array([0.0, 0.45, 0.70])  # of Okabe and Ito's palette


def page(rows: Iterable[Iterable[str]], words: Iterable[str]) -> str:
    """Return rows of tiles, and sentences under them."""
    style = "display:flex;flex-wrap:wrap;gap:4px"
    lines = [f'<div style="{style}">{"".join(row)}</div>' for row in rows]
    lines += [f'<p style="margin:2px 0">{escape(sentence)}</p>' for sentence in words]
    return "".join(lines)


def message(text: str) -> str:
    """Return a message in place of pictures; a screen reader says it at once."""
    return f'<p role="alert">{escape(text)}</p>'


def tile(title: str, pixels: np.ndarray, alt: str) -> str:
    """Return a picture over its title.

    Args:
        title: plain text.
        pixels: (H, W) grey or (H, W, 3) colours, in [0, 1].
        alt: what it shows, for readers who cannot see it.
    """
    dots = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    dots = dots.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    height, width = dots.shape[:2]
    content = io.BytesIO()
    Image.fromarray(dots).save(content, format="PNG", compress_level=1)
    source = base64.b64encode(content.getvalue()).decode()
    return (
        f'<figure style="margin:0 0 8px;width:{max(width, 70) + 12}px">'
        f'<img alt="{escape(alt)}" width="{width}" height="{height}" style="{FRAME}"'
        f' src="data:image/png;base64,{source}">'
        f'<figcaption style="line-height:1.3">{escape(title)}</figcaption></figure>'
    )


def given_tile(image: Tensor, given: Side, title: str, subject: str) -> str:
    """Show an image (1, 1, 28, 28) whose unknown half is covered with a colour."""
    left, right = halves(image[0, 0], given)
    covered = join(left * 0, right * 0 + 1, given).bool().numpy()
    colours = np.where(covered[..., None], UNKNOWN, image[0, 0].numpy()[..., None])
    return tile(title, colours, f"The {given} half of {subject}; the other half is covered")


def awaited_tile(title: str) -> str:
    """Hold the place of a picture (28, 28) that is not made yet."""
    return tile(title, np.broadcast_to(UNKNOWN, (IMAGE_SIZE, IMAGE_SIZE, 3)), AWAITED)


def completed_tile(
    completed: Tensor, title: str, *, truth: Tensor | None, model: str, subject: str
) -> str:
    """Show an image (1, 1, 28, 28) that a model completed, and its error if the truth is known."""
    if truth is not None:
        title += f", MSE {mse_of_unknown(completed, truth).item():.4f}"
    return tile(title, completed[0, 0].numpy(), f"Made by {model}: {title}, of {subject}")


def error_tile(completed: Tensor, truth: Tensor) -> str:
    """Show how much too bright (orange) or too dark (blue) each pixel is; white: neither.

    Full colour stands for an error of one half or more: larger ones are rare.

    Args:
        completed, truth: (1, 1, 28, 28) in [0, 1].
    """
    error = (completed - truth)[0, 0].numpy()
    strength = np.clip(np.abs(error) * 2, 0, 1)[..., None]
    colours = 1 - strength * (1 - np.where(error[..., None] > 0, OVER, UNDER))
    lean = "too bright" if error.mean() > 0 else "too dark"
    row, column = np.unravel_index(np.abs(error).argmax(), error.shape)
    alt = f"worst in row {row + 1} of {IMAGE_SIZE}, column {column + 1}"
    return tile("error", colours, f"Map of the error: on the whole {lean}, {alt}")
