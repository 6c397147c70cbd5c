"""Figures of images: grids, completions beside the truth, draws, pages of a gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..data import CLASS_NAMES, Images, join
from ..paper.display import use_paper_style
from ..runs.record import decode, decode_all
from .style import WIDTH, canvas
from .tables import drawing

Pages = dict[str, dict[str, np.ndarray]]  # title -> name of a strip -> grey picture (H, W)


def draw_image(axes: Axes, image: np.ndarray) -> None:
    """Draw one image (H, W), values in [0, 1], without a frame."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
    axes.set_axis_off()


def tile(images: np.ndarray, gap: int) -> np.ndarray:
    """Return images (R, C, H, W) as one picture, with ``gap`` white pixels between them."""
    padding = ((0, 0), (0, 0), (0, gap), (0, gap))
    cells = np.pad(images.astype(np.float32), padding, constant_values=1)
    sheet = cells.swapaxes(1, 2).reshape(cells.shape[0] * cells.shape[2], -1)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def image_grid(
    images: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str] = (),
    *,
    group: int = 1,
    width: float = WIDTH,
) -> Figure:
    """Show images in rows and columns.

    Args:
        images: (R, C, H, W) in [0, 1]; NaN stays blank.
        row_labels: R names, at the left.
        column_labels: names above the columns; one for each group of ``group`` columns.
        group: columns that belong together: a wider gap divides the groups.
        width: of the figure.
    """
    rows, columns, height, image_width = images.shape
    groups = columns // group
    strips = [tile(part, gap=1) for part in np.split(images, groups, axis=1)]
    label_width = 0.95
    gap = 0.06 if group == 1 else 0.15  # of a column, between groups
    cell = (width - label_width) / (columns + gap * (groups - 1))
    letters = max(int(cell * group * 72 / 3.8), 1)  # one of this size is 3.8 points wide
    titles = [fill(label, letters, break_long_words=False) for label in column_labels]
    figure = _side_by_side(
        strips,
        titles or [""] * groups,
        (width, cell * rows * height / image_width + 0.3),
        fontsize=8,
        left=label_width / width,
        top=0.96,
        wspace=gap / group,
    )
    for row, label in enumerate(row_labels):
        at = (-2, row * (height + 1) + height / 2)
        figure.axes[0].text(*at, label, ha="right", va="center", fontsize=8)
    return figure


def _side_by_side(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    size: tuple[float, float],
    *,
    fontsize: float,
    layout: str | None = None,
    **grid,
) -> Figure:
    """Draw pictures in a row, each under its title; ``grid`` as ``add_gridspec`` takes it."""
    use_paper_style()
    figure = plt.figure(figsize=size, layout=layout)
    places = figure.add_gridspec(1, len(pictures), right=1, bottom=0, **grid)
    for place, picture, title in zip(places, pictures, titles, strict=True):
        axes = figure.add_subplot(place)
        draw_image(axes, picture)
        axes.set_anchor("N")
        axes.set_title(title, fontsize=fontsize, pad=3)
    return figure


def halves_figure(image: np.ndarray, left: np.ndarray, right: np.ndarray) -> Figure:
    """Show an image (28, 28) beside what is given (28, 14) and what is asked for (28, 14)."""
    use_paper_style()
    ratios = {"width_ratios": [2, 1, 1], "gridspec_kw": {"wspace": 0.25}}
    figure, axes = plt.subplots(ncols=3, figsize=(3.6, 1.75), **ratios)
    titles = ("image", "given half", "other half")
    for ax, picture, title in zip(axes, (image, left, right), titles, strict=True):
        draw_image(ax, picture)
        ax.set_title(title, fontsize=8, loc="center")
    return figure


def class_means_figure(means: np.ndarray, names: Sequence[str]) -> Figure:
    """Show the mean image of each class: (10, 28, 28) in [0, 1]."""
    figure, axes = canvas(2.9, nrows=2, ncols=5)
    for ax, mean, name in zip(axes.flat, means, names, strict=True):
        draw_image(ax, mean)
        ax.set_title(name, fontsize=8)
    return figure


def completions(
    truth: np.ndarray,
    completed: np.ndarray,
    positions: np.ndarray,
    column_labels: Sequence[str] = (),
    *,
    width: float = WIDTH,
) -> Figure:
    """Show images, each beside its completion, a class a row.

    Args:
        truth, completed: (N, 28, 28) images in [0, 1].
        positions: (10, C) numbers of the images to show.
        column_labels: C names.
        width: of the figure.
    """
    both = np.stack([truth[positions], completed[positions]], axis=2)
    pairs = both.reshape(len(positions), -1, *truth.shape[1:])
    return image_grid(pairs, CLASS_NAMES, column_labels, group=2, width=width)


def baseline_grid(
    analysis: Mapping[str, Any],
    test: Images,
    given: str,
    *,
    true: str = "true",
    width: float = WIDTH,
) -> Figure:
    """Show the examples of the analysis ``baselines``: a class a row, a method a column.

    Args:
        analysis: what is published, or made by :func:`published.baselines_analysis`.
        test: the test images.
        given: the known side.
        true: the title of the first column, the images themselves.
        width: of the figure.
    """
    examples, methods = analysis["examples"], analysis["methods"]
    left, right = test.select(examples["positions"]).halves(given)
    guesses = [torch.from_numpy(decode(text))[:, None] for text in examples["completions"].values()]
    columns = [join(left, half, given)[:, 0].numpy() for half in (right, *guesses)]
    titles = [true, *(method["title"] for method in methods.values())]
    return image_grid(np.stack(columns, axis=1), CLASS_NAMES, titles, width=width)


def sample_sheet(analysis: Mapping[str, Any], mean: str) -> Figure:
    """Show left half, true image, a point prediction and six draws of each sampler, a class a row.

    Draws stand in two rows; the other pictures are as high as both.

    Args:
        analysis: what is published as ``generative``.
        mean: the name of the method whose one prediction is shown.
    """
    methods, shown = analysis["methods"], analysis["examples"]
    left, right, point = map(decode, (shown["left"], shown["right"], shown["point"][mean]))
    singles = {"given": np.ones_like(right), "true": right, methods[mean]["title"]: point}
    strips = {title: _strip(left, half[None], scale=2) for title, half in singles.items()}
    for name, row in drawing(methods).items():
        strips[row["title"]] = _strip(left, decode_all(shown["draws"][name]), down=2)
    widths = [strip.shape[1] for strip in strips.values()]
    gap, margin = 10, 0.85  # pixels; inches for the names
    inch = (WIDTH - margin) / (sum(widths) + gap * (len(strips) - 1))  # of a pixel
    height, head = inch * max(strip.shape[0] for strip in strips.values()), 0.28
    figure = _side_by_side(
        list(strips.values()),
        list(strips),
        (WIDTH, height + head),
        fontsize=7.5,
        layout="none",  # or pixels would not be as large in all strips
        width_ratios=widths,
        left=margin / WIDTH,
        top=height / (height + head),
        wspace=gap * len(strips) / sum(widths),
    )
    for row, label in enumerate(CLASS_NAMES):
        at = (-4, 2 * (29 * row + 14))
        figure.axes[0].text(*at, label, ha="right", va="center", fontsize=8)
    return figure


def _strip(left: np.ndarray, halves: np.ndarray, scale: int = 1, down: int = 1) -> np.ndarray:
    """Return whole images, (R, 28, 14) left and (C, R, 28, 14) right, as one grey picture.

    Args:
        scale: pixels a side that show one of an image's.
        down: rows for the C images of one left half.
    """
    images = np.stack([np.concatenate([left, half], axis=2) for half in halves], axis=1)
    images = images.reshape(len(left) * down, -1, *images.shape[2:])
    return tile(images.repeat(scale, axis=2).repeat(scale, axis=3), gap=scale)


def class_pages(
    truth: np.ndarray, completed: np.ndarray, mse: np.ndarray, labels: np.ndarray, count: int = 6
) -> Pages:
    """Return a page a class: its first images, and those with the lowest, middle, highest error.

    Args:
        truth, completed: (N, 28, 28) images in [0, 1].
        mse: (N,) error of each image.
        labels: (N,) class numbers.
        count: images a strip; a class with fewer shows all it has.
    """
    pages = {}
    for number, name in enumerate(CLASS_NAMES):
        members = np.flatnonzero(labels == number)
        ranked = members[np.argsort(mse[members], kind="stable")]
        middle = max(0, (len(ranked) - count) // 2)
        chosen = {
            "first": members[:count],
            "best": ranked[:count],
            "median": ranked[middle : middle + count],
            "worst": ranked[-count:],
        }
        pages[name] = {
            f"{rule}: MSE {mse[own].min():.4f} to {mse[own].max():.4f}": pairs_strip(
                truth[own], completed[own]
            )
            for rule, own in chosen.items()
            if len(own)
        }
    return pages


def pairs_strip(truth: np.ndarray, completed: np.ndarray) -> np.ndarray:
    """Return pairs of images (N, H, W), each image beside its completion, as one row (H, W')."""
    pairs = np.stack([truth, completed], axis=1)[:, None]
    return tile(np.stack([tile(pair, gap=1) for pair in pairs])[None], gap=8)
