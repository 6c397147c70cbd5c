"""What methods that complete images are measured on, prepared once for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ..data import CLASS_NAMES, Dataset, split, stratified_order, to_unit
from .baselines import flat_rows
from .classifier import Classifier
from .realism import nearest_rms

SIMILAR, UNSETTLED = 50, 0.05  # see `unsettled`


@dataclass(frozen=True, eq=False)
class Scene:
    """What every method is measured on.

    Attributes:
        left, right: (N, 1, 28, 14) halves of N test images.
        labels: (N,) their classes.
        unsettled: (N, 392) bool, see :func:`unsettled`.
        train, validation: left and right halves of all images of these splits.
        reference: (N, 64) features of N validation images, which no method was fitted on.
        true_distance: (N,) from each true right half to its nearest training right half.
        classifier: whose features and classes are used.
    """

    left: Tensor
    right: Tensor
    labels: Tensor
    unsettled: np.ndarray
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    reference: Tensor
    true_distance: np.ndarray
    classifier: Classifier


def make_scene(dataset: Dataset, classifier: Classifier, images: int, seed: int) -> Scene:
    """Choose the images and prepare what does not depend on the method: see :class:`Scene`.

    Raises:
        ValueError: if there are not that many images, or fewer than 10 are asked for.
    """
    splits = split(dataset, "holdout")
    most = min(len(splits.test), len(splits.validation))
    if not len(CLASS_NAMES) <= images <= most:
        raise ValueError(f"images is {images}, allowed: {len(CLASS_NAMES)} to {most}")
    generator = torch.Generator().manual_seed(seed)
    test, reference = (
        part.select(stratified_order(part.labels, generator)[:images])
        for part in (splits.test, splits.validation)
    )
    left, right = test.halves()
    train, validation = (part.halves() for part in (splits.train, splits.validation))
    return Scene(
        left=left,
        right=right,
        labels=test.labels,
        unsettled=unsettled(left, *train),
        train=train,
        validation=validation,
        reference=classifier.look(to_unit(reference.images))[0],
        true_distance=nearest_rms(right.flatten(1), train[1].flatten(1)),
        classifier=classifier,
    )


def unsettled(left: Tensor, train_left: Tensor, train_right: Tensor) -> np.ndarray:
    """Tell which pixels of the right halves the left halves leave open: (N, 392) bool.

    Those that have a standard deviation of 0.05 or more over the right halves of the 50 training
    images with the nearest left halves: not the background that is black in all of them. The
    truth has no say in it; a choice by the truth, or by the class, would change the probability
    with which a perfect sampler's intervals cover it.
    """
    count, right = min(SIMILAR, len(train_left)), flat_rows(train_right)
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(flat_rows(train_left))
    nearest = search.kneighbors(flat_rows(left), return_distance=False)
    return np.stack([right[own].std(0) >= UNSETTLED for own in nearest])
