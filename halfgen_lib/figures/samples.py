"""Charts of drawn samples: rows of the analysis ``generative`` in, a ``Figure`` out."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from .style import BLUE, DASHED, GREEN, GREY, ORANGE, canvas, error_bars
from .tables import Analysis, Methods, drawing

Place = tuple[float, float]  # points from a method's point to the middle of its label
LABEL = {"textcoords": "offset points", "fontsize": 8}
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
    "flow": ((14, -35), (-43, 20)),
    "residual-flow": ((-44, -12), (-31, -16)),
    "ensemble": ((-26, -2),),
}


def perception_distortion(methods: Methods, real: Analysis) -> Figure:
    """Show every method's error against its Frechet distance (Blau and Michaeli 2018), log axes.

    A method that draws has two points, joined: one draw, and the mean of its draws. The dashed
    line with its band is the distance of true images, ``real``, from others. Labels stand where
    ``PLACES`` says, above the points of methods that it does not name.
    """
    figure, axes = canvas(4.1)
    axes.set(xscale="log", yscale="log", xlabel="mean squared error")
    axes.set_ylabel("Frechet distance in the classifier's features")
    for name, row in methods.items():
        _draw_method(axes, row, PLACES.get(name, (ABOVE, ABOVE)))
    axes.axhline(real["frechet"]["mean"], **DASHED)
    axes.margins(0.16, 0.1)
    bottom, top = axes.get_ylim()
    low, high = (max(real["frechet"][end], bottom) for end in ("low", "high"))  # 0 has no logarithm
    axes.axhspan(low, high, color=GREY, alpha=0.12, linewidth=0)
    axes.set_ylim(bottom, top)
    axes.xaxis.set(major_formatter="{x:g}", minor_formatter="{x:g}")
    axes.yaxis.set(major_formatter="{x:g}", minor_formatter=NullFormatter())
    end = {"xycoords": ("axes fraction", "data"), "xytext": (-2, 3), "ha": "right", "color": GREY}
    axes.annotate("true images", (1, real["frechet"]["mean"]), **end, **LABEL)
    return figure


def _draw_method(axes: Axes, row: Analysis, places: Sequence[Place]) -> None:
    """Draw a method's point or, joined, those of one draw and of the mean; thin lines to labels."""
    title, points, color = row["title"], {row["title"]: row}, BLUE
    if row["draws"] > 1:
        mean = row["mean"]
        points = {f"{title}, one draw": row, f"{title}, mean of {mean['count']}": mean}
        color = ORANGE
        pair = [[own[key]["mean"] for own in (row, mean)] for key in ("mse", "frechet")]
        axes.plot(*pair, color=color, linewidth=0.6, alpha=0.6, zorder=1)
    leader = {"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkB": 8}
    near = {"arrowprops": leader, "color": color, "ha": "center", "va": "center", **LABEL}
    for (label, own), fill, place in zip(points.items(), ("full", "none"), places, strict=False):
        (x, wide), (y, high) = (error_bars([own[key]]) for key in ("mse", "frechet"))
        style = {"color": color, "fillstyle": fill, "elinewidth": 0.9, "markersize": 4.5}
        axes.errorbar(x, y, xerr=wide, yerr=high, fmt="o", **style)
        axes.annotate(label, (x[0], y[0]), xytext=place, **near)


def draw_curves(methods: Methods, references: Sequence[str] = ()) -> Figure:
    """Show the error of the best of m draws, which needs the truth, and of the mean of m.

    Lines across mark the errors of the point predictors named in ``references``.
    """
    figure, grid = canvas(2.8, ncols=2, sharey=True)
    keys = {"best_of": "best of m draws (an oracle's choice)", "mean_of": "mean of m draws"}
    for axes, (key, label) in zip(grid, keys.items(), strict=True):
        for row in drawing(methods).values():
            mean, (below, above) = error_bars(row[key][: row["draws"]])
            m = np.arange(1, len(mean) + 1)
            axes.fill_between(m, mean - below, mean + above, alpha=0.15, linewidth=0)
            axes.plot(m, mean, marker=".", markersize=3, label=row["title"])
        for name, line in zip(references, ("--", ":", "-."), strict=False):
            style = DASHED | {"linestyle": line, "label": methods[name]["title"]}
            axes.axhline(methods[name]["mse"]["mean"], **style)
        axes.set(xlabel=label, xscale="log")
        axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.xaxis.set_minor_formatter(NullFormatter())
    grid[0].set_ylabel("mean squared error")
    grid[1].legend()
    return figure


def coverage_bars(methods: Methods) -> Figure:
    """Show how many pixels each sampler's central intervals cover, beside how many they should."""
    rows = list(drawing(methods).values())
    figure, axes = canvas(2.5)
    width, at = 0.38, np.arange(len(rows))
    for level, color, side in zip(rows[0]["coverage"], (BLUE, GREEN), (-0.5, 0.5), strict=True):
        shares, spread = error_bars([row["coverage"][level]["unsettled"] for row in rows])
        style = {"color": color, "label": f"intervals of {float(level):.0%}"}
        axes.bar(at + side * width, shares, width, yerr=spread, error_kw={"lw": 0.9}, **style)
        axes.axhline(float(level), **DASHED | {"color": color})
    axes.set_xticks(at, [row["title"] for row in rows])
    axes.set(ylabel="share of pixels covered", ylim=(0, 1), xlim=(-0.6, max(len(rows), 3) - 0.4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    figure.legend(loc="outside upper right", ncols=2)
    return figure
