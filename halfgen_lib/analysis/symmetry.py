"""How symmetric an image is, and which way it faces."""

from __future__ import annotations

import torch
from torch import Tensor

from ..data import CLASS_NAMES


def mirror_error(left: Tensor, right: Tensor) -> Tensor:
    """Return the mean squared error of the mirrored left half as a guess of the right one.

    Args:
        left: (N, 1, 28, 14) in [0, 1].
        right: (N, 1, 28, 14) in [0, 1].

    Returns:
        (N,) in [0, 1]; 0 for an image that is its own mirror image.
    """
    return (left.flip(3) - right).square().flatten(1).mean(1)


def class_means(images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean image of each class: (C, 1, 28, 28) for images (N, 1, 28, 28)."""
    return torch.stack([images[labels == c].mean(0) for c in range(len(CLASS_NAMES))])


def faces_as_its_class(images: Tensor, labels: Tensor, means: Tensor) -> Tensor:
    """Tell of each image whether it is nearer to its class's mean than its mirror image is.

    Args:
        images: (N, 1, 28, 28) in [0, 1].
        labels: (N,) class numbers.
        means: (10, 1, 28, 28), as :func:`class_means`.

    Returns:
        (N,) bool. The share that is true is near 1/2 where a class has no common facing, and near
        1 where all its images face one way.
    """
    own = means[labels]
    distance = (images - own).square().flatten(1).sum(1)
    mirrored = (images.flip(3) - own).square().flatten(1).sum(1)
    return distance < mirrored
