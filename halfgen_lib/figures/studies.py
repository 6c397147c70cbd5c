"""The study's figures: means and intervals in, a matplotlib ``Figure`` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullLocator

from ..paper.display import use_paper_style
from ..runs.record import Record
from . import BLUE, GREEN, GREY, ORANGE, WIDTH, Intervals

SERIES = (("validation", "o", BLUE), ("test", "s", ORANGE))


def factor_dots(
    panels: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]],
    *,
    reference: float | None = None,
    label: str = "mean squared error",
) -> Figure:
    """Show validation and test values with their intervals, one panel a factor, two in a row.

    Each panel has its own scale: what differs within a factor would vanish on a common one.

    Args:
        panels: factor -> variant -> the two {mean, low, high}.
        reference: a value to mark with a dashed line in every panel.
        label: of all horizontal axes.
    """
    use_paper_style()
    counts = [len(rows) for rows in panels.values()]
    heights = [max(counts[i : i + 2]) for i in range(0, len(counts), 2)]
    figure, grid = plt.subplots(
        len(heights),
        2,
        figsize=(WIDTH, 0.19 * sum(heights) + 0.45 * len(heights) + 0.5),
        layout="constrained",
        squeeze=False,
        height_ratios=heights,
    )
    for ax, (factor, rows) in zip(grid.flat, panels.items(), strict=False):
        _draw_factor(ax, rows, reference)
        ax.set_title(factor.replace("_", " "), fontsize=8.5, pad=3)
    for ax in grid.flat[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel(label, fontsize=9)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _draw_factor(
    ax: Axes, rows: Mapping[str, Sequence[Mapping[str, float]]], reference: float | None
) -> None:
    for place, (name, marker, color) in enumerate(SERIES):
        mean, spread = _mean_and_spread([intervals[place] for intervals in rows.values()])
        y = np.arange(len(rows)) + 0.24 * place - 0.12
        ax.errorbar(
            mean, y, xerr=spread, fmt=marker, color=color, markersize=3.4, elinewidth=1, label=name
        )
    if reference is not None:
        ax.axvline(reference, color=GREY, linestyle="--", linewidth=0.8)
    ax.set_yticks(np.arange(len(rows)), list(rows), fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=7.5)
    ax.grid(axis="y", alpha=0.3)


def error_curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Intervals]]],
    floor: float | None = None,
) -> Figure:
    """Show the error against what lowers it, one panel a quantity, each with its own scale.

    Args:
        panels: quantity -> network, two at most -> its amounts, and the error at each.
        floor: an error that cannot be the lowest possible one, only above it; dashed.
    """
    use_paper_style()
    figure, row = plt.subplots(
        1, len(panels), figsize=(WIDTH, 2.4), layout="constrained", squeeze=False
    )
    names = dict.fromkeys(name for curves in panels.values() for name in curves)
    marks = dict(zip(names, [style for _, *style in SERIES], strict=False))
    for ax, (quantity, curves) in zip(row[0], panels.items(), strict=True):
        for name, (amounts, intervals) in curves.items():
            marker, color = marks[name]
            mean, spread = _mean_and_spread(intervals)
            ax.errorbar(
                amounts, mean, spread, marker=marker, color=color, markersize=4, lw=1, label=name
            )
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


def seed_curves(panels: Mapping[str, Sequence[Record]], reference: float | None = None) -> Figure:
    """Show losses and learning rate by epoch, a line a seed, one column a variant.

    Circles mark the epochs of the lowest validation loss. The losses of the first epochs may lie
    above the frame.

    Args:
        panels: title -> the records of a variant's seeds.
        reference: a loss to mark with a dashed line.
    """
    use_paper_style()
    figure, grid = plt.subplots(
        2,
        len(panels),
        figsize=(WIDTH, 3.3),
        layout="constrained",
        squeeze=False,
        sharex="col",
        sharey="row",
        height_ratios=(3, 1),
    )
    columns = zip(grid.T, panels.items(), strict=True)
    for (losses, rates), (title, records) in columns:
        for i, record in enumerate(records):
            _draw_seed(losses, rates, record, named=i == 0)
        if reference is not None:
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
    lines = {"training": (history.train_loss, ORANGE), "validation": (history.val_loss, BLUE)}
    for name, (loss, color) in lines.items():
        losses.plot(epochs, loss, color=color, linewidth=0.9, label=name if named else None)
    losses.plot(
        best,
        history.val_loss[best - 1],
        "o",
        color=BLUE,
        markersize=6,
        fillstyle="none",
        label="lowest" if named else None,
    )
    rates.step(epochs, history.lr, where="mid", color=GREEN, linewidth=0.9)


def _round_numbers(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers between two positive ones, as many as ``most`` allows."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        numbers = [step * power for power in powers for step in steps]
        inside = [number for number in numbers if low <= number <= high]
        if len(inside) <= most:
            break
    return inside


def _mean_and_spread(intervals: Intervals) -> tuple[np.ndarray, np.ndarray]:
    """Return the means (N,) and the distances (2, N) to the intervals' ends."""
    mean = np.array([interval["mean"] for interval in intervals])
    ends = np.array([[interval["low"], interval["high"]] for interval in intervals])
    return mean, np.abs(ends - mean[:, None]).T
