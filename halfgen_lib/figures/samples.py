"""The figures of drawn samples: rows of ``generative`` in, a matplotlib ``Figure`` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

from ..paper.display import use_paper_style
from . import BLUE, GREEN, GREY, ORANGE, WIDTH, draw_image, tile

Rows = Mapping[str, Mapping[str, Any]]  # name -> generative.method_row with its title

# Places for a label around its point, in points from it: the nearest first.
SIDES = [(1, 0), (0, 1), (0, -1), (-1, 0)]
CORNERS = [(0.8, 0.8), (0.8, -0.8), (-0.8, 0.8), (-0.8, -0.8)]
PLACES = [(far * x, far * y) for far in (7, 13, 20, 28, 38, 50) for x, y in SIDES + CORNERS]


def drawing(methods: Rows) -> dict[str, Mapping[str, Any]]:
    """Return the rows of the methods that draw."""
    return {name: row for name, row in methods.items() if row["draws"] > 1}


def perception_distortion(methods: Rows, real: Mapping[str, Any]) -> Figure:
    """Show every method's error against its Frechet distance (Blau and Michaeli 2018).

    A method that draws has two points, joined: one draw, and the mean of its draws. The dashed
    line, with its band, is the distance of true images from other true images. Log axes.

    Args:
        methods: name -> row.
        real: the row of the true images.
    """
    use_paper_style()
    figure, axes = plt.subplots(figsize=(WIDTH, 4.1), layout="constrained")
    axes.set(xscale="log", yscale="log", xlabel="mean squared error")
    axes.set_ylabel("Frechet distance in the classifier's features")
    points, bars = _plane_points(methods), []
    for _, row, color, fill in points:
        x, y = _bar(row["mse"]), _bar(row["frechet"])
        low, high = ([row[key][end] for key in ("mse", "frechet")] for end in ("low", "high"))
        bars += [((low[0], y[0]), (high[0], y[0])), ((x[0], low[1]), (x[0], high[1]))]
        style = {"color": color, "fillstyle": fill, "elinewidth": 0.9, "markersize": 4.5}
        axes.errorbar(x[0], y[0], xerr=x[1], yerr=y[1], fmt="o", **style)
    for row in drawing(methods).values():
        pair = [[each[key]["mean"] for each in (row, row["mean"])] for key in ("mse", "frechet")]
        axes.plot(*pair, color=ORANGE, linewidth=0.6, alpha=0.6, zorder=1)
    axes.axhline(real["frechet"]["mean"], color=GREY, linestyle="--", linewidth=0.9)
    axes.margins(0.16, 0.1)
    bottom, top = axes.get_ylim()
    low, high = (max(real["frechet"][end], bottom) for end in ("low", "high"))  # 0 has no logarithm
    axes.axhspan(low, high, color=GREY, alpha=0.12, linewidth=0)
    axes.set_ylim(bottom, top)
    for formatted in (axes.xaxis, axes.yaxis):
        formatted.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    line = axes.annotate(
        "true images",
        (1, real["frechet"]["mean"]),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        color=GREY,
        fontsize=8,
    )
    at = [(row["mse"]["mean"], row["frechet"]["mean"]) for _, row, _, _ in points]
    place_labels(axes, at, [(name, color) for name, _, color, _ in points], [line], bars)
    return figure


def _plane_points(methods: Rows) -> list[tuple[str, Mapping[str, Any], str, str]]:
    """Return label, values, colour and fill of every point."""
    points = []
    for row in methods.values():
        if row["draws"] == 1:
            points.append((row["title"], row, BLUE, "full"))
            continue
        points.append((f"{row['title']}, one draw", row, ORANGE, "full"))
        name = f"{row['title']}, mean of {row['mean']['count']}"
        points.append((name, row["mean"], ORANGE, "none"))
    return points


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    labels: Sequence[tuple[str, str]],
    others: Sequence[Text] = (),
    bars: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
) -> list[Text]:
    """Write each point's label at the nearest place that is free; a thin line leads to a far one.

    Args:
        axes: whose limits and scales are settled.
        points: in data coordinates.
        labels: text and colour of each.
        others: texts that are there already.
        bars: ends of horizontal and vertical lines that no label may cross, in data coordinates.

    Returns:
        The texts. Where every place is taken, the one with the least overlap is used.
    """
    axes.figure.draw_without_rendering()  # settles the layout
    pixels, frame = axes.figure.dpi / 72, axes.get_window_extent()
    centres = axes.transData.transform(points)
    taken = [Text.get_window_extent(text) for text in others]
    taken += [Bbox.from_extents(*(c - 3.5 * pixels), *(c + 3.5 * pixels)) for c in centres]
    taken += [Bbox(axes.transData.transform(ends)).padded(pixels) for ends in bars]
    texts = []
    for centre, point, (name, color) in zip(centres, points, labels, strict=True):
        text = _unplaced(axes, name, point, color)
        size = np.array(Text.get_window_extent(text).size)
        corners = [
            # a label left of its point ends there, one above it is centred on it
            centre + pixels * np.array(place) + size * (np.sign(place) - 1) / 2
            for place in PLACES
        ]
        boxes = [Bbox.from_bounds(*corner, *size) for corner in corners]
        costs = [
            size.prod() - _overlap(box, frame) + sum(_overlap(box, other) for other in taken)
            for box in boxes
        ]
        best = int(np.argmin(np.round(costs)))
        taken.append(boxes[best])
        text.set_position((corners[best] - centre) / pixels)
        text.arrow_patch.set_visible(np.hypot(*PLACES[best]) > 14)
        texts.append(text)
    return texts


def _unplaced(axes: Axes, name: str, point: tuple[float, float], color: str) -> Text:
    text = axes.annotate(
        name,
        point,
        xytext=(0, 0),
        textcoords="offset points",
        fontsize=8,
        color=color,
        arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkB": 3},
    )
    text.set_in_layout(False)  # or the axes would make room, and every place would move
    return text


def _overlap(a: Bbox, b: Bbox) -> float:
    both = Bbox.intersection(a, b)
    return both.width * both.height if both else 0.0


def sample_sheet(
    left: np.ndarray,
    right: np.ndarray,
    point: tuple[str, np.ndarray],
    draws: Mapping[str, np.ndarray],
    row_labels: Sequence[str],
) -> Figure:
    """Show left half, true image, a point prediction and each sampler's draws, an image a row.

    Draws stand in two rows where there are more than three; the other pictures are as high as both.

    Args:
        left, right: (R, 28, 14) halves in [0, 1].
        point: title and (R, 28, 14) prediction.
        draws: title -> (draws, R, 28, 14), as many of each.
        row_labels: R names.
    """
    use_paper_style()
    down = 1 if max(map(len, draws.values()), default=0) <= 3 else 2
    singles = {"given": np.ones_like(right), "true": right, point[0]: point[1]}
    strips = {name: _strip(left, half[None], down) for name, half in singles.items()}
    strips |= {name: _strip(left, drawn, 1, down) for name, drawn in draws.items()}
    widths = [strip.shape[1] for strip in strips.values()]
    gap, margin = 10, 0.85  # pixels; inches for the names
    inch = (WIDTH - margin) / (sum(widths) + gap * (len(strips) - 1))  # of a pixel
    height, head = inch * max(strip.shape[0] for strip in strips.values()), 0.28
    figure = plt.figure(figsize=(WIDTH, height + head), layout="none")
    grid = figure.add_gridspec(
        1,
        len(strips),
        width_ratios=widths,
        left=margin / WIDTH,
        right=1,
        top=height / (height + head),
        bottom=0,
        wspace=gap * len(strips) / sum(widths),
    )
    for place, (name, strip) in zip(grid, strips.items(), strict=True):
        axes = figure.add_subplot(place)
        draw_image(axes, strip)
        axes.set_anchor("N")
        axes.set_title(name, fontsize=7.5, pad=3)
    for row, label in enumerate(row_labels):
        at = (-4, (29 * row + 14) * down)
        figure.axes[0].text(*at, label, ha="right", va="center", fontsize=8)
    return figure


def _strip(left: np.ndarray, halves: np.ndarray, scale: int, down: int = 1) -> np.ndarray:
    """Return whole images, (R, 28, 14) left and (C, R, 28, 14) right, as one grey picture.

    Args:
        scale: pixels a side that show one of an image's.
        down: rows for the C images of one left half.
    """
    images = np.stack([np.concatenate([left, half], axis=2) for half in halves], axis=1)
    missing = -len(halves) % down
    images = np.pad(images, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=1)
    images = images.reshape(len(left) * down, -1, *images.shape[2:])
    return tile(images.repeat(scale, axis=2).repeat(scale, axis=3), gap=scale)


def draw_curves(methods: Rows, references: Sequence[str] = ()) -> Figure:
    """Show the error of the best of m draws, which needs the truth, and of the mean of m.

    Args:
        methods: name -> row; those that draw are shown.
        references: names of point predictors whose error is marked.
    """
    use_paper_style()
    figure, grid = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained", sharey=True)
    keys = {"best_of": "best of m draws (an oracle's choice)", "mean_of": "mean of m draws"}
    for axes, (key, label) in zip(grid, keys.items(), strict=True):
        for row in drawing(methods).values():
            curve = row[key][: row["draws"]]
            mean, low, high = (np.array([v[k] for v in curve]) for k in ("mean", "low", "high"))
            m = np.arange(1, len(curve) + 1)
            axes.fill_between(m, low, high, alpha=0.15, linewidth=0)
            axes.plot(m, mean, marker=".", markersize=3, label=row["title"])
        for name, style in zip(references, ("--", ":", "-.") * len(references), strict=False):
            value = methods[name]["mse"]["mean"]
            title = methods[name]["title"]
            axes.axhline(value, color=GREY, linestyle=style, linewidth=0.9, label=title)
        axes.set(xlabel=label, xscale="log")
        axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.xaxis.set_minor_formatter(NullFormatter())
    grid[0].set_ylabel("mean squared error")
    grid[1].legend()
    return figure


def coverage_bars(methods: Rows) -> Figure:
    """Show how many pixels each sampler's central intervals cover, beside how many they should.

    Args:
        methods: name -> row; those that draw are shown.
    """
    use_paper_style()
    rows = list(drawing(methods).values())
    figure, axes = plt.subplots(figsize=(WIDTH, 2.5), layout="constrained")
    width = 0.38
    for i, (level, color) in enumerate(zip(rows[0]["coverage"], (BLUE, GREEN), strict=True)):
        bars = [_bar(row["coverage"][level]["unsettled"]) for row in rows]
        at = np.arange(len(rows)) + width * (i - 0.5)
        spread = np.concatenate([ends for _, ends in bars], axis=1)
        name = f"intervals of {float(level):.0%}"
        shares = [mean for mean, _ in bars]
        axes.bar(at, shares, width, yerr=spread, color=color, label=name, error_kw={"lw": 0.9})
        axes.axhline(float(level), color=color, linestyle="--", linewidth=0.9)
    axes.set_xticks(np.arange(len(rows)), [row["title"] for row in rows])
    axes.set(ylabel="share of pixels covered", ylim=(0, 1), xlim=(-0.6, max(len(rows), 3) - 0.4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _bar(interval: Mapping[str, float]) -> tuple[float, np.ndarray]:
    """Return a mean and its distances (2, 1) to the interval's ends."""
    mean = interval["mean"]
    return mean, np.abs([[interval["low"] - mean], [interval["high"] - mean]])
