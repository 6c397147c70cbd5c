"""Pictures: images in grids, beside their completions, draws, a gallery's pages, a network."""

from collections.abc import Iterable, Sequence
from textwrap import fill

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy import ndarray

from ..data import CLASS_NAMES, Images, join
from ..models.base import Completer
from ..models.layers import layer_table, stages
from ..runs.record import decode, decode_all
from .style import BLUE, ORANGE, WIDTH, Names, canvas
from .tables import Analysis, drawing

Strip = tuple[str, ndarray]  # title, and a grey picture (H, W)
Pages = dict[str, dict[str, ndarray]]  # title -> name of a strip -> grey picture (H, W)


def _draw_images(axes: ndarray, pictures: Iterable[ndarray], titles: Names, **style) -> None:
    """Draw grey pictures (H, W) in [0, 1], each under its title; ``style``: that of the titles."""
    for ax, picture, title in zip(axes.flat, pictures, titles, strict=True):
        ax.imshow(picture, vmin=0, vmax=1)
        ax.set_axis_off()
        ax.set_anchor("N")
        ax.set_title(title, **{"fontsize": 8, **style})


def tile(images: ndarray, gap: int) -> ndarray:
    """Return images (R, C, H, W) as one picture, with ``gap`` white pixels between them."""
    padding = ((0, 0), (0, 0), (0, gap), (0, gap))
    cells = np.pad(images.astype(np.float32), padding, constant_values=1)
    sheet = cells.swapaxes(1, 2).reshape(cells.shape[0] * cells.shape[2], -1)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def image_grid(
    images: ndarray, rows: Names, columns: Names = (), *, group: int = 1, width: float = WIDTH
) -> Figure:
    """Show images (R, C, H, W) in [0, 1] in named rows and columns; NaN stays blank.

    Columns that belong together, ``group`` of them, share a name and have no gap between them.
    """
    groups = images.shape[1] // group
    margin = 0.95  # inches, for the rows' names
    gap = 0.06 if group == 1 else 0.15  # of a column, between groups
    cell = (width - margin) / (images.shape[1] + gap * (groups - 1))
    letters = max(int(cell * group * 72 / 3.8), 1)  # one of this size is 3.8 points wide
    titles = [fill(name, letters, break_long_words=False) for name in columns] or [""] * groups
    height = cell * len(rows) * images.shape[2] / images.shape[3] + 0.3
    grid = {"left": margin / width, "top": 0.96, "wspace": gap / group}
    parts = (tile(part, gap=1) for part in np.split(images, groups, axis=1))
    strips = list(zip(titles, parts, strict=True))
    return _side_by_side(strips, rows, grid, height=height, width=width)


def _side_by_side(
    strips: Sequence[Strip], rows: Names, grid: dict, gap: int = 1, fontsize: float = 8, **options
) -> Figure:
    """Draw pictures of the same named rows, ``gap`` pixels apart, in a row.

    ``grid``: where they stand, as matplotlib's ``GridSpec`` takes it; ``options``: the canvas's.
    """
    places = {"right": 1, "bottom": 0, **grid}
    figure, axes = canvas(ncols=len(strips), squeeze=False, gridspec_kw=places, **options)
    titles, pictures = zip(*strips, strict=True)
    _draw_images(axes, pictures, titles, fontsize=fontsize, pad=4, linespacing=1.1)
    step = (len(pictures[0]) + gap) / len(rows)
    for i, name in enumerate(rows):
        at = (-2 * gap, (i + 0.5) * step - gap / 2)
        axes[0, 0].text(*at, name, ha="right", va="center", fontsize=8)
    return figure


def halves_figure(image: ndarray, left: ndarray, right: ndarray) -> Figure:
    """Show an image (28, 28) beside what is given (28, 14) and what is asked for (28, 14)."""
    shape = {"ncols": 3, "width_ratios": [2, 1, 1], "gridspec_kw": {"wspace": 0.25}}
    figure, axes = canvas(1.75, 3.6, **shape)
    titles = ("image", "given half", "other half")
    _draw_images(axes, (image, left, right), titles, loc="center")
    return figure


def class_means_figure(means: ndarray, names: Names) -> Figure:
    """Show the mean image of each class: (10, 28, 28) in [0, 1]."""
    figure, axes = canvas(2.9, nrows=2, ncols=5)
    _draw_images(axes, means, names)
    return figure


def completions(
    truth: ndarray, completed: ndarray, positions: ndarray, titles: Names = (), **options
) -> Figure:
    """Show the images at ``positions`` (10, C), each beside its completion, a class a row.

    ``truth`` and ``completed`` are (N, 28, 28) in [0, 1]; ``options``: as in `image_grid`.
    """
    both = np.stack([truth[positions], completed[positions]], axis=2)
    pairs = both.reshape(len(positions), -1, *truth.shape[1:])
    return image_grid(pairs, CLASS_NAMES, titles, group=2, **options)


def baseline_grid(
    analysis: Analysis, test: Images, given: str, *, true: str = "true", **options
) -> Figure:
    """Show the examples of the analysis ``baselines``: a class a row, a method a column.

    The first column, ``true``, has the test images themselves; ``options``: as in `image_grid`.
    """
    examples, methods = analysis["examples"], analysis["methods"]
    left, right = test.select(examples["positions"]).halves(given)
    guesses = [torch.from_numpy(decode(text))[:, None] for text in examples["completions"].values()]
    columns = [join(left, half, given)[:, 0].numpy() for half in (right, *guesses)]
    titles = [true, *(method["title"] for method in methods.values())]
    return image_grid(np.stack(columns, axis=1), CLASS_NAMES, titles, **options)


def sample_sheet(analysis: Analysis, mean: str) -> Figure:
    """Show left halves, true images, a prediction and six draws of each sampler, a class a row.

    Of the analysis ``generative``; the prediction is that of the method ``mean``. Draws stand in
    two rows; the other pictures are as high as both.
    """
    methods, shown = analysis["methods"], analysis["examples"]
    left, right, point = map(decode, (shown["left"], shown["right"], shown["point"][mean]))
    singles = {"given": np.ones_like(right), "true": right, methods[mean]["title"]: point}
    strips = {title: _strip(left, half[None], scale=2) for title, half in singles.items()}
    for name, row in drawing(methods).items():
        strips[row["title"]] = _strip(left, decode_all(shown["draws"][name]), down=2)
    heights, widths = zip(*(strip.shape for strip in strips.values()), strict=True)
    gap, margin = 10, 0.85  # pixels; inches, for the rows' names
    inch = (WIDTH - margin) / (sum(widths) + gap * (len(widths) - 1))  # of a pixel
    high = inch * max(heights)
    size = {"height": high + 0.28, "layout": "none"}  # or pixels would not be equal in all strips
    grid = {"left": margin / WIDTH, "top": high / size["height"], "width_ratios": widths}
    grid["wspace"] = gap * len(widths) / sum(widths)
    return _side_by_side([*strips.items()], CLASS_NAMES, grid, gap=2, fontsize=7.5, **size)


def _strip(left: ndarray, halves: ndarray, scale: int = 1, down: int = 1) -> ndarray:
    """Return whole images, (R, 28, 14) left and (C, R, 28, 14) right, as one grey picture.

    One pixel of an image has ``scale`` a side; the C images of a left half stand in ``down`` rows.
    """
    images = np.stack([np.concatenate([left, half], axis=2) for half in halves], axis=1)
    images = images.reshape(len(left) * down, -1, *images.shape[2:])
    return tile(images.repeat(scale, axis=2).repeat(scale, axis=3), gap=scale)


def class_pages(
    truth: ndarray, completed: ndarray, mse: ndarray, labels: ndarray, count: int = 6
) -> Pages:
    """Return a page a class: its first images, and those with the lowest, middle, highest error.

    ``truth`` and ``completed`` are (N, 28, 28) in [0, 1], ``mse`` and ``labels`` (N,).
    """
    pages = {name: {} for name in CLASS_NAMES}
    for number in np.unique(labels):
        members = np.flatnonzero(labels == number)
        ranked = members[np.argsort(mse[members], kind="stable")]
        middle = max(0, (len(ranked) - count) // 2)
        chosen = {"first": members[:count], "best": ranked[:count]}
        chosen |= {"median": ranked[middle : middle + count], "worst": ranked[-count:]}
        for rule, own in chosen.items():
            title = f"{rule}: MSE {mse[own].min():.4f} to {mse[own].max():.4f}"
            pages[CLASS_NAMES[number]][title] = pairs_strip(truth[own], completed[own])
    return pages


def pairs_strip(truth: ndarray, completed: ndarray) -> ndarray:
    """Return pairs of images (N, H, W), each image beside its completion, as one row (H, W')."""
    pairs = np.stack([truth, completed], axis=1)[:, None]
    return tile(np.stack([tile(pair, gap=1) for pair in pairs])[None], gap=8)


def architecture(model: Completer) -> Figure:
    """Draw a network's maps as boxes: height as the map, depth as the channels."""
    figure, axes = canvas(2.59)
    upright = {"va": "center", "fontsize": 7.5, "rotation": 90, "rotation_mode": "anchor"}
    x = 0.0
    for name, shape in stages(layer_table(model)):
        if len(shape) == 3:
            channels, height, width = shape
            depth = channels**0.6 / 2
        else:
            height, width, depth = shape[0] ** 0.5, 0.0, 1.2
        x = _draw_box(axes, x, height, depth, 0.35 * width)  # a map's width recedes
        middle = x - depth / 2 - 0.35 * width / 2
        axes.text(middle, -19.5, " × ".join(map(str, shape)), ha="right", **upright)
        axes.text(middle, 19.5, name, ha="left", **upright)
        x += 3.2
    axes.set(xlim=(-1.5, x - 1.5), ylim=(-38, 44), aspect="auto")
    axes.axhline(62, color="none", clip_on=False)  # room: the page's letters are wider than STIX's
    axes.set_axis_off()
    return figure


def _draw_box(axes: Axes, x: float, height: float, depth: float, shift: float) -> float:
    """Draw a box from ``x`` on that recedes by ``shift``, up and right; return where it ends."""
    right, low, high = x + depth, -height / 2, height / 2
    style = {"edgecolor": "white", "linewidth": 0.6, "facecolor": BLUE if shift else ORANGE}
    axes.add_patch(Polygon([(x, low), (right, low), (right, high), (x, high)], **style))
    if shift:  # a vector is flat
        far, back = right + shift, high + shift
        top = [(x, high), (right, high), (far, back), (x + shift, back)]
        side = [(right, low), (far, low + shift), (far, back), (right, high)]
        axes.add_patch(Polygon(top, alpha=0.6, **style))
        axes.add_patch(Polygon(side, alpha=0.8, **style))
    return right + shift
