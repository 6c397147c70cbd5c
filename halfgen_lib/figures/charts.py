"""Charts of errors: by class, by method, by epoch, by factor of the study, by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullLocator

from ..runs.record import Record
from .style import BLUE, GREEN, GREY, ORANGE, Intervals, canvas, error_bars

if TYPE_CHECKING:
    from ..analysis.curves import Point
    from ..analysis.summaries import Summary

SERIES = (("validation", "o", BLUE), ("test", "s", ORANGE))


def pixel_histogram(counts: np.ndarray) -> Figure:
    """Show how often each grey value occurs: counts (256,) of the values 0 to 255."""
    figure, axes = canvas(2.0)
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
        height: of the figure.
    """
    figure, axes = canvas(height, ncols=len(panels), sharey=True, squeeze=False)
    rows = np.arange(len(names))
    for ax, (label, values) in zip(axes[0], panels.items(), strict=True):
        mean, spread = error_bars(values)
        ax.errorbar(mean, rows, xerr=spread, fmt="o", color=BLUE, markersize=4, elinewidth=1.2)
        if reference and label in reference:
            ax.axvline(reference[label], color=GREY, linestyle="--", linewidth=0.9)
        ax.set_xlabel(label)
        ax.grid(axis="y", alpha=0.3)
    axes[0, 0].set_yticks(rows, names)
    axes[0, 0].invert_yaxis()
    return figure


def score_dots(
    scores: Mapping[str, Mapping[str, Any]], *, reference: str = "", height: float = 2.8
) -> Figure:
    """Show MSE and SSIM, as :func:`evaluation.summarise` returns them, for each class or method.

    Args:
        scores: name -> its scores.
        reference: a name whose means are marked with dashed lines.
        height: of the figure.
    """
    keys = {"MSE (lower is better)": "mse", "SSIM (higher is better)": "ssim"}
    panels = {label: [own[key] for own in scores.values()] for label, key in keys.items()}
    marked = {label: scores[reference][keys[label]]["mean"] for label in keys if reference}
    return dots(panels, list(scores), reference=marked, height=height)


def loss_curves(history: Mapping[str, np.ndarray], reference: float, name: str) -> Figure:
    """Show training and validation loss by epoch, the best epoch, and each learning-rate drop.

    Args:
        history: columns epoch, train_loss, val_loss, lr, each (epochs,).
        reference: a loss to mark with a dashed line.
        name: what that loss is.
    """
    figure, axes = canvas(2.7)
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
        label = "learning rate falls" if i == 0 else None
        axes.axvline(drop - 0.5, color=GREEN, linestyle=":", linewidth=1.1, label=label)
    axes.axhline(reference, color=GREY, linestyle="--", linewidth=0.9, label=name)
    shown = np.concatenate([val, history["train_loss"]])
    low, high = shown.min(), min(shown.max(), 2.2 * val.min())  # the first epoch may dwarf the rest
    margin = 0.2 * (high - low) or 0.1 * low
    axes.set(xlabel="epoch", ylabel="mean squared error", ylim=(low - margin, high + margin / 4))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure


def singular_values(values: Sequence[float], latent_dim: int) -> Figure:
    """Show singular values on a logarithmic scale, and the size of the code that limits them."""
    figure, axes = canvas(2.2)
    floor = values[0] * 1e-17
    axes.plot(np.arange(1, len(values) + 1), np.maximum(values, floor), ".", color=BLUE)
    axes.axvline(latent_dim + 0.5, color=GREY, linestyle="--", linewidth=0.9)
    axes.annotate(f"latent code: {latent_dim}", (latent_dim + 2, values[0]), va="top", color=GREY)
    axes.set(xlabel="number", ylabel="singular value", yscale="log")
    return figure


def factor_dots(factors: Mapping[str, Sequence[Summary]], default: Summary | None = None) -> Figure:
    """Show validation and test error with their intervals, one panel a factor, two in a row.

    Each panel has its own scale: what differs within a factor would vanish on a common one.

    Args:
        factors: factor -> the summaries of its variants.
        default: whose validation error is marked with a dashed line, if it has records.
    """
    counts = [len(own) for own in factors.values()]
    heights = [max(counts[i : i + 2]) for i in range(0, len(counts), 2)]
    figure, grid = canvas(
        0.19 * sum(heights) + 0.45 * len(heights) + 0.5,
        nrows=len(heights),
        ncols=2,
        squeeze=False,
        height_ratios=heights,
    )
    for ax, (factor, own) in zip(grid.flat, factors.items(), strict=False):
        _draw_factor(ax, own)
        if default and default.count:
            ax.axvline(default.mean("val_mse"), color=GREY, linestyle="--", linewidth=0.8)
        ax.set_title(factor.replace("_", " "), fontsize=8.5, pad=3)
    for ax in grid.flat[len(factors) :]:
        ax.set_axis_off()
    figure.supxlabel("mean squared error", fontsize=9)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _draw_factor(ax: Axes, variants: Sequence[Summary]) -> None:
    rows = np.arange(len(variants))
    measures = zip(SERIES, ("val_mse", "test_mse"), (-0.12, 0.12), strict=True)
    for (name, marker, color), measure, shift in measures:
        mean, spread = error_bars([summary.interval(measure) for summary in variants])
        style = {"fmt": marker, "color": color, "markersize": 3.4, "elinewidth": 1}
        ax.errorbar(mean, rows + shift, xerr=spread, label=name, **style)
    ax.set_yticks(rows, [summary.variant for summary in variants], fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=7.5)
    ax.grid(axis="y", alpha=0.3)


def error_curves(
    curves: Mapping[str, Mapping[str, Sequence[Point]]], floor: float | None = None
) -> Figure:
    """Show the test error against what lowers it, one panel a quantity, each with its own scale.

    Args:
        curves: quantity -> network, two at most -> its points.
        floor: an error that cannot be the lowest possible one, only above it; dashed.
    """
    figure, row = canvas(2.4, ncols=len(curves), squeeze=False)
    names = dict.fromkeys(name for networks in curves.values() for name in networks)
    marks = dict(zip(names, [style for _, *style in SERIES], strict=False))
    for ax, (quantity, networks) in zip(row[0], curves.items(), strict=True):
        for name, points in networks.items():
            marker, color = marks[name]
            mean, spread = error_bars([point.summary.interval("test_mse") for point in points])
            style = {"marker": marker, "color": color, "markersize": 4, "lw": 1}
            ax.errorbar([point.x for point in points], mean, spread, label=name, **style)
        if floor is not None:
            ax.axhline(floor, color=GREY, linestyle="--", linewidth=0.8)
        ax.set(xscale="log", xlabel=quantity)
        ax.set_xticks(_round_numbers(*ax.get_xlim()))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))  # k: thousands, M, G, T: 10^12
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_locator(MaxNLocator(5))
    row[0, 0].set_ylabel("mean squared error (test)")
    figure.legend(*row[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _round_numbers(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers between two positive ones, as many as ``most`` allows."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        numbers = [step * power for power in powers for step in steps]
        inside = [number for number in numbers if low <= number <= high]
        if len(inside) <= most:
            break
    return inside


def seed_curves(panels: Mapping[str, Sequence[Record]], reference: float) -> Figure:
    """Show losses and learning rate by epoch, a line a seed, one column a variant.

    Circles mark the epochs of the lowest validation loss. The losses of the first epochs may lie
    above the frame.

    Args:
        panels: title -> the records of a variant's seeds.
        reference: a loss to mark with a dashed line.
    """
    shape = {"nrows": 2, "ncols": len(panels), "sharex": "col", "sharey": "row"}
    figure, grid = canvas(3.3, **shape, squeeze=False, height_ratios=(3, 1))
    for (losses, rates), (title, records) in zip(grid.T, panels.items(), strict=True):
        for i, record in enumerate(records):
            _draw_seed(losses, rates, record, named=i == 0)
        losses.axhline(reference, color=GREY, linestyle="--", linewidth=0.9)
        losses.set_title(title, fontsize=8.5, pad=3)
        rates.set(yscale="log", xlabel="epoch")
        rates.xaxis.get_major_locator().set_params(integer=True)
    shown = [record.history for records in panels.values() for record in records]
    low = min(min(*own.train_loss, *own.val_loss) for own in shown)
    high = max(own.val_loss[min(2, len(own.val_loss) - 1)] for own in shown)
    grid[0, 0].set(ylabel="mean squared error", ylim=(low - 0.05 * (high - low), high))
    grid[1, 0].set_ylabel("learning rate")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


def _draw_seed(losses: Axes, rates: Axes, record: Record, named: bool) -> None:
    """Draw one run; ``named``: its lines stand in the legend for those of all seeds."""
    history, best = record.history, record.best_epoch
    epochs = np.arange(1, len(history.val_loss) + 1)
    training, validation, lowest = ("training", "validation", "lowest") if named else (None,) * 3
    losses.plot(epochs, history.train_loss, color=ORANGE, linewidth=0.9, label=training)
    losses.plot(epochs, history.val_loss, color=BLUE, linewidth=0.9, label=validation)
    circle = {"color": BLUE, "markersize": 6, "fillstyle": "none", "label": lowest}
    losses.plot(best, history.val_loss[best - 1], "o", **circle)
    rates.step(epochs, history.lr, where="mid", color=GREEN, linewidth=0.9)
