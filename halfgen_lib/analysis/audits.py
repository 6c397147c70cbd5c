"""Audits: twins across the splits, reported labels, which way items face, and the erratum."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import CLASS_NAMES, Dataset, Images, to_unit
from ..evaluation import Interval, bootstrap, halves_mse, intervals, mse_per_image
from ..models.affine import affine_probe
from ..runs import Run
from .distances import nearest_rms

# Training images that readers of the data set report as mislabelled or badly cut:
# https://github.com/zalandoresearch/fashion-mnist/issues/166, the instances that it shows
REPORTED_MISLABELLED = (16691, 28264, 33982, 40513, 42018, 45592)


def class_intervals(values: np.ndarray, labels: np.ndarray) -> dict[str, Interval]:
    """Return the interval of each class's mean of the scores (N,), by the class's name."""
    return {name: bootstrap(values[labels == c]) for c, name in enumerate(CLASS_NAMES)}


def audit_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Look for copies of test images among the training images, and for mislabelled ones.

    ``exact`` counts test images with an identical training image, ``quantiles`` are of the distance
    to the nearest one. ``near`` and ``far``: the error of the tenth of the test images with the
    nearest and the farthest twin, in all and less the mean of the image's class. ``reported``: the
    error of training images that are reported as mislabelled, beside their labelled class's mean.
    """
    distance = nearest_rms(*(to_unit(part.images) for part in (dataset.test, dataset.train)))
    mse, labels = run.scores["mse"].astype(np.float64), dataset.test.labels.numpy()
    class_mean = np.array([mse[labels == c].mean() for c in range(len(CLASS_NAMES))])
    less = mse - class_mean[labels]
    low, high = np.quantile(distance, [0.1, 0.9])
    groups = {"near": distance <= low, "far": distance >= high}
    twins = {n: intervals({"mse": mse[g], "less_class_mean": less[g]}) for n, g in groups.items()}
    known = [i for i in REPORTED_MISLABELLED if i < len(dataset.train)]
    chosen = dataset.train.select(torch.tensor(known, dtype=torch.int64))
    errors = halves_mse(run.model().predict, chosen, run.config.given)
    return {
        "run_id": run.run_id,
        "exact": int((distance == 0).sum()),
        "quantiles": {str(q): float(np.quantile(distance, q)) for q in (0, 0.01, 0.1, 0.5, 0.9, 1)},
        **twins,
        "reported": [
            {"image": i, "label": CLASS_NAMES[c], "mse": float(e), "class_mean": class_mean[c]}
            for i, c, e in zip(known, chosen.labels.tolist(), errors, strict=True)
        ],
    }


def mirror_error(left: Tensor, right: Tensor) -> Tensor:
    """Return the mean squared error (N,) of mirrored left halves (N, 1, 28, 14) as right ones."""
    return mse_per_image(left.flip(3), right)


def class_means(images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean image of each class: (10, 1, 28, 28) for images (N, 1, 28, 28)."""
    return torch.stack([images[labels == c].mean(0) for c in range(len(CLASS_NAMES))])


def faces_as_its_class(images: Tensor, labels: Tensor, means: Tensor) -> Tensor:
    """Tell which images (N, 1, 28, 28) are nearer to their class's mean than mirrored: (N,) bool.

    The share is near 1/2 for a class without a common facing, near 1 where all images face one way.
    """
    return mse_per_image(images, means[labels]) < mse_per_image(images.flip(3), means[labels])


def facing_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Compare a run's error on the ``test`` set, on the ``mirrored`` test set, and ``by_facing``.

    The latter: for each class the error of images that :func:`faces_as_its_class` finds ``with``
    and ``against`` it (None where there are fewer than two), and the ``share`` with it.
    """
    test, labels = dataset.test, dataset.test.labels.numpy()
    means = class_means(to_unit(dataset.train.images), dataset.train.labels)
    facing = faces_as_its_class(to_unit(test.images), test.labels, means).numpy()
    predict, given = run.model().predict, run.config.given
    mirrored = Images(test.images.flip(3), test.labels)
    mse, of_mirrored = (halves_mse(predict, images, given) for images in (test, mirrored))
    by_facing = {}
    for number, name in enumerate(CLASS_NAMES):
        own = labels == number
        groups = {"with": mse[own & facing], "against": mse[own & ~facing]}
        sides = {side: bootstrap(v) if len(v) > 1 else None for side, v in groups.items()}
        by_facing[name] = sides | {"share": float(facing[own].mean())}
    return {
        "run_id": run.run_id,
        "test": class_intervals(mse, labels) | {"all": bootstrap(mse)},
        "mirrored": class_intervals(of_mirrored, labels) | {"all": bootstrap(of_mirrored)},
        "by_facing": by_facing,
    }


@torch.no_grad()
def erratum_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Tell whether a run's network is an affine map under its sigmoid, and of which rank.

    The seed's public code writes ``nn.LeakyReLU(True)``, where the first argument is the slope: all
    before the sigmoid is affine then, of a rank no larger than the latent code's. ``affine_error``
    is the largest difference, over the test set, of the network's pixels from sigmoid(A x + b).
    """
    model = run.model()
    matrix, bias = affine_probe(model)
    left = dataset.test.halves(run.config.given)[0].double()
    affine = torch.sigmoid(left.flatten(1) @ matrix.T + bias)
    values = torch.linalg.svdvals(matrix)
    settings = run.config.identity()["model_settings"]
    return {
        "run_id": run.run_id,
        **{name: settings[name] for name in ("negative_slope", "latent_dim")},
        "affine_error": (model.predict(left).flatten(1) - affine).abs().max().item(),
        "singular_values": [float(f"{value:.6g}") for value in values[:128]],
        "rank": int((values > 1e-9 * values[0]).sum()),
        "val_mse": float(run.history["val_loss"].min()),
        "test_mse": run.metrics["overall"]["mse"],
    }
