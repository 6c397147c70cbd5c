"""What all figures share: the text width, the palette, a canvas, and intervals as error bars."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..paper.display import use_paper_style

WIDTH = 6.1  # inches: the text width of the paper
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
DASHED = {"color": GREY, "linestyle": "--", "linewidth": 0.9}  # a line for a value to compare with

Names = Sequence[str]
Intervals = Sequence[Mapping[str, float]]  # each with mean, low, high


def canvas(height: float, width: float = WIDTH, **axes) -> tuple[Figure, Any]:
    """Return a figure of this size in inches, and its axes, ``axes`` as ``plt.subplots`` takes."""
    use_paper_style()
    return plt.subplots(figsize=(width, height), **axes)


def error_bars(intervals: Intervals, centre: str = "mean") -> tuple[np.ndarray, np.ndarray]:
    """Return the centres (N,) of intervals and the distances (2, N) to their ends."""
    keys = (centre, "low", "high")
    middle, low, high = (np.array([interval[key] for interval in intervals]) for key in keys)
    return middle, np.stack([middle - low, high - middle])
