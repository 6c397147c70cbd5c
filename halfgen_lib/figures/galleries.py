"""The pages of a gallery: for each class a few images by rule, each beside its completion."""

from __future__ import annotations

import numpy as np

from ..data import CLASS_NAMES
from . import tile

Pages = dict[str, dict[str, np.ndarray]]  # title -> name of a strip -> grey picture (H, W)


def class_pages(
    truth: np.ndarray, completed: np.ndarray, mse: np.ndarray, labels: np.ndarray, count: int = 6
) -> Pages:
    """Return a page a class: its first images, and those with the lowest, middle, highest error.

    Args:
        truth: (N, 28, 28) images in [0, 1].
        completed: (N, 28, 28) the same with the unknown half filled in.
        mse: (N,) error of each image.
        labels: (N,) class numbers.
        count: images a strip; a class with fewer shows all it has.
    """
    pages = {}
    for number, name in enumerate(CLASS_NAMES):
        members = np.flatnonzero(labels == number)
        ranked = members[np.argsort(mse[members], kind="stable")]
        middle = max(0, (len(ranked) - count) // 2)
        chosen = {
            "first": members[:count],
            "best": ranked[:count],
            "median": ranked[middle : middle + count],
            "worst": ranked[-count:],
        }
        pages[name] = {
            f"{rule}: MSE {mse[own].min():.4f} to {mse[own].max():.4f}": strip(
                truth[own], completed[own]
            )
            for rule, own in chosen.items()
            if len(own)
        }
    return pages


def strip(truth: np.ndarray, completed: np.ndarray) -> np.ndarray:
    """Return pairs of images (N, H, W), each image beside its completion, as one row (H, W')."""
    pairs = np.stack([truth, completed], axis=1)[:, None]
    return tile(np.stack([tile(pair, gap=1) for pair in pairs])[None], gap=8)
