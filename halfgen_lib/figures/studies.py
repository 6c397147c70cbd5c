"""Charts of what was varied: classes' asymmetry, the study's variants, and more of everything."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import spearmanr

from ..data import CLASS_NAMES
from ..variants import GROUPS, NAMES, SAME_STEPS
from . import pen

Point = Summary = Any  # of analysis.summaries, above this package
KINDS = (  # of classes: a name for those that lie together, their numbers, their colour and shape
    ("tops, dresses, coats", [0, 2, 3, 4, 6], pen.BLUE, "o"),
    ("", [1], pen.GREEN, "^"),
    ("", [8], pen.PURPLE, "D"),
    ("", [5, 7, 9], pen.ORANGE, "s"),
)
LOOKS = {  # of a curve: its colour and shape, and how far above its end the last doubling stands
    NAMES["default"]: (pen.BLUE, "o", 0),
    SAME_STEPS: (pen.GREEN, "D", -10),
    NAMES["unet"]: (pen.ORANGE, "s", 0),
}
FAR = 0.14  # a variant whose error is further than this share above the default's is an arrow


def symmetry(mirror: np.ndarray, error: np.ndarray, labels: np.ndarray) -> Figure:
    """Show every image's error against its asymmetry, class means on top, and their correlations.

    ``mirror`` is the error of the left half mirrored, as a guess, ``error`` a network's; all (N,).
    """
    figure, (axes, rows) = pen.canvas(80, ncols=2, width_ratios=(7, 3))
    xlim = np.quantile(mirror, (0.005, 1)) * (1 / 1.2, 1.2)
    ylim = np.quantile(error, (0.0005, 1)) * (1 / 1.2, 1.2)
    ink = LinearSegmentedColormap.from_list("ink", [(0, 0, 0, 0.06), (0, 0, 0, 0.42)])
    scales = {"xscale": "log", "yscale": "log", "extent": np.log10([*xlim, *ylim])}
    look = {"mincnt": 1, "linewidths": 0, "cmap": ink, "norm": PowerNorm(0.6), "gridsize": (58, 26)}
    axes.hexbin(mirror, error, **scales, **look)
    axes.set(xlabel="error of the left half, mirrored, as a guess (more asymmetric →)")
    axes.set(xlim=xlim, ylim=ylim)
    axes.set_title("the network’s error", **pen.NAME)
    for axis, limits in ((axes.xaxis, xlim), (axes.yaxis, ylim)):
        pen.ticks(axis, pen.round_numbers(*limits, 6))
    own = [(mirror[labels == c], error[labels == c]) for c in range(len(CLASS_NAMES))]
    means = np.array([[guessed.mean(), made.mean()] for guessed, made in own])
    names, found = [], []
    for together, classes, color, shape in KINDS:
        white = {"markeredgecolor": "white", "markeredgewidth": 0.6}
        pen.mark(axes, *means[classes].T, shape, color, 5.5, **white)
        each = [(CLASS_NAMES[c], means[c], color) for c in classes]
        names += [(together, means[classes].mean(0), color)] if together else each
        found += [(spearmanr(*own[c])[0], CLASS_NAMES[c], color, shape) for c in classes]
    pen.name_points(axes, names)
    found = [
        *sorted(found, reverse=True),
        (spearmanr(mirror, error)[0], "all images", pen.INK, "o"),
    ]
    for row, (value, _, color, shape) in enumerate(found):
        pen.line(rows, [0, value], [row, row], color, 0.8, alpha=0.6)
        pen.mark(rows, value, row, shape, color, 4.5)
        pen.beside(rows, f"{value:.2f}".replace("-", "\u2212"), (value, row), **pen.SMALL)
    rows.set(ylim=(len(found) - 0.4, -0.6), xlim=(min(0, 1.2 * min(found)[0]), 1.15), xticks=[])
    rows.set_yticks(range(len(found)), [name for _, name, *_ in found])
    rows.spines["bottom"].set_visible(False)
    rows.tick_params(left=False)
    rows.set_title("rank correlation", **pen.NAME)
    return figure


def factor_dots(factors: Mapping[str, Sequence[Summary]], default: Summary) -> Figure:
    """Show the validation error of every variant on one scale, in the groups of ``GROUPS``.

    The band is twice the standard deviation of the ``default``'s seeds to either side of their
    mean; a mark is filled where a variant leaves it; strokes are seeds. What is further away than
    the share ``FAR`` is an arrow with its number. A star: what validates on the test images.
    """
    rows, y = [], 5.0  # of a group, or of a variant: height in mm, words, summary
    for group, own in GROUPS.items():
        if there := [(usual, factors[name]) for name, usual in own.items() if name in factors]:
            rows.append((y := y + 5.6, group, None))
        for usual, variants in there:
            y += 0.9
            for number, summary in enumerate(s for s in variants if s.variant != default.variant):
                rows.append((y := y + 3.8, usual if number == 0 else "", summary))
    mean, band = default.mean("val_mse"), 2 * default.sd("val_mse")
    shown = [value for *_, s in rows if s for value in s.values("val_mse")]
    limits = min([mean - band, *shown]) - 0.05 * FAR * mean, (1 + FAR) * mean
    figure, page = pen.sheet(y + 15)
    axes = pen.panel(figure, 80, 8, 56, y - 4, xlim=limits, ylim=(y + 4, 8))
    axes.axvspan(mean - band, mean + band, color=pen.INK, alpha=0.1, linewidth=0)
    axes.axvline(mean, color=pen.INK, linewidth=0.5)
    axes.set_xlabel("validation error (mean squared)")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False, labelleft=False)
    pen.say(axes, mean, 6.4, f"{default.name}: {mean:.4f} ± {band:.4f}", "center")
    for x, words in ((0, "by default"), (40, "instead"), (pen.WIDTH, "change")):
        pen.say(page, x, 6.4, words, "right" if x == pen.WIDTH else "left", **pen.NAME)
    for height, words, summary in rows:
        pen.say(page, 0, height + 0.95, words, **(pen.TITLE if summary is None else pen.QUIET))
        if summary:
            _draw_variant(axes, height, summary, mean, band)
            star = "" if summary.can_be_chosen else "*"
            pen.say(page, 40, height + 0.95, summary.name + star)
            change = pen.percent(summary.mean("val_mse") / mean - 1)
            pen.say(page, pen.WIDTH, height + 0.95, change, "right", **pen.SMALL)
    return figure


def _draw_variant(axes: Axes, height: float, summary: Summary, mean: float, band: float) -> None:
    values, value, end = summary.values("val_mse"), summary.mean("val_mse"), axes.get_xlim()[1]
    clear = abs(value - mean) > band
    color = pen.INK if not clear else pen.BLUE if value < mean else pen.ORANGE
    axes.axhline(height, color=pen.INK, alpha=0.1, linewidth=0.4)
    if value > end:
        style = {"color": color, **pen.SMALL}
        return pen.beside(axes, f"{value:.4f} →", (end, height), (0, 0), "right", **style)
    pen.mark(axes, values, [height] * len(values), "|", color, 4.5, markeredgewidth=0.6)
    face = {} if clear else {"markerfacecolor": "none"}
    pen.mark(axes, value, height, "o", color, 4, **face)


def error_curves(curves: Mapping[str, Mapping[str, Sequence[Point]]]) -> Figure:
    """Show the test error against what lowers it, one panel a quantity, all on the same scales.

    ``curves``: quantity -> network, of those in ``LOOKS`` -> its points. A decade is as wide in
    each panel, so that slopes compare; at each end stands what the last doubling gave.
    """
    points = {quantity: [*chain(*found.values())] for quantity, found in curves.items()}
    xs = {quantity: [point.x for point in own] for quantity, own in points.items()}
    ends = {name: (min(own) / 1.3, max(own) * 3.2) for name, own in xs.items()}  # room at the end
    decades = [math.log10(end / start) for start, end in ends.values()]
    lowest = min(point.summary.mean("test_mse") for point in chain(*points.values()))
    limits = 0.95 * lowest, 2.05 * lowest
    shape = {"sharey": True, "squeeze": False, "width_ratios": decades}
    figure, (row,) = pen.canvas(72, ncols=len(curves), **shape)
    for axes, (quantity, networks) in zip(row, curves.items(), strict=True):
        axes.set(xscale="log", yscale="log", xlim=ends[quantity], ylim=limits, xlabel=quantity)
        most = max(xs[quantity])
        numbers = pen.round_numbers(ends[quantity][0], most, 30 // len(f"{most:,.0f}"))
        pen.ticks(axes.xaxis, numbers, "{:,.0f}")
        axes.grid(axis="y")
        for name, own in networks.items():
            _draw_curve(axes, own, name)
    levels = MaxNLocator(6).tick_values(*limits)
    pen.ticks(row[0].yaxis, levels[(limits[0] < levels) & (levels < limits[1])], "{:.3f}")
    row[0].set_title("test error (mean squared)", **pen.NAME)
    pen.legend(figure, len(LOOKS))
    return figure


def last_doubling(points: Sequence[Point]) -> float:
    """Return the relative change of the error by a doubling, between the two rightmost points."""
    (x0, before), (x1, after) = points[-2:]
    return (after.mean("test_mse") / before.mean("test_mse")) ** (1 / math.log2(x1 / x0)) - 1


def _draw_curve(axes: Axes, points: Sequence[Point], name: str) -> None:
    """Draw a network's means and seeds, what the last doubling gave, and what lies above."""
    color, shape, above = LOOKS[name]
    xs, ys = [p.x for p in points], [p.summary.mean("test_mse") for p in points]
    pen.line(axes, xs, ys, color, 1)
    pen.mark(axes, xs, ys, shape, color, 4, label=name)
    for x, point in zip(xs, points, strict=True):
        seeds = point.summary.values("test_mse")
        pen.mark(axes, [x] * len(seeds), seeds, "_", color, 4, alpha=0.7, zorder=3)
    if len(points) > 1:
        change, end = pen.percent(last_doubling(points)), (xs[-1], ys[-1])
        pen.beside(axes, change, end, (5, above), color=color, **pen.SMALL)
    if ys[0] > (top := axes.get_ylim()[1]):
        x = math.exp(np.interp(math.log(top), np.log(ys)[::-1], np.log(xs)[::-1]))
        told = f"{ys[0]:.4f} with {xs[0]:,.0f}"
        pen.beside(axes, told, (x, top), (6, -7), color=color, **pen.SMALL)
