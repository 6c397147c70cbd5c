"""The bench's figure: how the cost of training grows with its work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..paper.display import use_paper_style
from . import BLUE, GREY, WIDTH


def cost_figure(cost: Mapping[str, Any]) -> Figure:
    """Show seconds against training images and against pixels, both axes logarithmic.

    Args:
        cost: ``cost`` of the bench's values: :func:`scaling.cost_of_images`, ``cost_of_pixels``.
    """
    use_paper_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.5), layout="constrained")
    images, pixels = cost["images"], cost["pixels"]
    counts = [point["images"] for point in images["points"]]
    _draw(left, counts, [point["epoch_seconds"] for point in images["points"]], images["slope"])
    left.set_xticks(counts, [f"{count:,}" for count in counts])
    left.set(xlabel="training images", ylabel="seconds an epoch")
    sides = [point["side"] for point in pixels["points"]]
    seconds = [point["seconds_per_image"] for point in pixels["points"]]
    _draw(right, [side**2 for side in sides], seconds, pixels["slope"])
    right.set_xticks([side**2 for side in sides], [f"{side} × {side}" for side in sides])
    right.set(xlabel="pixels of an image", ylabel="seconds an image")
    return figure


def _draw(ax: Axes, x: Sequence[float], seconds: Sequence[Mapping[str, float]], slope: float):
    """Draw medians with their range, and the line of this slope through their centre."""
    median, low, high = (np.array([s[name] for s in seconds]) for name in ("median", "low", "high"))
    ax.errorbar(x, median, yerr=(median - low, high - median), fmt="o", color=BLUE, markersize=4)
    middle = np.exp(np.log(x).mean()), np.exp(np.log(median).mean())
    line = middle[1] * (np.array(x) / middle[0]) ** slope
    ax.plot(x, line, color=GREY, linestyle="--", linewidth=0.9, label=f"slope {slope:.2f}")
    ax.set(xscale="log", yscale="log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend()
