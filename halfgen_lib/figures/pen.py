"""What figures are made of: the palette, millimetres, and marks and words with their places.

A figure is exactly as wide as it says, is never cropped, and is placed unscaled, so that 8 points
are 8 points on paper. Ink is black, or black with an opacity: a dark page turns it light. Its text
stays text, set by the page's own font; none is rotated, and none is a formula.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox

from ..paper.display import use_paper_style

WIDTH = 156  # mm: the text's
INK, BLUE, ORANGE, GREEN, PURPLE = "#000000", "#0072B2", "#D55E00", "#009E73", "#AA4499"
SMALL = {"fontsize": 8}  # points: the least
QUIET, NAME, TITLE = {"alpha": 0.75}, {"style": "italic"}, {"weight": "semibold"}
THIN = {"color": INK, "alpha": 0.5, "linewidth": 0.6}  # a line for a value to compare with
SIDES = [np.array(side) for side in product((-1, 0, 1), repeat=2) if any(side)]
DASHED = {"color": INK, "alpha": 0.6, "linestyle": "--", "linewidth": 0.9}

Names = Sequence[str]


def canvas(height: float, width: float = WIDTH, **axes) -> tuple[Figure, Any]:
    """Return a figure of this size in mm, and its axes, ``axes`` as ``plt.subplots`` takes."""
    use_paper_style()
    return plt.subplots(figsize=(width / 25.4, height / 25.4), **axes)


def sheet(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return a figure of this size in mm, and axes in mm all over it, y downwards."""
    figure, axes = canvas(height, width, layout="none")
    axes.set(position=(0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return figure, axes


def panel(figure: Figure, left: float, top: float, width: float, height: float, **settings) -> Axes:
    """Add axes at a place in mm from the figure's upper left corner; ``settings``: the axes'."""
    across, down = figure.get_size_inches() * 25.4
    axes = figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )
    axes.set(**settings)
    return axes


def say(axes: Axes, x: float, y: float, words: str, to: str = "left", **style) -> None:
    """Write on baselines, the last at y; ``to``: the side on which the words end at x, or center.

    In the units of a :func:`sheet`: a line is 3.4 mm high.
    """
    for row, part in enumerate(reversed(words.split("\n"))):
        axes.text(x, y - 3.4 * row, part, ha=to, **{"va": "baseline"} | style)


def beside(axes: Axes, words: str, point, offset=(5, 0), to: str = "left", **style) -> Any:
    """Write beside a point of the data, ``offset`` points away, and return the text."""
    style = {"va": "center", "annotation_clip": False, **style}
    return axes.annotate(words, point, offset, textcoords="offset points", ha=to, **style)


def line(axes: Axes, xs, ys, color: str = INK, width: float = 0.5, **style) -> None:
    """Draw a line."""
    axes.plot(xs, ys, color=color, linewidth=width, **style)


def mark(axes: Axes, x, y, shape: str, color: str, size: float = 5, fill=True, **style) -> None:
    """Draw points; one that is not filled hides what it lies on."""
    face = {"markerfacecolor": color if fill else "white", "markeredgewidth": 0.9}
    style = {"zorder": 4, "linestyle": "none", **face, **style}
    axes.plot(x, y, marker=shape, color=color, markersize=size, **style)


def ticks(axis: Any, values: Sequence[float], names: str | Names = "{:g}") -> None:
    """Put ticks at these values alone, in plain text: their names, or a format of them."""
    axis.set_ticks(values, map(names.format, values) if isinstance(names, str) else names)
    axis.set_ticks([], minor=True)


def round_numbers(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers between two positive ones, as many as ``most`` allows."""
    for steps in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        numbers = LogLocator(subs=steps, numticks=99).tick_values(low, high)
        inside = [number for number in numbers if low <= number <= high]
        if len(inside) <= most:
            break
    return inside


def percent(change: float) -> str:
    """Return a relative change with its sign."""
    return f"{change:+.1%}".replace("-", "\u2212")


def legend(figure: Figure, columns: int) -> None:
    """Name lines and marks above all axes, from the left: the page's letters may be wider."""
    place = {"loc": "outside upper left", "borderpad": 0, "labelspacing": 0.3}
    place |= {"handlelength": 1.4, "handletextpad": 0.5, "columnspacing": 1.6}
    named = {
        mark.get_label(): mark
        for axes in figure.axes
        for mark in axes.get_legend_handles_labels()[0]
    }
    figure.legend(named.values(), named, ncols=columns, **place)


def picture(axes: Axes, image: np.ndarray, x: float, y: float, height: float) -> None:
    """Draw a grey picture (H, W) in [0, 1] on a sheet, its upper left corner at (x, y)."""
    width = height * image.shape[1] / image.shape[0]
    large = np.kron(image, np.ones((5, 5)))  # so that no viewer blurs it
    place = {"extent": (x, x + width, y + height, y), "aspect": "auto", "zorder": 3}
    axes.imshow(large, vmin=0, vmax=1, **place)


def completed(axes: Axes, image: np.ndarray, x: float, y: float, height: float) -> None:
    """Draw a `picture`: a left half or, with ticks at the seam, a whole image."""
    picture(axes, image, x, y, height)
    whole = image.shape[0] == image.shape[1]
    for start, end in ((-0.95, -0.2), (height + 0.2, height + 0.95)) if whole else ():
        line(axes, [x + height / 2] * 2, [y + start, y + end], solid_capstyle="butt")


def name_points(axes: Axes, points: Sequence[tuple[str, tuple[float, float], str]]) -> None:
    """Write each point's name, in its colour, beside it, where it meets nothing that is drawn.

    Of the places around a point the nearest that meets least is taken; a hairline joins a name that
    stands away. ``points``: name, place in the data, colour.
    """
    axes.figure.draw_without_rendering()
    paths = [own.get_transform().transform_path(own.get_path()) for own in axes.lines]
    taken = [Bbox([p - 6, p + 6]) for path in paths for p in path.vertices]
    frame, pixel = axes.get_window_extent(), axes.figure.dpi / 72

    def meets(box: Bbox) -> int:
        inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 < box.y1 < frame.y1
        crossed = sum(path.intersects_bbox(box, filled=False) for path in paths)
        return 9 * (not inside) + 2 * crossed + sum(map(box.overlaps, taken))

    for words, point, color in points:
        text = beside(axes, words, point)
        size = np.array(Text.get_window_extent(text).expanded(1.12, 1.05).size)
        text.remove()
        centre, places = axes.transData.transform(point), []
        for away, side in product((6, 12, 18, 26, 36, 48), SIDES):
            offset = side * (away + size / pixel / 2 * (1, 0.6))
            middle = centre + offset * pixel
            places.append((away, offset, Bbox([middle - size / 2, middle + size / 2])))
        away, offset, best = min(places, key=lambda place: meets(place[-1]))
        taken.append(best)
        hair = {"arrowstyle": "-", "linewidth": 0.5, "color": color, "shrinkA": 0, "shrinkB": 3}
        style = {"color": color, "arrowprops": hair if away > 12 else None}
        beside(axes, words, point, offset, "center", **style)
