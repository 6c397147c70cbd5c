"""Pictures: images in grids, beside their completions, draws, a gallery's pages, a network."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from textwrap import fill

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy import ndarray

from ..data import CLASS_NAMES, Images, join
from ..models.base import Completer
from ..models.layers import layer_table, stages
from ..runs.record import decode, decode_all
from . import pen
from .pen import WIDTH, Names
from .tables import Analysis

Strips = Mapping[str, ndarray]  # title -> grey picture (H, W)
Pages = dict[str, dict[str, ndarray]]  # title -> name of a strip -> grey picture (H, W)
MEANS = "default", "unet"  # methods that stand beside draws
SHOWN = ("Pullover", "Coat", "Bag", "Ankle boot", "Dress")  # where a page has room for some only


def tile(images: ndarray, gap: int) -> ndarray:
    """Return images (R, C, H, W) as one picture, with ``gap`` blank pixels between them."""
    padding = ((0, 0), (0, 0), (0, gap), (0, gap))
    cells = np.pad(images.astype(np.float32), padding, constant_values=np.nan)
    sheet = cells.swapaxes(1, 2).reshape(cells.shape[0] * cells.shape[2], -1)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def image_grid(
    images: ndarray, rows: Names, columns: Names = (), *, group: int = 1, width: float = WIDTH
) -> Figure:
    """Show images (R, C, H, W) in [0, 1] in named rows and columns; NaN stays blank.

    Columns that belong together, ``group`` of them, share a name and have no gap between them. The
    ``width`` is in mm.
    """
    groups, margin = np.split(images, images.shape[1] // group, axis=1), 21
    each = (width - margin) / len(groups)
    side = (each - (1.5 if group == 1 else 4)) / group  # of an image, with its gap
    letters = max(int(each / 1.35), 1)  # one of this size is so wide
    titles = [fill(name, letters, break_long_words=False) for name in columns]
    head = 3.6 * max((title.count("\n") + 1 for title in titles), default=0)
    height = side * images.shape[2] / images.shape[3]
    figure, axes = pen.sheet(head + height * len(rows), width)
    for row, name in enumerate(rows):
        pen.say(axes, margin - 2, head + height * (row + 0.5) + 1, name, "right", **pen.SMALL)
    for number, part in enumerate(groups):
        x = margin + number * each
        pen.picture(axes, tile(part, gap=1), x, head, height * len(rows))
        if titles:
            pen.say(axes, x, head - 1.4, titles[number], **pen.SMALL)
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


def baseline_grid(analysis: Analysis, test: Images, given: str, **options) -> Figure:
    """Show the examples of the analysis ``baselines``: a class a row, a method a column.

    The first column has the test images themselves; ``options``: as in `image_grid`.
    """
    examples, methods = analysis["examples"], analysis["methods"]
    left, right = test.select(examples["positions"]).halves(given)
    guesses = [torch.from_numpy(decode(text))[:, None] for text in examples["completions"].values()]
    columns = [join(left, half, given)[:, 0].numpy() for half in (right, *guesses)]
    titles = ["true", *(method["title"] for method in methods.values())]
    return image_grid(np.stack(columns, axis=1), CLASS_NAMES, titles, **options)


def teaser(
    analysis: Analysis, predictions: Strips, sampler: str, names: Names = SHOWN, count: int = 6
) -> Figure:
    """Show left halves, what is put beside them, and the truth: a class of ``names`` a row.

    Of the first test image of each class in the analysis ``generative``. ``predictions``: name ->
    the right halves (10, 28, 14) that it takes for the mean; then ``count`` draws of a sampler.
    """
    shown, near, far, top = analysis["examples"], 1.2, 4.2, 13.5  # mm
    left, title = decode(shown["left"]), analysis["methods"][sampler]["title"]
    mean = [(name, np.dstack([left, right])) for name, right in predictions.items()]
    rights = decode_all(shown["draws"][sampler])[:count]
    drawn = [("", np.dstack([left, right])) for right in rights]
    sharp = f"{len(drawn)} draws of the {title}: each sharp, each different"
    groups = [("", [("left half", left)]), ("one answer, the mean", mean), (sharp, drawn)]
    groups.append(("", [("truth", np.dstack([left, decode(shown["right"])]))]))
    several = len(predictions) + len(drawn)
    side = (WIDTH - 3 * far - (several - 2) * near) / (several + 1.5)
    figure, axes = pen.sheet(top + len(names) * (side + 2.4))
    x = 0.0
    for heading, columns in groups:
        start = x
        for title, images in columns:
            for row, c in enumerate(map(CLASS_NAMES.index, names)):
                pen.completed(axes, images[c], x, top + row * (side + 2.4), side)
            pen.say(axes, x, top - 2, title, **pen.SMALL)
            x += near + side * images.shape[2] / images.shape[1]
        if heading:
            pen.line(axes, [start, x - near], [4.3, 4.3])
            pen.say(axes, start, 3, heading, **pen.NAME)
        x += far - near
    return figure


def sample_sheet(analysis: Analysis, names: Names = SHOWN[:4]) -> Figure:
    """Show the first test image of each class in ``names``, and four draws of each network.

    Of the analysis ``generative``; beside the draws stand the left half, the truth and what
    ``MEANS`` predict. Ticks mark the seam.
    """
    side, gap, high, aside, head = 11.6, 1.4, 16.0, 11.1, 9.2  # mm
    single, drawn = _examples(analysis)
    block, down = 5 * side + 3 * gap + aside, max(len(single), len(drawn)) * high + head
    figure, axes = pen.sheet(down * math.ceil(len(names) / 2) - 3)
    for number, name in enumerate(names):
        c, x, y = CLASS_NAMES.index(name), (WIDTH - block) * (number % 2), down * (number // 2)
        pen.line(axes, [x, x + block], [y + 4.9] * 2)
        pen.say(axes, x, y + 3.6, name, **pen.TITLE)
        for start, groups in ((x, single), (x + side + aside, drawn)):
            for row, (title, images) in enumerate(groups.items()):
                top = y + head + row * high
                pen.say(axes, start, top - 1.5, title, **pen.SMALL)
                for i, image in enumerate(images[:4]):
                    pen.completed(axes, image[c], start + i * (side + gap), top, side)
    return figure


def sample_pages(analysis: Analysis) -> Pages:
    """Return a page a class of what :func:`sample_sheet` shows of some: all draws that are kept."""
    single, drawn = _examples(analysis)
    single.pop("left half")
    several = max(map(len, drawn.values()), default=len(single))
    blank = [single["truth"][0] * np.nan] * (several - len(single))  # so that rows are as wide
    rows = {", ".join(single): [image for (image,) in single.values()] + blank, **drawn}
    return {
        name: {t: tile(np.stack([i[c] for i in images])[None], gap=4) for t, images in rows.items()}
        for c, name in enumerate(CLASS_NAMES)
    }


def _examples(analysis: Analysis) -> tuple[dict, dict]:
    """Return by title what there is one of, the left halves first, and what is drawn."""
    shown, rows = analysis["examples"], analysis["methods"]
    left = decode(shown["left"])

    def wholes(rights: Sequence[ndarray]) -> list[ndarray]:
        return [np.dstack([left, right]) for right in rights]

    single = {"left half": [left], "truth": wholes([decode(shown["right"])])}
    single |= {rows[n]["title"]: wholes([decode(shown["point"][n])]) for n in MEANS if n in rows}
    networks = [name for name in analysis["runs"] if name in shown["draws"]]
    drawn = {rows[name]["title"]: wholes(decode_all(shown["draws"][name])) for name in networks}
    return single, drawn


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


def architecture(model: Completer, left: ndarray | None = None) -> Figure:
    """Draw a network to scale: a pixel is as large in every map, sheets stand for channels.

    With a left half (28, 14) in [0, 1], it and its completion stand in the place of the ends.
    """
    layers = stages(layer_table(model))
    figure, axes = pen.sheet(54)
    middle, pixel, x, spans = 25, 0.86, 0.0, []
    for i, (kind, shape) in enumerate(layers):
        if len(shape) == 3:
            maps = f"{shape[0]} maps" if len(layers) < 14 else f"× {shape[0]}"
            width, names = shape[2] * pixel, [f"{shape[1]} × {shape[2]}", maps]
            end = x + _draw_maps(axes, (x, middle), shape, pixel)
        else:
            width, height, names = 1.5, shape[0] ** 0.5 * 0.88 * pixel, [f"{shape[0]}"]
            place = {"facecolor": pen.ORANGE, "linewidth": 0}
            axes.add_patch(Rectangle((x, middle - height / 2), width, height, **place))
            end = x + width
        spans.append((kind, x, x + width / 2, end, names))
        follows = layers[min(i + 1, len(layers) - 1)][1]
        x = end + (6 if len(follows) == len(shape) else 8.4)  # names of both kinds are wide
    if left is not None:
        ends = left, model.predict(torch.from_numpy(left)[None, None])[0, 0].numpy()
        for i, half, words in ((0, ends[0], "left half"), (-1, ends[1], "right half")):
            pen.picture(axes, half, spans[i][1], middle - 14 * pixel, 28 * pixel)
            spans[i][4][1] = words
    _name_stages(axes, spans)
    style = {"arrowstyle": "-|>,head_width=0.13,head_length=0.28", "mutation_scale": 8, "lw": 0.6}
    for before, after in pairwise(spans):
        ends = (after[1] - 0.3, middle), (before[3] + 0.3, middle)
        axes.annotate("", *ends, arrowprops={"color": pen.INK, **style})
    scale = max(1, (end + 6) / WIDTH)  # a long network is drawn smaller
    axes.set_xlim(end / 2 - scale * WIDTH / 2, end / 2 + scale * WIDTH / 2)
    axes.set_ylim(middle + scale * 29, middle - scale * 25)
    return figure


def _draw_maps(axes: Axes, corner: tuple[float, float], shape: tuple, pixel: float) -> float:
    """Draw maps (C, H, W) as sheets, of 32, 64, 128 channels 4, 5, 6; return how wide they are."""
    (x, middle), (channels, rows, columns), step = corner, shape, 0.8
    sheets = max(int(math.log2(channels)) - 1, 1)
    for i in reversed(range(sheets)):
        place = x + step * i, middle - rows * pixel / 2 - step * i
        style = {"facecolor": pen.BLUE, "edgecolor": "white", "linewidth": 0.5}
        sheet = Rectangle(place, columns * pixel, rows * pixel, alpha=1 - 0.11 * i, **style)
        axes.add_patch(sheet)
    return columns * pixel + step * (sheets - 1)


def _name_stages(axes: Axes, spans: Sequence[tuple]) -> None:
    """Write sizes under maps and vectors, and what is done once above a bracket."""
    for _, _, centre, _, names in spans:
        for row, words in enumerate(names):
            pen.say(axes, centre, 43 + 3.5 * row, words, "center", **pen.SMALL)
    start = 0
    for kind, steps in groupby(range(1, len(spans)), key=lambda i: spans[i][0]):
        last = [*steps][-1]
        ends, many = (spans[start][2] + 0.5, spans[last][2] - 0.5), last - start
        if kind != "reshape":
            pen.line(axes, [ends[0], *ends, ends[1]], [8, 7, 7, 8])
            kind += " layers" if kind == "fully connected" else "s" * (many > 1)
            pen.say(axes, sum(ends) / 2, 5.4, f"{many} {kind}", "center", **pen.SMALL)
        start = last
