"""What share of the error no predictor can avoid: estimates, each with the direction of its bias.

The mean squared error of the best predictor is σ², the variance of the right half given the left
one, averaged over images and pixels. Nobody knows it; three sights of it:

pairs       images with similar left halves have right halves that differ by this variance and by
            what the left halves' difference explains: too high. Extrapolated to no difference:
            far outside what was seen, and in either direction, see :func:`pairs_floor`.
residuals   the same with a network's residuals, which leave less to explain: too high, but less.
ensemble    one network's error is that of infinitely many plus their disagreement; what is left
            holds all that these networks get wrong together: too high.

The spread of a sampler's draws (:func:`sampling.spread`) is a fourth: of a perfect one it is σ², of
another it may be lower or higher.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..evaluation import bootstrap, intervals
from .neighbours import flat_rows, neighbours
from .sampling import mse_of_means, spread

NEIGHBOURS = 10  # over which the pairs' differences are extrapolated
Halves = tuple[Tensor, Tensor]
Predict = Callable[[Tensor], Tensor]


def floor_estimates(
    networks: Sequence[Predict], images: Halves, *, train: Halves, validation: Halves
) -> dict[str, Any]:
    """Return every estimate that these networks allow.

    Args:
        networks: ``predict`` of point predictors of one kind, trained from different seeds.
        images: left and right halves of test images.
        train: of the images that they were trained on; pairs need no other.
        validation: of images that they were not trained on; for pairs of residuals.

    Returns:
        ``pairs`` always, ``residuals`` (of the networks' mean) where there is a network,
        ``ensemble`` where there are two.
    """
    found = {"pairs": pairs_floor(images, train)}
    if networks:

        def mean(left: Tensor) -> Tensor:
            return sum(predict(left).cpu() for predict in networks) / len(networks)

        found["residuals"] = residuals_floor(mean, images, validation)
    if len(networks) > 1:
        found["ensemble"] = ensemble_floor(networks, images)
    return found


def pairs_floor(images: Halves, pool: Halves) -> dict[str, Any]:
    """Estimate the variance that pairs of near points share, from half their squared difference.

    Half the squared difference of a point's value and its nearest neighbour's has the expectation
    σ² + |f(x) - f(x')|²/2 (the Delta test: Pi and Peterson 1994), which is too high. Over the 1st
    to k-th neighbour of the same points it grows about in proportion to the squared distance; the
    line's value at distance 0 is the Gamma test's estimate (Stefansson, Koncar and Jones 1997).

    That one may err in either direction. The growth slows down with the distance, so that a line
    through far neighbours ends too high. But the first neighbour may be a twin, another picture of
    one item, and share what the left half does not tell; and neighbours come from where points
    are dense, and perhaps easier: both lower its near end.

    Args:
        images: left and right halves (N, 1, 28, 14) of images.
        pool: of those that they are paired with; none of them in both.

    Returns:
        ``nearest`` and ``extrapolated``: the two estimates with intervals over points;
        ``squared_distance`` and ``half_difference``: (k,) the line's points.
    """
    (left, right), (pool_left, pool_right) = (map(flat_rows, part) for part in (images, pool))
    distance, nearest = neighbours(left, pool_left, NEIGHBOURS)
    half = np.stack([np.square(right - pool_right[c]).mean(1) / 2 for c in nearest.T], axis=1)
    squared = np.square(distance / math.sqrt(left.shape[1])).mean(0)  # root mean square over pixels
    # least squares' value at 0 is a weighted sum of the k means, and so of each point's own values
    weights = np.linalg.pinv(np.stack([np.ones_like(squared), squared], axis=1))[0]
    return {
        "nearest": bootstrap(half[:, 0]),
        "extrapolated": bootstrap(half @ weights),
        "squared_distance": squared.tolist(),
        "half_difference": half.mean(0).tolist(),
    }


def residuals_floor(predict: Predict, images: Halves, pool: Halves) -> dict[str, Any]:
    """Return :func:`pairs_floor` of a predictor's residuals, and ``mse``, their own mean square.

    Where near residuals do not resemble each other the estimate equals the error: nothing is left
    that depends smoothly on the left half, as far as pairs this far apart can tell.

    Args:
        predict: maps left to right halves; not fitted on either set, or its residuals are too low.
        images, pool: as :func:`pairs_floor`.
    """
    images, pool = ((left, right - predict(left).cpu()) for left, right in (images, pool))
    error = bootstrap(np.square(flat_rows(images[1])).mean(1))
    return {"mse": error, **pairs_floor(images, pool)}


def ensemble_floor(networks: Sequence[Predict], images: Halves) -> dict[str, Any]:
    """Split the error of one network in that of infinitely many and their disagreement.

    With networks trained from different seeds E|y - f|² = |y - E f|² + var f (Krogh and Vedelsby
    1995); :func:`sampling.mse_of_means` with networks for draws.

    Args:
        networks: 2 or more of one kind.
        images: left and right halves.

    Returns:
        ``one``, ``all`` (the mean of those there are), ``infinite`` and ``disagreement``, with
        intervals over images, and the ``count`` of networks.
    """
    left, right = images
    completed = torch.stack([predict(left).cpu() for predict in networks])
    errors = mse_of_means(completed, right, (1, len(networks), math.inf))
    values = dict(zip(("one", "all", "infinite"), errors, strict=True))
    return {"count": len(networks), **intervals({"disagreement": spread(completed), **values})}
