"""What share of the error no predictor can avoid: estimates, each with the direction of its bias.

The mean squared error of the best predictor is σ², the variance of the right half given the left
one, averaged over images and pixels. Nobody knows it; three sights of it:

pairs       images with similar left halves have right halves that differ by this variance and by
            what the left halves' difference explains: too high. Extrapolated to no difference:
            far outside what was seen, and in either direction, see :func:`pair_variance`.
residuals   the same with a network's residuals, which leave less to explain: too high, but less.
ensemble    one network's error is that of infinitely many plus their disagreement; what is left
            holds all that these networks get wrong together: too high.

The spread of a sampler's draws (:func:`sampling.spread`) is a fourth: of a perfect one it is σ², of
another it may be lower or higher.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ..evaluation import bootstrap
from .baselines import flat_rows
from .sampling import mse_of_means, spread

NEIGHBOURS = 10  # over which the pairs' differences are extrapolated
Halves = tuple[Tensor, Tensor]
Predict = Callable[[Tensor], Tensor]


def pair_variance(
    values: np.ndarray, others: np.ndarray, distance: np.ndarray, nearest: np.ndarray
) -> dict[str, Any]:
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
        values: (N, P) of the points.
        others: (M, P) of what they are paired with.
        distance: (N, k) to the nearest others in ascending order, k >= 2.
        nearest: (N, k) their positions.

    Returns:
        ``nearest`` and ``extrapolated``: the two estimates with intervals over points;
        ``squared_distance`` and ``half_difference``: (k,) the line's points.

    Raises:
        ValueError: if there is but one neighbour.
    """
    if distance.shape[1] < 2:
        raise ValueError("a line needs 2 neighbours or more")
    half = np.stack([np.square(values - others[c]).mean(1) / 2 for c in nearest.T], axis=1)
    squared = np.square(distance).mean(0)
    # least squares' value at 0 is a weighted sum of the k means, and so of each point's own values
    weights = np.linalg.pinv(np.stack([np.ones_like(squared), squared], axis=1))[0]
    return {
        "nearest": bootstrap(half[:, 0]),
        "extrapolated": bootstrap(half @ weights),
        "squared_distance": squared.tolist(),
        "half_difference": half.mean(0).tolist(),
    }


def floor_estimates(
    networks: Mapping[str, Predict], images: Halves, *, train: Halves, validation: Halves
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
        every = list(networks.values())

        def mean(left: Tensor) -> Tensor:
            return sum(predict(left).cpu() for predict in every) / len(every)

        found["residuals"] = residuals_floor(mean, images, validation)
    if len(networks) > 1:
        found["ensemble"] = ensemble_floor(networks, images)
    return found


def pairs_floor(images: Halves, pool: Halves) -> dict[str, Any]:
    """Return :func:`pair_variance` of right halves whose left halves are near.

    Args:
        images: left and right halves (N, 1, 28, 14) of images.
        pool: of those that they are paired with; none of them in both.
    """
    (left, right), (pool_left, pool_right) = (
        tuple(map(flat_rows, part)) for part in (images, pool)
    )
    distance, nearest = _neighbours(left, pool_left)
    return pair_variance(right, pool_right, distance, nearest)


def residuals_floor(predict: Predict, images: Halves, pool: Halves) -> dict[str, Any]:
    """Return :func:`pair_variance` of a predictor's residuals, and their own mean square.

    Where near residuals do not resemble each other the estimate equals the error: nothing is left
    that depends smoothly on the left half, as far as pairs this far apart can tell.

    Args:
        predict: maps left to right halves; not fitted on either set, or its residuals are too low.
        images, pool: as :func:`pairs_floor`.
    """
    residuals = [flat_rows(right) - flat_rows(predict(left)) for left, right in (images, pool)]
    distance, nearest = _neighbours(flat_rows(images[0]), flat_rows(pool[0]))
    error = bootstrap(np.square(residuals[0]).mean(1))
    return {"mse": error, **pair_variance(*residuals, distance, nearest)}


def ensemble_floor(networks: Mapping[str, Predict], images: Halves) -> dict[str, Any]:
    """Split the error of one network in that of infinitely many and their disagreement.

    With networks trained from different seeds E|y - f|² = |y - E f|² + var f (Krogh and Vedelsby
    1995); :func:`sampling.mse_of_means` with networks for draws.

    Args:
        networks: 2 or more of one kind.
        images: left and right halves.

    Returns:
        ``one``, ``all`` (the mean of those there are), ``infinite`` and ``disagreement``, with
        intervals over images, and the ``count`` of networks.

    Raises:
        ValueError: if there are fewer than two.
    """
    if len(networks) < 2:
        raise ValueError(f"{len(networks)} networks cannot disagree; 2 or more are needed")
    left, right = images
    completed = torch.stack([predict(left).cpu() for predict in networks.values()])
    sizes = (1, len(networks), math.inf)
    errors = zip(("one", "all", "infinite"), mse_of_means(completed, right, sizes), strict=True)
    return {
        "count": len(networks),
        "disagreement": bootstrap(spread(completed)),
        **{name: bootstrap(values) for name, values in errors},
    }


def _neighbours(left: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return root mean squared distances (N, k), ascending, and positions of the nearest."""
    distance, nearest = NearestNeighbors(algorithm="brute").fit(pool).kneighbors(left, NEIGHBOURS)
    return distance / math.sqrt(left.shape[1]), nearest
