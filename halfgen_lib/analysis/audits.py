"""Audits: twins across the splits, reported labels, and what the facing of the items costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..data import CLASS_NAMES, Dataset, Images, to_unit
from ..evaluation import bootstrap, halves_mse
from ..runs import Run
from .realism import nearest_rms
from .symmetry import class_means, faces_as_its_class

# Training images that readers of the data set report as mislabelled or badly cut:
# https://github.com/zalandoresearch/fashion-mnist/issues/166, the instances that it shows
REPORTED_MISLABELLED = (16691, 28264, 33982, 40513, 42018, 45592)


def class_intervals(values: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the bootstrap interval of the mean of each class that has images, by its name.

    Args:
        values: (N,) a score of each image.
        labels: (N,) class numbers.
    """
    return {
        name: bootstrap(values[labels == number])
        for number, name in enumerate(CLASS_NAMES)
        if (labels == number).any()
    }


def nearest_distance(images: Images, others: Images, *, chunk: int = 500) -> np.ndarray:
    """Return the root mean squared pixel difference of each image to its nearest other one.

    Args:
        images: N images.
        others: M images to search.
        chunk: images at a time, to bound memory.

    Returns:
        (N,) in [0, 1]; 0 for an exact copy.
    """
    rows, reference = (to_unit(part.images).flatten(1) for part in (images, others))
    return nearest_rms(rows, reference, chunk=chunk)


def audit_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Look for copies of test images among the training images, and for mislabelled ones.

    Returns:
        ``exact``: test images with a byte-identical training image; ``quantiles`` of the distance
        to the nearest training image; ``near`` and ``far``: the error of the tenth of the test
        images with the nearest and the farthest twin, in all and with the class taken out
        (error less the mean of the image's class); ``reported``: the error of training images
        that are reported as mislabelled, beside the mean of the class that they are labelled.
    """
    distance = nearest_distance(dataset.test, dataset.train)
    mse, labels = run.scores["mse"].astype(np.float64), dataset.test.labels.numpy()
    class_mean = np.array([mse[labels == c].mean() for c in range(len(CLASS_NAMES))])
    low, high = np.quantile(distance, [0.1, 0.9])
    groups = {"near": distance <= low, "far": distance >= high}
    quantiles = {str(q): float(np.quantile(distance, q)) for q in (0, 0.01, 0.1, 0.5, 0.9, 1)}
    known = [i for i in REPORTED_MISLABELLED if i < len(dataset.train)]
    chosen = dataset.train.select(torch.tensor(known, dtype=torch.int64))
    errors = halves_mse(run.model().predict, chosen, run.config.given)
    return {
        "run_id": run.run_id,
        "exact": int((distance == 0).sum()),
        "quantiles": quantiles,
        **{
            name: {
                "mse": bootstrap(mse[group]),
                "less_class_mean": bootstrap((mse - class_mean[labels])[group]),
            }
            for name, group in groups.items()
        },
        "reported": [
            {"image": i, "label": CLASS_NAMES[c], "mse": float(e), "class_mean": class_mean[c]}
            for i, c, e in zip(known, chosen.labels.tolist(), errors, strict=True)
        ],
    }


def facing_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Compare a run's error on the test set, on the mirrored test set, and by facing.

    An image faces as its class does if it is nearer to its class's mean training image than its
    mirror image is.

    Returns:
        ``test`` and ``mirrored``: the error over all images and for each class, with intervals;
        ``by_facing``: for each class the error of images that face ``with`` and ``against`` it
        (None where there are fewer than two), and the ``share`` that faces with it.
    """
    test, labels = dataset.test, dataset.test.labels
    model, given = run.model(), run.config.given
    mirrored = Images(test.images.flip(3), labels)
    means = class_means(to_unit(dataset.train.images), dataset.train.labels)
    facing = faces_as_its_class(to_unit(test.images), labels, means).numpy()
    mse = halves_mse(model.predict, test, given)
    by_facing = {}
    for number, name in enumerate(CLASS_NAMES):
        own = labels.numpy() == number
        groups = {"with": mse[own & facing], "against": mse[own & ~facing]}
        by_facing[name] = {
            key: bootstrap(values) if len(values) > 1 else None for key, values in groups.items()
        } | {"share": float(facing[own].mean())}
    return {
        "run_id": run.run_id,
        "test": _by_class(mse, labels.numpy()),
        "mirrored": _by_class(halves_mse(model.predict, mirrored, given), labels.numpy()),
        "by_facing": by_facing,
    }


def _by_class(mse: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    return class_intervals(mse, labels) | {"all": bootstrap(mse)}
