"""The picture of a network: its maps as boxes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from ..models.base import Completer
from ..models.layers import layer_table, stages
from .style import BLUE, ORANGE, canvas


def architecture(model: Completer) -> Figure:
    """Draw a network's maps as boxes: height as the map, depth as the channels."""
    figure, axes = canvas(2.6)
    x = 0.0
    for name, shape in stages(layer_table(model)):
        if len(shape) == 3:
            channels, height, width = shape
            depth, label = channels**0.6 / 2, f"{channels} × {height} × {width}"
        else:
            height, width, depth, label = shape[0] ** 0.5, 0.0, 1.2, f"{shape[0]}"
        x = _draw_box(axes, x, height, depth, 0.35 * width)  # a map's width recedes
        middle = x - depth / 2 - 0.35 * width / 2
        axes.text(middle, -19.5, label, ha="center", va="top", fontsize=7.5, rotation=90)
        axes.text(middle, 19.5, name, ha="center", va="bottom", fontsize=7.5, rotation=90)
        x += 3.2
    axes.set(xlim=(-1.5, x - 1.5), ylim=(-38, 44), aspect="auto")
    axes.set_axis_off()
    return figure


def _draw_box(axes: Axes, x: float, height: float, depth: float, shift: float) -> float:
    """Draw one box in oblique projection from ``x`` on; return where it ends.

    Args:
        shift: how far the box recedes, up and to the right; 0 for a vector, which is flat.
    """
    right, low, high = x + depth, -height / 2, height / 2
    style = {"edgecolor": "white", "linewidth": 0.6, "facecolor": BLUE if shift else ORANGE}
    axes.add_patch(Polygon([(x, low), (right, low), (right, high), (x, high)], **style))
    if shift:
        far, back = right + shift, high + shift
        top = [(x, high), (right, high), (far, back), (x + shift, back)]
        side = [(right, low), (far, low + shift), (far, back), (right, high)]
        axes.add_patch(Polygon(top, alpha=0.6, **style))
        axes.add_patch(Polygon(side, alpha=0.8, **style))
    return right + shift
