"""The study's figures: means and intervals in, a matplotlib ``Figure`` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from .display import use_paper_style
from .figures import BLUE, GREY, ORANGE, WIDTH, Intervals

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


def size_curve(sizes: Sequence[int], validation: Intervals, test: Intervals) -> Figure:
    """Show an error and its interval against the number of training images, on a log axis."""
    use_paper_style()
    figure, ax = plt.subplots(figsize=(4.4, 2.6), layout="constrained")
    for intervals, (name, marker, color) in zip((validation, test), SERIES, strict=True):
        mean, spread = _mean_and_spread(intervals)
        ax.errorbar(
            sizes, mean, yerr=spread, marker=marker, color=color, capsize=2, lw=1.2, label=name
        )
    ax.set(xscale="log", xlabel="training images", ylabel="mean squared error")
    ax.set_xticks(list(sizes), [f"{size:,}" for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend()
    return figure


def _mean_and_spread(intervals: Intervals) -> tuple[np.ndarray, np.ndarray]:
    """Return the means (N,) and the distances (2, N) to the intervals' ends."""
    mean = np.array([interval["mean"] for interval in intervals])
    ends = np.array([[interval["low"], interval["high"]] for interval in intervals])
    return mean, np.abs(ends - mean[:, None]).T
