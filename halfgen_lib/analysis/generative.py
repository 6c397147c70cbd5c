"""Compare methods that draw right halves with those that predict one: a row of measures each.

Point predictors are taken as a single draw that is always the same. True images have a row as
well: what another set of true images reaches is the floor (or the ceiling) of every measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data import CLASS_NAMES, Dataset, Images, join, split, stratified_order, to_unit
from ..evaluation import Interval, bootstrap, first_of_each_class, intervals, seam_step
from ..runs.record import encode
from . import floor, realism, sampling
from .classifier import Classifier, left_only, load_classifier
from .neighbours import flat_rows, nearest_rms, neighbours

IMAGES, DRAWS = 2000, 19  # 19 draws bound central intervals of 50 % and of 90 % exactly
SEED = 0  # of the choice of images and of the draws
MEAN_OF = 16  # draws in the mean that is compared with point predictors
LEVELS = (0.5, 0.9)
SHOWN = 6  # draws of each example
SEARCHED = 4  # draws of each image that are looked for among the training images
QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9)
SIMILAR, UNSETTLED = 50, 0.05  # see `unsettled`


class Predictor(Protocol):
    """What has ``predict(left)``, and ``sample(left, n, generator)`` too if it draws."""

    def predict(self, left: Tensor) -> Tensor:
        """Complete left halves."""


@dataclass(frozen=True, eq=False)
class EvaluationData:
    """What every method is measured on, with the classifier whose features and classes are used."""

    left: Tensor  # (N, 1, 28, 14) of N test images
    right: Tensor  # (N, 1, 28, 14), the true ones
    labels: Tensor  # (N,)
    unsettled: np.ndarray  # (N, 392) bool: see the function
    train: floor.Halves  # of all images of the split
    validation: floor.Halves
    reference: Tensor  # (N, 64) features of N validation images, which no method was fitted on
    true_distance: np.ndarray  # (N,) from each true right half to its nearest training right half
    classifier: Classifier


def evaluation_data(dataset: Dataset, classifier: Classifier, images: int) -> EvaluationData:
    """Choose the images and prepare what does not depend on the method.

    Raises:
        ValueError: if there are not that many images, or fewer than 10 are asked for.
    """
    splits = split(dataset, "holdout")
    most = min(len(splits.test), len(splits.validation))
    if not len(CLASS_NAMES) <= images <= most:
        raise ValueError(f"images is {images}, allowed: {len(CLASS_NAMES)} to {most}")
    generator = torch.Generator().manual_seed(SEED)
    test, reference = (
        part.select(stratified_order(part.labels, generator)[:images])
        for part in (splits.test, splits.validation)
    )
    left, right = test.halves()
    train = splits.train.halves()
    return EvaluationData(
        left=left,
        right=right,
        labels=test.labels,
        unsettled=unsettled(left, *train),
        train=train,
        validation=splits.validation.halves(),
        reference=classifier.look(to_unit(reference.images))[0],
        true_distance=nearest_rms(right, train[1]),
        classifier=classifier,
    )


def unsettled(left: Tensor, train_left: Tensor, train_right: Tensor) -> np.ndarray:
    """Tell which pixels of the right halves the left halves leave open: (N, 392) bool.

    Those that have a standard deviation of 0.05 or more over the right halves of the 50 training
    images with the nearest left halves: not the background that is black in all of them. The
    truth has no say in it; a choice by the truth, or by the class, would change the probability
    with which a perfect sampler's intervals cover it.
    """
    right, known = flat_rows(train_right), flat_rows(train_left)
    _, nearest = neighbours(flat_rows(left), known, min(SIMILAR, len(known)))
    return np.stack([right[own].std(0) >= UNSETTLED for own in nearest])


def generative_analysis(
    methods: Mapping[str, Predictor],
    dataset: Dataset,
    *,
    networks: Sequence[Predictor] = (),
    images: int = IMAGES,
) -> dict[str, Any]:
    """Measure every method on the same test images.

    Args:
        methods: name -> predictor, in the order of tables; ``title`` is shown where there is one.
            They must have been fitted on the ``holdout`` split's training images, left half given.
        dataset: the images.
        networks: point predictors that differ in their seed alone, for :mod:`floor`.
        images: test images, stratified by class; as many validation images are the reference.

    Returns:
        Plain JSON values: the sizes; ``unsettled``, the share of such pixels; ``classifiers``,
        their hashes; ``labels``, how often they are right on the true images, on their left halves
        beside black, and on those if trained for them; ``methods``, name -> title and
        :func:`method_row`; ``real``, the :func:`set_measures` of the true images; ``floor``,
        :func:`floor.floor_estimates`; ``examples``, for pictures.

    Raises:
        ValueError: if there are not that many images, or fewer than 10 are asked for.
        RunError: if there is no classifier.
    """
    (classifier, record), (of_halves, half_record) = load_classifier(), load_classifier(half=True)
    data = evaluation_data(dataset, classifier, images)
    whole = join(data.left, data.right)[None]
    seen = {
        "true": (whole, classifier),
        "left_only": (left_only(whole), classifier),
        "left_only_trained": (left_only(whole), of_halves),
    }
    return {
        "images": images,
        "draws": DRAWS,
        "searched_draws": SEARCHED,
        "unsettled": float(data.unsettled.mean()),
        "classifiers": {"whole": record["sha256"], "left_only": half_record["sha256"]},
        "labels": {
            name: agreement(look_at(*shown)[1], data.labels) for name, shown in seen.items()
        },
        "methods": {
            name: {"title": getattr(method, "title", name)} | method_row(method, data)
            for name, method in methods.items()
        },
        "real": set_measures(data.right[None], data),
        "floor": floor.floor_estimates(
            [network.predict for network in networks],
            (data.left, data.right),
            train=data.train,
            validation=data.validation,
        ),
        "examples": examples(methods, dataset.test),
    }


@torch.inference_mode()
def method_row(method: Predictor, data: EvaluationData) -> dict[str, Any]:
    """Return every measure of a method: means over images with intervals where they are means.

    Returns:
        ``draws`` (1 for a point predictor), :func:`scores` and :func:`set_measures`; and of a
        method that draws ``best_of`` and ``mean_of`` (errors for 1 to K draws; ``mean_of`` also at
        infinity), ``mean`` (error, and set measures, of the mean of 16 draws), ``coverage``.
    """
    if not hasattr(method, "sample"):
        completed = method.predict(data.left)[None].cpu()
        return {"draws": 1, **scores(completed, data), **set_measures(completed, data)}
    generator = torch.Generator().manual_seed(SEED)
    drawn = method.sample(data.left, DRAWS, generator).cpu()
    mean = drawn[:MEAN_OF].mean(0, keepdim=True)
    best = sampling.best_of(sampling.draw_mse(drawn, data.right))
    means = sampling.mse_of_means(drawn, data.right, [*range(1, DRAWS + 1), np.inf])
    return {
        "draws": DRAWS,
        **scores(drawn, data),
        **set_measures(drawn, data),
        "best_of": [bootstrap(values) for values in best],
        "mean_of": [bootstrap(values) for values in means],
        "mean": {"count": MEAN_OF, **scores(mean, data), **set_measures(mean, data)},
        "coverage": coverage(drawn, data, generator),
    }


def scores(drawn: Tensor, data: EvaluationData) -> dict[str, Interval]:
    """Return the means over images of what compares draws (K, N, ...) with their own truth."""
    return intervals(
        {
            "mse": sampling.draw_mse(drawn, data.right).mean(0),
            "crps": sampling.crps(drawn, data.right),
            "energy": sampling.energy_score(drawn, data.right),
            "diversity": sampling.diversity(drawn),
            "spread": sampling.spread(drawn),
        }
    )


def set_measures(drawn: Tensor, data: EvaluationData) -> dict[str, Any]:
    """Return what true images have as well, of draws (K, N, 1, 28, 14).

    ``frechet`` and, of the first draws, ``precision`` and ``recall`` against the reference
    (:mod:`realism`; intervals given the supports); ``agreement`` with the true label; ``seam``;
    ``memorised``: quantiles of the distance to the nearest training right half, those of the
    ``true`` halves, and the share of draws ``below`` the true ones' 1 % quantile. A blurred half is
    nearer to everything than a sharp one: a large share calls for a look, 0 is a copy.
    """
    left = data.left.expand_as(drawn)
    features, classes = look_at(join(left, drawn), data.classifier)
    values = {
        "precision": realism.within(features[0], data.reference),
        "recall": realism.within(data.reference, features[0]),
        "seam": torch.stack([*map(seam_step, left, drawn)]).mean(0).double().numpy(),
    }
    return {
        "frechet": realism.frechet_interval(data.reference, features),
        **intervals(values),
        "agreement": agreement(classes, data.labels),
        "memorised": memorised(drawn[:SEARCHED], data),
    }


def memorised(drawn: Tensor, data: EvaluationData) -> dict[str, Any]:
    """Return how near draws are to training right halves: see :func:`set_measures`."""
    limit = np.quantile(data.true_distance, 0.01)
    distance = np.stack([nearest_rms(half, data.train[1]) for half in drawn])
    return {
        "quantiles": {str(q): float(np.quantile(distance, q)) for q in QUANTILES},
        "true": {str(q): float(np.quantile(data.true_distance, q)) for q in QUANTILES},
        "below": bootstrap((distance < limit).mean(0)),
    }


def look_at(images: Tensor, classifier: Classifier) -> tuple[Tensor, Tensor]:
    """Return features (K, N, 64) and classes (K, N) of whole images (K, N, 1, 28, 28)."""
    features, classes = zip(*map(classifier.look, images), strict=True)
    return torch.stack(features), torch.stack(classes)


def agreement(classes: Tensor, labels: Tensor) -> Interval:
    """Return how often classes (K, N) are the labels (N,): the mean over draws, then images."""
    return bootstrap((classes == labels).double().mean(0).numpy())


def coverage(drawn: Tensor, data: EvaluationData, generator: torch.Generator) -> dict[str, Any]:
    """Return for each level the covered share of ``all`` and of ``unsettled`` pixels.

    Images are resampled for the intervals, not pixels, which depend on each other.
    """
    inside, found = sampling.covered(drawn, data.right, LEVELS, generator), {}
    unsettled_share = data.unsettled.mean(1)
    for level, hits in zip(LEVELS, inside, strict=True):
        part = (hits & data.unsettled).mean(1)
        ratio = part.mean() / unsettled_share.mean()
        # the ratio of two means, linearised: each image's pull on it
        pull = ratio + (part - ratio * unsettled_share) / unsettled_share.mean()
        found[str(level)] = intervals({"all": hits.mean(1), "unsettled": pull})
    return found


@torch.inference_mode()
def examples(methods: Mapping[str, Predictor], test: Images) -> dict[str, Any]:
    """Return the first test image of each class, completed by each method, as text.

    Returns:
        ``positions`` in the test file; ``left`` and ``right``, the true halves; ``point`` name ->
        the prediction; ``draws`` name -> six draws, of methods that draw; each text holds ten
        halves (:func:`published.decode`).
    """
    positions = first_of_each_class(test.labels.numpy(), 1)[:, 0]
    left, right = test.select(positions).halves()
    drawn = {
        name: method.sample(left, SHOWN, torch.Generator().manual_seed(SEED))
        for name, method in methods.items()
        if hasattr(method, "sample")
    }
    return {
        "positions": positions.tolist(),
        "left": encode(left),
        "right": encode(right),
        "point": {name: encode(method.predict(left)) for name, method in methods.items()},
        "draws": {name: [encode(half) for half in each] for name, each in drawn.items()},
    }
