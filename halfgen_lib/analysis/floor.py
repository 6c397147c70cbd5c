"""What share of the error no predictor can avoid: estimates, each with the direction of its bias.

The mean squared error of the best predictor is σ², the variance of the right half given the left
one, averaged over images and pixels. Nobody knows it; three sights of it:

pairs       images with similar left halves have right halves that differ by this variance and by
            what the left halves' difference explains: too high. Extrapolated: in either direction.
residuals   the same with a network's residuals, which leave less to explain: too high, but less.
ensemble    one network's error is that of infinitely many plus their disagreement; what is left
            holds all that these networks get wrong together: too high.

The spread of a sampler's draws is a fourth: of a perfect one it is σ², of another lower or higher.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..evaluation import Predict, bootstrap, intervals
from .distances import flat_rows, neighbours
from .sampling import mse_of_means, spread

NEIGHBOURS = 10  # over which the pairs' differences are extrapolated
Halves = tuple[Tensor, Tensor]


def mean_of(networks: Sequence[Predict]) -> Predict:
    """Return the predictor whose completions are the networks' mean."""
    return lambda left: sum(predict(left).cpu() for predict in networks) / len(networks)


def floor_estimates(
    networks: Sequence[Predict], images: Halves, *, train: Halves, validation: Halves
) -> dict[str, Any]:
    """Return every estimate of the floor of test ``images`` that these networks allow.

    ``pairs`` with ``train``, which they were trained on; of one or more ``residuals`` of the mean,
    with ``validation``; of two or more, trained from different seeds, ``ensemble``.
    """
    found = {"pairs": pairs_floor(images, train)}
    if networks:
        found["residuals"] = residuals_floor(mean_of(networks), images, validation)
    if len(networks) > 1:
        found["ensemble"] = ensemble_floor(networks, images)
    return found


def pairs_floor(images: Halves, pool: Halves) -> dict[str, Any]:
    """Estimate σ² from pairs of images, none of them in both ``images`` and ``pool``.

    ``nearest``: half the squared difference of a point's value and its nearest neighbour's has the
    expectation σ² + |f(x) - f(x')|²/2 (the Delta test: Pi and Peterson 1994), which is too high.
    Over the 1st to k-th neighbour it grows about in proportion to the squared distance; that line's
    value at 0 is ``extrapolated`` (the Gamma test: Stefansson, Koncar and Jones 1997), its points
    are ``squared_distance`` and ``half_difference``, (k,) each.

    The latter may err in either direction: growth slows down with the distance, so that a line
    through far neighbours ends too high; but twins, two pictures of one item, share what the left
    half does not tell, and points are dense where they are perhaps easier.
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

    It equals the error if residuals do not depend on the left half. Neither set may be fitted on.
    """
    images, pool = ((left, right - predict(left).cpu()) for left, right in (images, pool))
    error = bootstrap(np.square(flat_rows(images[1])).mean(1))
    return {"mse": error, **pairs_floor(images, pool)}


def ensemble_floor(networks: Sequence[Predict], images: Halves) -> dict[str, Any]:
    """Split the error of one network in that of infinitely many and their disagreement.

    With two or more networks trained from different seeds E|y - f|² = |y - E f|² + var f (Krogh and
    Vedelsby 1995), by :func:`sampling.mse_of_means` with networks for draws: the errors of ``one``,
    of the mean of ``all``, of ``infinite`` many, the ``disagreement``, and their ``count``.
    """
    left, right = images
    completed = torch.stack([predict(left).cpu() for predict in networks])
    errors = mse_of_means(completed, right, (1, len(networks), math.inf))
    values = dict(zip(("one", "all", "infinite"), errors, strict=True))
    return {"count": len(networks), **intervals({"disagreement": spread(completed), **values})}
