"""What all figures share: the text width, the palette, a canvas, and intervals as error bars.

A figure is exactly as wide as it says, is never cropped, and is placed unscaled, so that 8 points
are 8 points on paper. Ink is black, or black with an opacity: a dark page turns it light. Its text
stays text, set by the page's own font; none is rotated, and none is a formula.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..paper.display import use_paper_style

WIDTH = 156  # mm: the text's
INK, BLUE, ORANGE, GREEN, PURPLE = "#000000", "#0072B2", "#D55E00", "#009E73", "#AA4499"
SMALL = {"fontsize": 8}  # points: the least
QUIET, NAME, TITLE = {"alpha": 0.75}, {"style": "italic"}, {"weight": "semibold"}
THIN = {"color": INK, "alpha": 0.5, "linewidth": 0.6}  # a line for a value to compare with
DASHED = {"color": INK, "alpha": 0.6, "linestyle": "--", "linewidth": 0.9}

Names = Sequence[str]
Intervals = Sequence[Mapping[str, float]]  # each with mean, low, high


def canvas(height: float, width: float = WIDTH, **axes) -> tuple[Figure, Any]:
    """Return a figure of this size in mm, and its axes, ``axes`` as ``plt.subplots`` takes."""
    use_paper_style()
    return plt.subplots(figsize=(width / 25.4, height / 25.4), **axes)


def error_bars(intervals: Intervals, centre: str = "mean") -> tuple[np.ndarray, np.ndarray]:
    """Return the centres (N,) of intervals and the distances (2, N) to their ends."""
    keys = (centre, "low", "high")
    middle, low, high = (np.array([interval[key] for interval in intervals]) for key in keys)
    return middle, np.stack([middle - low, high - middle])
