"""Charts of errors by class, method and epoch, of how real draws look, and of pixels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..variants import NAMES
from . import pen
from .tables import Analysis, Methods, drawing

Panels = Mapping[str, Sequence[Mapping[str, float]]]  # axis label -> {mean, low, high} a name
History = Mapping[str, Sequence[float]]  # train_loss, val_loss and lr, one number an epoch
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# of what a method is: shape, colour, filled
SIMPLE, PREDICTS = ("s", pen.INK, True), ("o", pen.BLUE, True)
DRAWS, MEANS = ("D", pen.ORANGE, True), ("D", pen.ORANGE, False)


def pixel_histogram(counts: np.ndarray) -> Figure:
    """Show how often each grey value occurs: counts (256,) of the values 0 to 255."""
    figure, axes = pen.canvas(50)
    axes.set(xlabel="pixel value", title="share of pixels", yscale="log", xlim=(-0.01, 1.01))
    pen.ticks(axes.yaxis, [10.0**n for n in (-4, -3, -2, -1, 0)])  # of which the bars show some
    axes.bar(np.arange(256) / 255, counts / counts.sum(), width=1 / 255, color=pen.BLUE)
    return figure


def dots(
    panels: Panels, names: pen.Names, *, reference: Mapping[str, float] = {}, height: float = 70
) -> Figure:
    """Show a value with its interval for each name, one panel a measure, names down the side.

    ``reference``: axis label -> a value to mark with a dashed line; ``height`` is in mm.
    """
    figure, axes = pen.canvas(height, ncols=len(panels), sharey=True, squeeze=False)
    rows = np.arange(len(names))
    for ax, (label, values) in zip(axes[0], panels.items(), strict=True):
        mean, low, high = np.array([[v["mean"], v["low"], v["high"]] for v in values]).T
        bars = {"xerr": [mean - low, high - mean], "elinewidth": 1.2}
        ax.errorbar(mean, rows, fmt="o", color=pen.BLUE, markersize=4, **bars)
        if label in reference:
            ax.axvline(reference[label], **pen.DASHED)
        ax.set_xlabel(label)
        ax.grid(axis="y")
    axes[0, 0].set_yticks(rows, names)
    axes[0, 0].invert_yaxis()
    return figure


def score_dots(scores: Mapping[str, Any], *, reference: str = "", height: float = 70) -> Figure:
    """Show MSE and SSIM of each class or method; dashed lines mark the means of ``reference``.

    ``scores``: name -> its scores, as :func:`evaluation.summarise` returns them.
    """
    keys = {"MSE (lower is better)": "mse", "SSIM (higher is better)": "ssim"}
    panels = {label: [own[key] for own in scores.values()] for label, key in keys.items()}
    marked = {label: scores[reference][keys[label]]["mean"] for label in keys if reference}
    return dots(panels, list(scores), reference=marked, height=height)


def loss_curves(
    panels: Mapping[str, Sequence[History]], reference: float, seed: History | None = None
) -> Figure:
    """Show training and validation loss by epoch on one scale, a line a seed, one panel a network.

    ``panels``: title -> the histories of a network's seeds. Circles mark the lowest validation
    losses, strokes at the foot each fall of the learning rate, a row a seed, and a thin line the
    ``reference``, which the seed's report states. Its own curves are thick in the first panel.
    """
    every = [own for histories in panels.values() for own in histories]
    third = [own["val_loss"][:3][-1] for own in every]  # the first one: far above
    low, high = min(min(*h["train_loss"], *h["val_loss"]) for h in every), max(reference, *third)
    limits = low - 0.14 * (high - low), high + 0.05 * (high - low)
    figure, (row,) = pen.canvas(82, ncols=len(panels), sharey=True, squeeze=False)
    for axes, (title, histories) in zip(row, panels.items(), strict=True):
        axes.axhline(reference, label=f"the seed’s {reference:g}", **pen.THIN)
        for number, history in enumerate(histories):
            _draw_losses(axes, history, limits[0] + (0.015 + 0.025 * number) * (high - low))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 5, 10]))
        axes.set(xlabel="epoch", ylim=limits)
        axes.set_title(title, **pen.TITLE)
    kinds = ("val_loss", "validation", "-"), ("train_loss", "training", (0, (2, 1.2)))
    for key, words, dashes in kinds if seed else ():
        style = {"width": 1.5, "linestyle": dashes, "label": f"the seed’s {words}"}
        pen.line(row[0], np.arange(1, len(seed[key]) + 1), seed[key], **style)
    pen.legend(figure, 4)
    return figure


def _draw_losses(axes: Axes, history: History, foot: float) -> None:
    """Draw one seed's losses, the lowest circled, and at the height ``foot`` what the rate does."""
    validation, rate = np.array(history["val_loss"]), np.array(history["lr"])
    epochs, best = np.arange(1, len(rate) + 1), int(validation.argmin())
    pen.line(axes, epochs, validation, pen.BLUE, 0.9, label="validation")
    pen.line(axes, epochs, history["train_loss"], pen.ORANGE, 0.9, label="training")
    pen.mark(
        axes, epochs[best], validation[best], "o", pen.BLUE, 4, False, label="lowest validation"
    )
    halved = epochs[1:][np.diff(rate) < 0] - 0.5
    pen.mark(
        axes, halved, np.full(len(halved), foot), "|", pen.INK, 2.6, label="learning rate falls"
    )


def singular_values(values: Sequence[float], latent_dim: int) -> Figure:
    """Show singular values on a logarithmic scale, and the size of the code that limits them."""
    figure, axes = pen.canvas(56)
    shown = np.maximum(values, values[0] * 1e-17)
    axes.plot(np.arange(1, len(values) + 1), shown, ".", color=pen.BLUE)
    axes.axvline(latent_dim + 0.5, **pen.DASHED)
    pen.beside(axes, f"latent code: {latent_dim}", (latent_dim + 0.5, values[0]))
    axes.set(xlabel="number", title="singular value", yscale="log")
    powers = range(round(math.log10(shown[-1])), round(math.log10(values[0])) + 1, 4)
    names = [f"10{str(n).translate(RAISED)}" for n in powers]
    pen.ticks(axes.yaxis, [10.0**n for n in powers], names)
    return figure


def perception_distortion(methods: Methods, real: Analysis) -> Figure:
    """Show every method's error against its Fréchet distance (Blau and Michaeli 2018), log axes.

    A method that draws has two points, joined: one draw, and the mean of its draws. Methods
    that err far more than every draw, and the distance of true images, ``real``, are told at the
    edges.
    """
    drawn = drawing(methods)
    most = 1.15 * max((row["mse"]["mean"] for row in drawn.values()), default=np.inf)
    near = {name: row for name, row in methods.items() if row["mse"]["mean"] <= most}
    both = [own for row in near.values() for own in (row, row.get("mean", row))]
    xlim, ylim = (
        (0.92 * min(own[key]["low"] for own in both), 1.1 * max(own[key]["high"] for own in both))
        for key in ("mse", "frechet")
    )
    figure, page = pen.sheet(95)
    axes = pen.panel(figure, 8, 16, pen.WIDTH - 9, 66, xscale="log", yscale="log")
    axes.set(xlim=xlim, ylim=ylim)
    pen.ticks(axes.xaxis, pen.round_numbers(*xlim))
    pen.ticks(axes.yaxis, pen.round_numbers(*ylim, 4))
    axes.set_xlabel("mean squared error", labelpad=3)
    axes.set_title("Fréchet distance from true images", **pen.NAME)
    names = []
    for name, row in near.items():
        kind = DRAWS if name in drawn else PREDICTS if name in NAMES else SIMPLE
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
