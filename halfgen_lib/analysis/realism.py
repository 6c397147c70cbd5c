"""How real are completed images as a set, and are they copies?

The measures compare two sets of images through the features of :mod:`classifier`, or draws with
training images through their pixels. Rows are (N, F) float64 features or pixels, one an image.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from ..evaluation import Interval

NEIGHBOURS = 3  # k of improved precision and recall, as its authors use it


@cache
def _frechet_metric(features: int) -> nn.Module:
    """Return torchmetrics' distance for features that are computed already."""
    from ..torchvision_compat import import_torchvision

    import_torchvision()  # torchmetrics imports it
    from torchmetrics.image.fid import FrechetInceptionDistance

    given = nn.Identity()
    given.num_features = features
    return FrechetInceptionDistance(feature=given)


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """Return the squared Frechet distance of two sets' Gaussians (Heusel et al. 2017).

    |m - m'|² + tr(C + C' - 2 (C C')^(1/2)) of the sets' means and covariances. Finite sets raise
    it, small ones more: compare only distances from sets of the same sizes.

    Args:
        real, generated: (N, F) and (M, F) float64, two rows or more.

    Raises:
        ValueError: if they have other shapes.
    """
    _check_sets(real, generated, 2)
    metric = _frechet_metric(real.shape[1])
    metric.reset()
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return metric.compute().item()


def frechet_interval(
    real: Tensor, draws: Tensor, *, resamples: int = 200, seed: int = 0
) -> Interval:
    """Return the mean Frechet distance of one draw of every image, with a 95 % interval.

    Both sets' images are resampled with replacement, and one of the K draws of each. A resample
    holds images twice, which adds to its distance about what finite sets add anyway; so only the
    resamples' spread is used: their percentiles less their mean, around the estimate.

    Args:
        real: (N, F) features of true images.
        draws: (K, M, F) features of K completions of M images.
        resamples: to draw.
        seed: of the resamples.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if draws.ndim != 3 or not len(draws):
        raise ValueError(f"draws have shape {tuple(draws.shape)}; (K, M, F) with K >= 1 is needed")
    estimate = float(np.mean([frechet_distance(real, generated) for generated in draws]))
    random, (count, size) = np.random.default_rng(seed), draws.shape[:2]
    distances = []
    for _ in range(resamples):
        images = torch.from_numpy(random.integers(size, size=size))
        one_each = draws[torch.from_numpy(random.integers(count, size=size)), images]
        truth = real[torch.from_numpy(random.integers(len(real), size=len(real)))]
        distances.append(frechet_distance(truth, one_each))
    low, high = np.percentile(distances, [2.5, 97.5]) - np.mean(distances)
    ends = {"low": max(estimate + float(low), 0.0), "high": estimate + float(high)}
    return Interval(mean=estimate, **ends, count=size)


def within(points: Tensor, support: Tensor, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Tell which points lie in the estimated support of another set: (N,) bool.

    The support is the union of balls around its points that reach to their k-th nearest other
    point (Kynkaanniemi et al. 2019). Their precision is the share of generated points within the
    real ones' support, their recall the share of real points within the generated ones'.

    Args:
        points: (N, F).
        support: (M, F), more than ``neighbours`` rows.
        neighbours: k.

    Raises:
        ValueError: if the shapes do not fit.
    """
    _check_sets(support, points, neighbours + 1)
    radius = torch.cat(
        # the nearest point is the point itself
        [torch.cdist(part, support).kthvalue(neighbours + 1).values for part in support.split(1000)]
    )
    inside = [(torch.cdist(part, support) <= radius).any(1) for part in points.split(1000)]
    return torch.cat(inside).numpy()


def nearest_rms(rows: Tensor, others: Tensor, *, chunk: int = 500) -> np.ndarray:
    """Return the root mean squared difference of each row to its nearest other one.

    Args:
        rows: (N, P) pixels.
        others: (M, P) to search.
        chunk: rows at a time, to bound memory.

    Returns:
        (N,) float64; 0 for an exact copy.
    """
    squared = others.square().sum(1)
    nearest = []
    for part in rows.split(chunk):
        best = (squared - 2 * part @ others.T).argmin(1)
        nearest.append((part - others[best]).square().mean(1).sqrt())
    return torch.cat(nearest).double().numpy()


def _check_sets(first: Tensor, second: Tensor, fewest: int) -> None:
    shapes = [tuple(rows.shape) for rows in (first, second)]
    if any(len(shape) != 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(f"sets have shapes {shapes[0]} and {shapes[1]}; (N, F) twice is needed")
    if min(shapes[0][0], shapes[1][0]) < fewest:
        raise ValueError(f"sets of {shapes[0][0]} and {shapes[1][0]} images; {fewest} are needed")
