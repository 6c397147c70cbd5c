"""Audits: copies across the splits, reported labels, symmetry, facing, and the erratum."""

from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from ..data import CLASS_NAMES, Dataset, Images, hold_out, to_unit
from ..evaluation import Interval, bootstrap, first_of_each_class, halves_mse, mse_per_image
from ..models.affine import affine_probe
from ..runs import Run
from ..runs.record import encode, encode_errors
from .distances import flat_rows, neighbours
from .sampling import ratio

# Training images that readers of the data set report as mislabelled or badly cut:
# https://github.com/zalandoresearch/fashion-mnist/issues/166, the instances that it shows
REPORTED_MISLABELLED = (16691, 28264, 33982, 40513, 42018, 45592)

SIMILAR, RESAMPLES = 20, 200  # neighbours that tell an asymmetry; of its rank correlations
ENOUGH = 20  # images for an interval to mean something
FACING = ("Sandal", "Sneaker", "Bag", "Ankle boot")  # what has a front; other classes are even


def class_intervals(values: np.ndarray, labels: np.ndarray) -> dict[str, Interval]:
    """Return the interval of each class's mean of the scores (N,), by the class's name."""
    return {name: bootstrap(values[labels == c]) for c, name in enumerate(CLASS_NAMES)}


def audit_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Look for copies of test images among the training images, and for mislabelled ones.

    ``exact`` counts test images with an identical training image. ``reported``: the error of images
    of the training file that are reported as mislabelled, beside the mean of their own split and
    class, and the share of these that err less. ``symmetry``: :func:`symmetry_analysis`.
    """
    known = {image.numpy().tobytes() for image in dataset.train.images}
    return {
        "run_id": run.run_id,
        "exact": sum(image.numpy().tobytes() in known for image in dataset.test.images),
        "reported": _reported(run, dataset),
        "symmetry": symmetry_analysis(run, dataset),
    }


def _reported(run: Run, dataset: Dataset) -> list[dict[str, Any]]:
    labels, found = dataset.train.labels.numpy(), []
    validates = np.isin(np.arange(len(labels)), hold_out(dataset.train.labels)[0])
    mse = halves_mse(run.model().predict, dataset.train, run.config.given)
    for image in (i for i in REPORTED_MISLABELLED if i < len(labels)):
        others = mse[(labels == labels[image]) & (validates == validates[image])]
        row = {"image": image, "label": CLASS_NAMES[labels[image]], "mse": mse[image]}
        row["split"] = "validation" if validates[image] else "training"
        found.append(row | {"class_mean": others.mean(), "below": (others < mse[image]).mean()})
    return found


def rank_correlations(a: np.ndarray, b: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return Spearman's rank correlation over all images, and its mean within the classes.

    Classes in which either is all the same, as copies in a small resample are, are left out.
    """
    groups = [(a[own], b[own]) for c in np.unique(labels) if (own := labels == c).any()]
    within = [stats.spearmanr(*both).statistic for both in groups if all(map(np.ptp, both))]
    return float(stats.spearmanr(a, b).statistic), float(np.mean(within))


def symmetry_analysis(run: Run, dataset: Dataset) -> dict[str, dict[str, Interval]]:
    """Return how the network's error on test images goes with asymmetry: rank correlations.

    ``own`` is the image's own mirror error; the right half that it is of is also what the network
    errs on. ``expected`` is what the left half alone tells of it: the mean mirror error of the
    ``SIMILAR`` training images with the nearest left halves. ``overall`` and ``within`` classes.
    """
    (left, right), (pool, pool_right) = dataset.test.halves(), dataset.train.halves()
    _, nearest = neighbours(flat_rows(left), flat_rows(pool), min(SIMILAR, len(pool)))
    of_pool, labels = mirror_error(pool, pool_right).numpy(), dataset.test.labels.numpy()
    measures = {"own": mirror_error(left, right).numpy(), "expected": of_pool[nearest].mean(1)}
    options = {"n_resamples": RESAMPLES, "batch": 1, "method": "percentile", "paired": True}
    options |= {"vectorized": False, "rng": np.random.default_rng(0)}
    found = {}
    for name, asymmetry in measures.items():
        both = asymmetry, run.scores["mse"], labels
        ends = stats.bootstrap(both, rank_correlations, **options).confidence_interval
        values = zip(("overall", "within"), rank_correlations(*both), *ends, strict=True)
        found[name] = {
            kind: Interval(mean=mean, low=low, high=high, count=len(labels))
            for kind, mean, low, high in values
        }
    return found


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

    The latter: for each class in ``FACING`` the ``share`` of images that :func:`faces_as_its_class`
    finds ``with`` it and, as ``relative``, the error of these and of those ``against`` it (where
    there are ``ENOUGH``), each over the mean square of the right halves, their content.
    """
    test, labels = dataset.test, dataset.test.labels.numpy()
    means = class_means(to_unit(dataset.train.images), dataset.train.labels)
    facing = faces_as_its_class(to_unit(test.images), test.labels, means).numpy()
    predict, given = run.model().predict, run.config.given
    mirrored = Images(test.images.flip(3), test.labels)
    mse, of_mirrored = (halves_mse(predict, images, given) for images in (test, mirrored))
    content, by_facing = halves_mse(torch.zeros_like, test, given), {}
    for name in FACING:
        own, relative = labels == CLASS_NAMES.index(name), {}
        for side, chosen in {"with": own & facing, "against": own & ~facing}.items():
            if chosen.sum() >= ENOUGH:
                relative[side] = bootstrap(ratio(mse[chosen], content[chosen]))
        by_facing[name] = {"share": float(facing[own].mean()), "relative": relative}
    whole = {"test": mse, "mirrored": of_mirrored}
    errors = {n: class_intervals(v, labels) | {"all": bootstrap(v)} for n, v in whole.items()}
    return {"run_id": run.run_id, **errors, "by_facing": by_facing}


@torch.no_grad()
def erratum_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Tell whether a run's network is an affine map under its sigmoid, and of which rank.

    The seed's public code writes ``nn.LeakyReLU(True)``, where the first argument is the slope: all
    before the sigmoid is affine then, of a rank no larger than the latent code's. ``affine_error``
    is the largest difference, over the test set, of the network's pixels from sigmoid(A x + b);
    ``completions`` are of the first test image of each class.
    """
    model, latent = run.model(), run.config.identity()["model_settings"]["latent_dim"]
    matrix, bias = affine_probe(model)
    left = dataset.test.halves(run.config.given)[0].double()
    affine = torch.sigmoid(left.flatten(1) @ matrix.T + bias)
    values = torch.linalg.svdvals(matrix)
    shown = first_of_each_class(dataset.test.labels.numpy(), 1)[:, 0]
    return {
        "run_id": run.run_id,
        "latent_dim": latent,
        "affine_error": (model.predict(left).flatten(1) - affine).abs().max().item(),
        "singular_values": [float(f"{value:.6g}") for value in values[:128]],
        "rank": int((values > 1e-9 * values[0]).sum()),
        "test_mse": run.metrics["overall"]["mse"],
        "errors": {"public": encode_errors(run.scores["mse"])},
        "completions": encode(model.float().predict(left[shown].float())),
    }
