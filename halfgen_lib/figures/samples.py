"""Charts of drawn samples: rows of the analysis ``generative`` in, a ``Figure`` out."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..variants import NAMES
from . import pen
from .tables import Analysis, Methods, drawing

NETWORKS = {*NAMES, "ensemble"}
# of what a method is: shape, colour, filled
SIMPLE, PREDICTS = ("s", pen.INK, True), ("o", pen.BLUE, True)
DRAWS, MEANS = ("D", pen.ORANGE, True), ("D", pen.ORANGE, False)


def perception_distortion(methods: Methods, real: Analysis) -> Figure:
    """Show every method's error against its Fréchet distance (Blau and Michaeli 2018), log axes.

    A method that draws has two points, joined: one draw, and the mean of its draws. Methods
    that err far more than every draw, and the distance of true images, ``real``, are told at the
    edges; those whose distance was not measured are left out.
    """
    methods = {name: row for name, row in methods.items() if "frechet" in row}
    drawn = drawing(methods)
    most = 1.15 * max((row["mse"]["mean"] for row in drawn.values()), default=np.inf)
    near = {name: row for name, row in methods.items() if row["mse"]["mean"] <= most}
    both = [own for row in near.values() for own in (row, row.get("mean", row))]
    ends = {
        axis: (0.92 * min(own[key]["low"] for own in both), 1.1 * max(o[key]["high"] for o in both))
        for axis, key in (("x", "mse"), ("y", "frechet"))
    }
    figure, page = pen.sheet(95)
    limits = {"xlim": ends["x"], "ylim": ends["y"], "xscale": "log", "yscale": "log"}
    axes = pen.panel(figure, 8, 16, pen.WIDTH - 9, 66, **limits)
    pen.ticks(axes.xaxis, pen.round_numbers(*ends["x"]), "{:g}")
    pen.ticks(axes.yaxis, pen.round_numbers(*ends["y"], 4), "{:g}")
    axes.set_xlabel("mean squared error", labelpad=3)
    axes.set_title("Fréchet distance from true images", **pen.NAME)
    names = []
    for name, row in near.items():
        kind = DRAWS if name in drawn else PREDICTS if name in NETWORKS else SIMPLE
        mean = _draw_point(axes, row["mean"], MEANS) if name in drawn else None
        at = _draw_point(axes, row, kind)  # over its mean, where one draw is all there is
        names.append((row["title"], at, kind[1]))
        if mean:
            pen.line(axes, *zip(at, mean, strict=True), kind[1], 0.8, alpha=0.6, zorder=2)
    pen.name_points(axes, names)
    far = [
        f"{row['title']} at {row['mse']['mean']:.3f} and {row['frechet']['mean']:.0f} ↗"
        for name, row in methods.items()
        if name not in near
    ]
    quiet = {**pen.SMALL, **pen.QUIET}
    pen.say(page, pen.WIDTH, 14.5, "\n".join(far), "right", **quiet)
    pen.say(page, 8, 92.5, f"↓ other true images, at {real['frechet']['mean']:.1f}", **quiet)
    pen.say(page, pen.WIDTH, 92.5, "← nearer to the truth", "right", **quiet)
    count = next((row["mean"]["count"] for row in drawn.values()), 0)
    kinds = {"simple predictor": SIMPLE, "network that predicts the mean": PREDICTS}
    kinds |= {"one draw of a sampler": DRAWS, f"mean of {count} of its draws": MEANS}
    for kind, (shape, color, filled) in kinds.items():
        pen.mark(axes, [], [], shape, color, 5, filled, label=kind)
    pen.legend(figure, 4)
    return figure


def _draw_point(axes: Axes, row: Analysis, kind: tuple[str, str, bool]) -> tuple[float, float]:
    """Draw a point with its intervals and return where it is."""
    x, y, (shape, color, filled) = row["mse"], row["frechet"], kind
    pen.line(axes, [x["low"], x["high"]], [y["mean"]] * 2, color, alpha=0.5)
    pen.line(axes, [x["mean"]] * 2, [y["low"], y["high"]], color, alpha=0.5)
    pen.mark(axes, x["mean"], y["mean"], shape, color, 5, filled)
    return x["mean"], y["mean"]
