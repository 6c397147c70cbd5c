"""How much of a network's error could be avoided: what its residuals share with their neighbours.

The residual e = y - f(x) of a predictor is what it gets wrong, g(x) = E[y|x] - f(x), and noise of
mean zero, whose variance σ²(x) no predictor avoids: E|e|² = E|g|² + E σ². The noise of two images
is independent, so that E[e·e'] of an image and the one with the nearest left half is E[g·g']: the
part of the error that changes little from one left half to the next. What is left, E|e|² - E[e·e'],
is an estimate of E σ², in the mean over the very images that the error is of, wherever their noise
is large or small (a nonparametric test of lack of fit; Hart 1997, chapter 5).

It is approximate, and no bound: errors that differ between neighbours are not seen, and count as
noise; two pictures of one item share what the left half does not tell, and count as error.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..evaluation import Interval, Predict, intervals
from .distances import flat_rows, neighbours
from .sampling import mse_of_means, spread

Halves = tuple[Tensor, Tensor]


def mean_of(networks: Sequence[Predict]) -> Predict:
    """Return the predictor whose completions are the networks' mean."""
    return lambda left: sum(predict(left).cpu() for predict in networks) / len(networks)


def avoidable(predict: Predict, images: Halves, pool: Halves) -> dict[str, Interval]:
    """Split a predictor's ``mse`` on ``images`` in what is ``shared`` with neighbours and the rest.

    ``shared`` estimates E|g|², and ``floor``, the rest, E σ², as the module tells. Neighbours are
    the images of the ``pool`` with the nearest left halves. Neither set may have trained the
    predictor, nor may an image be in both. Intervals are over ``images``, pixels' means.
    """
    (left, right), (pool_left, pool_right) = (
        (flat_rows(left), flat_rows(right - predict(left).cpu())) for left, right in (images, pool)
    )
    _, nearest = neighbours(left, pool_left, 1)
    shared = (right * pool_right[nearest[:, 0]]).mean(1)
    mse = (right * right).mean(1)
    return intervals({"mse": mse, "shared": shared, "floor": mse - shared})


def ensemble_error(networks: Sequence[Predict], images: Halves) -> dict[str, Any]:
    """Split the error of one network in that of infinitely many and their disagreement.

    With two or more networks that differ in their seed alone E|y - f|² = |y - E f|² + var f (Krogh
    and Vedelsby 1995), by :func:`sampling.mse_of_means` with networks for draws: the errors of
    ``one``, of the mean of ``all``, of ``infinite`` many, their ``disagreement`` and ``count``.
    """
    left, right = images
    completed = torch.stack([predict(left).cpu() for predict in networks])
    errors = mse_of_means(completed, right, (1, len(networks), math.inf))
    values = dict(zip(("one", "all", "infinite"), errors, strict=True))
    return {"count": len(networks), **intervals({"disagreement": spread(completed), **values})}
