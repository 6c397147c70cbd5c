"""The nearest of other images: the one search of baselines, floor, audits and copies."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors
from torch import Tensor


def flat_rows(images: Tensor) -> np.ndarray:
    """Return images or halves (N, 1, H, W) as float32 rows (N, H W)."""
    return images.detach().cpu().flatten(1).float().numpy()


def neighbours(rows: np.ndarray, pool: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Euclidean distances (N, k), ascending, and positions (N, k) of the nearest of a pool.

    Args:
        rows: (N, P).
        pool: (M, P), M >= k.
        k: how many.
    """
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(pool).kneighbors(rows)


def nearest_rms(images: Tensor, pool: Tensor) -> np.ndarray:
    """Return the root mean squared pixel difference of each image to its nearest of a pool.

    Args:
        images: (N, 1, H, W) in [0, 1].
        pool: (M, 1, H, W) to search.

    Returns:
        (N,) float64 in [0, 1]; 0 for an exact copy.
    """
    _, nearest = neighbours(flat_rows(images), flat_rows(pool), 1)
    # of the pixels themselves: the search's own distances are rounded, those of copies too
    difference = (images - pool[nearest[:, 0]]).flatten(1)
    return difference.square().mean(1).sqrt().double().numpy()
