"""How far more parameters, more images and more arithmetic lower the error, over both studies."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..config import train_images
from ..models import build_model
from ..models.base import HALF_SHAPE
from ..runs.record import Record
from ..variants import STUDIES
from .summaries import Summary


class Point(NamedTuple):
    """A variant on a curve: how much of something it was given, and its error."""

    x: float
    summary: Summary


def training_flops(record: Record) -> float:
    """Return the floating-point operations of a run's training, validation not included.

    Counted by PyTorch while one image passes the network forwards and backwards.
    """
    with torch.random.fork_rng(devices=[]):  # the weights do not matter, nor should they here
        model = build_model(record.identity["model"], record.identity["model_settings"])
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, *HALF_SHAPE)).sum().backward()
    return float(counter.get_total_flops()) * train_images(record.identity) * record.epochs


# axis -> what of a record it shows, and the factor of each study that varies it
AXES: dict[str, tuple[Callable[[Record], float], Mapping[str, str]]] = {
    "parameters": (lambda record: record.parameters, {"study": "features", "beyond": "size"}),
    "training images": (
        lambda record: train_images(record.identity),
        {"study": "train_size", "beyond": "train_size"},
    ),
    "operations in training": (training_flops, {"study": "epochs", "beyond": "epochs"}),
}
TITLES = {"study": "autoencoder", "beyond": "U-Net"}


def error_curves(
    summaries: Mapping[str, Mapping[str, Summary]],
) -> dict[str, dict[str, list[Point]]]:
    """Return axis -> network -> its points in their order; what has no point is left out.

    Runs of settings that their variant no longer has are no points.

    Args:
        summaries: study (a key of ``STUDIES``) -> variant -> its summary.
    """
    curves: dict[str, dict[str, list[Point]]] = {}
    for axis, (measure, factors) in AXES.items():
        for study, factor in factors.items():
            own = [summaries[study][variant] for variant in STUDIES[study][factor]]
            points = [Point(measure(s.records[0]), s) for s in own if s.count and s.as_declared]
            if points:
                curves.setdefault(axis, {})[TITLES[study]] = sorted(
                    points, key=lambda point: point.x
                )
    return curves


def panels(
    curves: Mapping[str, Mapping[str, list[Point]]], measure: str = "test_mse"
) -> dict[str, dict[str, tuple[list[float], list[dict[str, float]]]]]:
    """Return the curves as :func:`study_figures.error_curves` takes them."""
    return {
        axis: {
            name: ([point.x for point in own], [point.summary.interval(measure) for point in own])
            for name, own in networks.items()
        }
        for axis, networks in curves.items()
    }


def last_doubling(points: list[Point], measure: str = "test_mse") -> float:
    """Return the relative change of the error by a doubling, between the two rightmost points.

    Raises:
        ValueError: with fewer than two points.
    """
    if len(points) < 2:
        raise ValueError(f"a curve needs two points or more, not {len(points)}")
    (x0, before), (x1, after) = points[-2:]
    return (after.mean(measure) / before.mean(measure)) ** (1 / math.log2(x1 / x0)) - 1


def finding(curves: Mapping[str, Mapping[str, list[Point]]]) -> str:
    """Return, in words, what doubling each quantity does at the right end of its curves."""
    parts = []
    for axis, networks in curves.items():
        changes = [
            f"{last_doubling(points):+.1%} ({name})"
            for name, points in networks.items()
            if len(points) > 1
        ]
        if changes:
            parts.append(f"twice the {axis} {', '.join(changes)}")
    return "; ".join(parts)
