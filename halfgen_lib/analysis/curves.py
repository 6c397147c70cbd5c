"""How far more parameters, more images and more epochs lower the error, over both studies."""

from collections.abc import Callable, Mapping
from itertools import product
from operator import attrgetter
from typing import NamedTuple

from ..runs.record import Record
from ..variants import NAMES, STUDIES
from .summaries import Summaries, Summary


class Point(NamedTuple):
    """A variant on a curve: how much of something it was given, and its error."""

    x: float
    summary: Summary


# axis -> what of a record it shows, and the factor of each study that varies it
AXES: dict[str, tuple[Callable[[Record], float], Mapping[str, str]]] = {
    "parameters": (attrgetter("parameters"), {"study": "features", "beyond": "size"}),
    "training images": (attrgetter("train_images"), dict.fromkeys(STUDIES, "train_size")),
    "epochs": (attrgetter("epochs"), {"beyond": "epochs"}),
}
TITLES = {"study": NAMES["default"], "beyond": NAMES["unet"]}


def points(summaries: Summaries, study: str, axis: str) -> list[Point]:
    """Return the points on an axis of a study's variants that have runs as declared, by x."""
    measure, factors = AXES[axis]
    names = STUDIES[study].get(factors.get(study, ""), ())
    own = [summaries[name] for name in names if name in summaries]
    found = [Point(measure(s.records[0]), s) for s in own if s.records and s.as_declared]
    return sorted(found, key=lambda point: point.x)


def error_curves(summaries: Mapping[str, Summaries]) -> dict[str, dict[str, list[Point]]]:
    """Return axis -> network -> its :func:`points`, of each study; what has none is left out."""
    curves: dict[str, dict[str, list[Point]]] = {}
    for axis, (study, found) in product(AXES, summaries.items()):
        if curve := points(found, study, axis):
            curves.setdefault(axis, {})[TITLES[study]] = curve
    return curves
