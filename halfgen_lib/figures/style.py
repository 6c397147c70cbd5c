"""What all figures share: the text width, the palette, a canvas, and intervals as error bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..paper.display import use_paper_style

WIDTH = 6.1  # inches: the text width of the paper
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

Intervals = Sequence[Mapping[str, float]]  # each with mean, low, high


def canvas(height: float, **axes) -> tuple[Figure, Axes | np.ndarray]:
    """Return a figure as wide as the text, ``height`` inches high, and its axes.

    Args:
        height: in inches.
        axes: how many and of what kind, as ``plt.subplots`` takes it.
    """
    use_paper_style()
    return plt.subplots(figsize=(WIDTH, height), layout="constrained", **axes)


def error_bars(intervals: Intervals, centre: str = "mean") -> tuple[np.ndarray, np.ndarray]:
    """Return the centres (N,) of intervals and the distances (2, N) to their ends."""
    middle = np.array([interval[centre] for interval in intervals])
    ends = np.array([[interval["low"], interval["high"]] for interval in intervals])
    return middle, np.abs(ends - middle[:, None]).T
