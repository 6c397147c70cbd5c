"""Charts of drawn samples: rows of the analysis ``generative`` in, a ``Figure`` out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from .style import BLUE, GREEN, GREY, ORANGE, canvas, error_bars
from .tables import Methods, drawing

Place = tuple[float, float]  # points from a method's point to the middle of its label

ABOVE = (0, 12)
PLACES: dict[str, tuple[Place, ...]] = {  # of a prediction or one draw, then of the mean of draws
    "train_mean": ((25, -1),),
    "mirror": ((0, 12),),
    "nearest": ((-20, 9),),
    "ridge": ((21, -1),),
    "low_rank": ((3, 12),),
    "components": ((-17, 5),),
    "donor": ((34, -1), (38, 6)),
    "default": ((0, -40),),
    "unet": ((-17, 9),),
    "cvae": ((-34, -6), (-42, 14)),
    "gan": ((32, -1), (73, 8)),
    "flow": ((14, -35), (-40, 15)),
    "residual-flow": ((-44, -12), (-31, -16)),
    "ensemble": ((-26, -2),),
}


def perception_distortion(methods: Methods, real: Mapping[str, Any]) -> Figure:
    """Show every method's error against its Frechet distance (Blau and Michaeli 2018).

    A method that draws has two points, joined: one draw, and the mean of its draws. The dashed
    line, with its band, is the distance of true images from other true images. Log axes. Labels
    stand where ``PLACES`` says, those of methods that it does not name above their points.

    Args:
        methods: name -> row.
        real: the row of the true images.
    """
    figure, axes = canvas(4.1)
    axes.set(xscale="log", yscale="log", xlabel="mean squared error")
    axes.set_ylabel("Frechet distance in the classifier's features")
    for label, row, color, fill, place in _plane_points(methods):
        (x, wide), (y, high) = (error_bars([row[key]]) for key in ("mse", "frechet"))
        style = {"color": color, "fillstyle": fill, "elinewidth": 0.9, "markersize": 4.5}
        axes.errorbar(x, y, xerr=wide, yerr=high, fmt="o", **style)
        _label(axes, label, (x[0], y[0]), place, color)
    for row in drawing(methods).values():
        pair = [[each[key]["mean"] for each in (row, row["mean"])] for key in ("mse", "frechet")]
        axes.plot(*pair, color=ORANGE, linewidth=0.6, alpha=0.6, zorder=1)
    axes.axhline(real["frechet"]["mean"], color=GREY, linestyle="--", linewidth=0.9)
    axes.margins(0.16, 0.1)
    bottom, top = axes.get_ylim()
    low, high = (max(real["frechet"][end], bottom) for end in ("low", "high"))  # 0 has no logarithm
    axes.axhspan(low, high, color=GREY, alpha=0.12, linewidth=0)
    axes.set_ylim(bottom, top)
    axes.xaxis.set(major_formatter=StrMethodFormatter("{x:g}"))
    axes.xaxis.set(minor_formatter=StrMethodFormatter("{x:g}"))
    axes.yaxis.set(major_formatter=StrMethodFormatter("{x:g}"), minor_formatter=NullFormatter())
    end = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (-2, 3)}
    at = (1, real["frechet"]["mean"])
    axes.annotate("true images", at, **end, ha="right", color=GREY, fontsize=8)
    return figure


def _plane_points(methods: Methods) -> Iterator[tuple[str, Mapping[str, Any], str, str, Place]]:
    """Yield label, values, colour, fill and the label's place of every point."""
    for name, row in methods.items():
        one, *mean = PLACES.get(name, (ABOVE, ABOVE))
        if row["draws"] == 1:
            yield row["title"], row, BLUE, "full", one
        else:
            yield f"{row['title']}, one draw", row, ORANGE, "full", one
            label = f"{row['title']}, mean of {row['mean']['count']}"
            yield label, row["mean"], ORANGE, "none", mean[0]


def _label(axes: Axes, name: str, point: tuple[float, float], place: Place, color: str) -> None:
    """Write a label near its point; a thin line leads to one that is far."""
    axes.annotate(
        name,
        point,
        xytext=place,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=8,
        color=color,
        arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkB": 8},
    )


def draw_curves(methods: Methods, references: Sequence[str] = ()) -> Figure:
    """Show the error of the best of m draws, which needs the truth, and of the mean of m.

    Args:
        methods: name -> row; those that draw are shown.
        references: names of point predictors whose error is marked.
    """
    figure, grid = canvas(2.8, ncols=2, sharey=True)
    keys = {"best_of": "best of m draws (an oracle's choice)", "mean_of": "mean of m draws"}
    for axes, (key, label) in zip(grid, keys.items(), strict=True):
        for row in drawing(methods).values():
            mean, (below, above) = error_bars(row[key][: row["draws"]])
            m = np.arange(1, len(mean) + 1)
            axes.fill_between(m, mean - below, mean + above, alpha=0.15, linewidth=0)
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


def coverage_bars(methods: Methods) -> Figure:
    """Show how many pixels each sampler's central intervals cover, beside how many they should.

    Args:
        methods: name -> row; those that draw are shown.
    """
    rows = list(drawing(methods).values())
    figure, axes = canvas(2.5)
    width = 0.38
    for i, (level, color) in enumerate(zip(rows[0]["coverage"], (BLUE, GREEN), strict=True)):
        shares, spread = error_bars([row["coverage"][level]["unsettled"] for row in rows])
        at = np.arange(len(rows)) + width * (i - 0.5)
        name = f"intervals of {float(level):.0%}"
        axes.bar(at, shares, width, yerr=spread, color=color, label=name, error_kw={"lw": 0.9})
        axes.axhline(float(level), color=color, linestyle="--", linewidth=0.9)
    axes.set_xticks(np.arange(len(rows)), [row["title"] for row in rows])
    axes.set(ylabel="share of pixels covered", ylim=(0, 1), xlim=(-0.6, max(len(rows), 3) - 0.4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    figure.legend(loc="outside upper right", ncols=2)
    return figure
