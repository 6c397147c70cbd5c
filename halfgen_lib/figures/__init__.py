"""One function a figure: arrays in, a matplotlib ``Figure`` out; nothing is loaded or shown here.

Images are grey in [0, 1] on one scale everywhere, never stretched to their own range. Colours are
from Okabe and Ito's palette, which readers with any colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from ..paper.display import use_paper_style

WIDTH = 6.1  # inches: the text width of the paper
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

Intervals = Sequence[Mapping[str, float]]  # each with mean, low, high


def _canvas(height: float, **axes) -> tuple[Figure, Axes | np.ndarray]:
    use_paper_style()
    return plt.subplots(figsize=(WIDTH, height), layout="constrained", **axes)


def draw_image(axes: Axes, image: np.ndarray) -> None:
    """Draw one image (H, W), values in [0, 1], without a frame."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
    axes.set_axis_off()


def tile(images: np.ndarray, *, gap: int = 2, background: float = 1.0) -> np.ndarray:
    """Return images (R, C, H, W) as one picture, row by row, with ``gap`` pixels between them."""
    rows, columns, height, width = images.shape
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    sheet = np.full(shape, background, dtype=np.float32)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = images[row, column]
    return sheet


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
        width: of the figure, in inches.
    """
    use_paper_style()
    rows, columns, height, image_width = images.shape
    groups = columns // group
    grouped = images.reshape(rows, groups, group, height, image_width)
    strips = [tile(grouped[:, i], gap=1) for i in range(groups)]
    label_width = 0.95
    gap = 0.06 if group == 1 else 0.15  # of a column, between groups
    cell = (width - label_width) / (columns + gap * (groups - 1))
    figure = plt.figure(figsize=(width, cell * rows * height / image_width + 0.3))
    grid = figure.add_gridspec(
        1, groups, left=label_width / width, right=1, top=0.96, bottom=0, wspace=gap / group
    )
    for i, strip in enumerate(strips):
        axes = figure.add_subplot(grid[i])
        draw_image(axes, strip)
        axes.set_anchor("N")
        if i < len(column_labels):
            letters = int(cell * group * 72 / 3.8)  # a letter of this size is 3.8 points wide
            title = fill(column_labels[i], max(letters, 1), break_long_words=False)
            axes.set_title(title, fontsize=8, pad=4, linespacing=1.1)
        if i == 0:
            for row, label in enumerate(row_labels):
                axes.text(
                    -2, row * (height + 1) + height / 2, label, ha="right", va="center", fontsize=8
                )
    return figure


def halves_figure(image: np.ndarray, left: np.ndarray, right: np.ndarray) -> Figure:
    """Show an image (28, 28) beside what is given (28, 14) and what is asked for (28, 14)."""
    use_paper_style()
    figure = plt.figure(figsize=(3.6, 1.75))
    grid = figure.add_gridspec(1, 3, width_ratios=[2, 1, 1], wspace=0.25)
    titles = ("image", "given half", "other half")
    for i, (picture, title) in enumerate(zip((image, left, right), titles, strict=True)):
        axes = figure.add_subplot(grid[i])
        draw_image(axes, picture)
        axes.set_title(title, fontsize=8, loc="center")
    return figure


def class_means_figure(means: np.ndarray, names: Sequence[str]) -> Figure:
    """Show the mean image of each class: (10, 28, 28) in [0, 1]."""
    figure, axes = _canvas(2.9, nrows=2, ncols=5)
    for ax, mean, name in zip(axes.flat, means, names, strict=True):
        draw_image(ax, mean)
        ax.set_title(name, fontsize=8)
    return figure


def pixel_histogram(counts: np.ndarray) -> Figure:
    """Show how often each grey value occurs: counts (256,) of the values 0 to 255."""
    figure, axes = _canvas(2.0)
    axes.bar(np.arange(256) / 255, counts / counts.sum(), width=1 / 255, color=BLUE)
    axes.set(xlabel="pixel value", ylabel="share of pixels", yscale="log", xlim=(-0.01, 1.01))
    return figure


def dots(
    panels: Mapping[str, Intervals],
    names: Sequence[str],
    *,
    reference: Mapping[str, float] | None = None,
    height: float = 2.8,
) -> Figure:
    """Show a value with its interval for each name, one panel a measure, names down the side.

    Args:
        panels: axis label -> one {mean, low, high} a name.
        names: the rows, from the top.
        reference: axis label -> a value to mark with a dashed line.
        height: of the figure, in inches.
    """
    figure, axes = _canvas(height, ncols=len(panels), sharey=True, squeeze=False)
    rows = np.arange(len(names))
    for ax, (label, values) in zip(axes[0], panels.items(), strict=True):
        mean = np.array([v["mean"] for v in values])
        spread = np.abs([[v["low"], v["high"]] for v in values] - mean[:, None]).T
        ax.errorbar(mean, rows, xerr=spread, fmt="o", color=BLUE, markersize=4, elinewidth=1.2)
        if reference and label in reference:
            ax.axvline(reference[label], color=GREY, linestyle="--", linewidth=0.9)
        ax.set_xlabel(label)
        ax.grid(axis="y", alpha=0.3)
    axes[0, 0].set_yticks(rows, names)
    axes[0, 0].invert_yaxis()
    return figure


def loss_curves(
    history: Mapping[str, np.ndarray], *, reference: float | None = None, reference_name: str = ""
) -> Figure:
    """Show training and validation loss by epoch, the best epoch, and each learning-rate drop.

    Args:
        history: columns epoch, train_loss, val_loss, lr, each (epochs,).
        reference: a loss to mark with a dashed line.
        reference_name: what that loss is.
    """
    figure, axes = _canvas(2.7)
    epoch, val = history["epoch"], history["val_loss"]
    axes.plot(epoch, history["train_loss"], color=ORANGE, marker=".", label="training")
    axes.plot(epoch, val, color=BLUE, marker=".", label="validation")
    best = int(np.argmin(val))
    axes.plot(epoch[best], val[best], "o", color=BLUE, markersize=9, fillstyle="none")
    axes.annotate(
        f"best: epoch {int(epoch[best])}, {val[best]:.4f}",
        (epoch[best], val[best]),
        xytext=(0, 9),
        textcoords="offset points",
        ha="center" if best < 0.85 * len(val) else "right",
        color=BLUE,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )
    for i, drop in enumerate(epoch[1:][np.diff(history["lr"]) < 0]):
        name = "learning rate falls" if i == 0 else None
        axes.axvline(drop - 0.5, color=GREEN, linestyle=":", linewidth=1.1, label=name)
    if reference is not None:
        axes.axhline(
            reference, color=GREY, linestyle="--", linewidth=0.9, label=reference_name or None
        )
    shown = np.concatenate([val, history["train_loss"]])
    low, high = shown.min(), min(shown.max(), 2.2 * val.min())  # the first epoch may dwarf the rest
    margin = 0.2 * (high - low) or 0.1 * low
    axes.set(xlabel="epoch", ylabel="mean squared error", ylim=(low - margin, high + margin / 4))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure


def method_sheet(
    right: np.ndarray, left: np.ndarray, completions: Iterable[np.ndarray]
) -> np.ndarray:
    """Return images for :func:`image_grid`: the true image, then each method's completion.

    Args:
        right: (R, 28, 14) true right halves in [0, 1].
        left: (R, 28, 14) left halves.
        completions: one (R, 28, 14) a method.

    Returns:
        (R, 1 + methods, 28, 28).
    """
    whole = [np.concatenate([left, half], axis=2) for half in (right, *completions)]
    return np.stack(whole, axis=1)


def singular_values(values: Sequence[float], latent_dim: int) -> Figure:
    """Show singular values on a logarithmic scale, and the size of the code that limits them."""
    figure, axes = _canvas(2.2)
    floor = values[0] * 1e-17
    axes.plot(np.arange(1, len(values) + 1), np.maximum(values, floor), ".", color=BLUE)
    axes.axvline(latent_dim + 0.5, color=GREY, linestyle="--", linewidth=0.9)
    axes.annotate(f"latent code: {latent_dim}", (latent_dim + 2, values[0]), va="top", color=GREY)
    axes.set(xlabel="number", ylabel="singular value", yscale="log")
    return figure


def architecture(blocks: Sequence[tuple[str, tuple[int, ...]]]) -> Figure:
    """Draw a network's maps as boxes: height as the map, depth as the channels.

    Args:
        blocks: what each box is, and its shape: (C, H, W) for maps, (F,) for vectors.
    """
    figure, axes = _canvas(2.6)
    x = 0.0
    for name, shape in blocks:
        if len(shape) == 3:
            channels, height, width = shape
            depth, label = channels**0.6 / 2, f"{channels} × {height} × {width}"
        else:
            height, width, depth, label = shape[0] ** 0.5, 0.0, 1.2, f"{shape[0]}"
        x = _draw_box(axes, x, height, width, depth, len(shape) == 3)
        middle = x - depth / 2 - 0.35 * width / 2
        upright = {"va": "center", "fontsize": 7.5, "rotation": 90, "rotation_mode": "anchor"}
        axes.text(middle, -19.5, label, ha="right", **upright)
        axes.text(middle, 19.5, name, ha="left", **upright)
        x += 3.2
    axes.set(xlim=(-1.5, x - 1.5), ylim=(-38, 44), aspect="auto")
    axes.set_axis_off()
    return figure


def _draw_box(
    axes: Axes, x: float, height: float, width: float, depth: float, is_map: bool
) -> float:
    """Draw one box in oblique projection from ``x`` on; return where it ends."""
    shift = 0.35 * width  # a map's width recedes
    front = [(x, -height / 2), (x + depth, -height / 2), (x + depth, height / 2), (x, height / 2)]
    color = BLUE if is_map else ORANGE
    style = {"edgecolor": "white", "linewidth": 0.6, "facecolor": color}
    axes.add_patch(Polygon(front, **style))
    if shift:
        top = [
            front[3],
            front[2],
            (x + depth + shift, height / 2 + shift),
            (x + shift, height / 2 + shift),
        ]
        side = [front[1], (x + depth + shift, -height / 2 + shift), top[2], front[2]]
        axes.add_patch(Polygon(top, alpha=0.6, **style))
        axes.add_patch(Polygon(side, alpha=0.8, **style))
    return x + depth + shift
