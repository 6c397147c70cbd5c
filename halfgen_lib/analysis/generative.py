"""Compare methods that draw right halves with those that predict one: a row of measures each.

Point predictors are taken as a single draw that is always the same. True images have a row as
well: what another set of true images reaches is the floor (or the ceiling) of every measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data import Dataset, Images, join
from ..evaluation import bootstrap, first_of_each_class, seam_step
from . import floor, realism, sampling
from .classifier import Classifier, left_only, load_classifier
from .published import encode
from .scene import Scene, make_scene

IMAGES, DRAWS = 2000, 19  # 19 draws bound central intervals of 50 % and of 90 % exactly
MEAN_OF = 16  # draws in the mean that is compared with point predictors
LEVELS = (0.5, 0.9)
SHOWN = 6  # draws of each example
SEARCHED = 4  # draws of each image that are looked for among the training images
QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9)


class Predictor(Protocol):
    """What has ``predict(left)``, and ``sample(left, n, generator)`` too if it draws."""

    def predict(self, left: Tensor) -> Tensor:
        """Complete left halves."""


def generative_analysis(
    methods: Mapping[str, Predictor],
    dataset: Dataset,
    *,
    networks: Mapping[str, Predictor] | None = None,
    images: int = IMAGES,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure every method on the same test images.

    Args:
        methods: name -> predictor, in the order of tables; ``title`` is shown where there is one.
            They must have been fitted on the ``holdout`` split's training images, left half given.
        dataset: the images.
        networks: point predictors that differ in their seed alone, for :mod:`floor`.
        images: test images, stratified by class; as many validation images are the reference.
        draws: of each image by methods that draw, 19 or more.
        seed: of the choice of images and of the draws.

    Returns:
        Plain JSON values: the sizes; ``unsettled``, the share of such pixels; ``classifiers``,
        their hashes; ``labels``, how often they are right on the true images, on their left halves
        beside black, and on those if trained for them; ``methods``, name -> title and
        :func:`method_row`; ``real``, the :func:`set_measures` of the true images; ``floor``,
        :func:`floor.floor_estimates`; ``examples``, for pictures.

    Raises:
        ValueError: if a size is not allowed.
        RunError: if there is no classifier.
    """
    fewest = max(map(sampling.needed_draws, LEVELS))
    if draws < fewest:
        raise ValueError(f"draws is {draws}, allowed: {fewest} or more")
    classifier, record = load_classifier()
    of_halves, half_record = load_classifier(half=True)
    scene = make_scene(dataset, classifier, images, seed)
    whole = join(scene.left, scene.right)[None]
    seen = {
        "true": (whole, classifier),
        "left_only": (left_only(whole), classifier),
        "left_only_trained": (left_only(whole), of_halves),
    }
    return {
        "images": images,
        "draws": draws,
        "searched_draws": SEARCHED,
        "unsettled": float(scene.unsettled.mean()),
        "classifiers": {"whole": record["sha256"], "left_only": half_record["sha256"]},
        "labels": {
            name: agreement(look_at(*shown)[1], scene.labels) for name, shown in seen.items()
        },
        "methods": {
            name: {"title": getattr(method, "title", name)}
            | method_row(method, scene, draws=draws, seed=seed)
            for name, method in methods.items()
        },
        "real": set_measures(scene.right[None], scene),
        "floor": floor.floor_estimates(
            {name: network.predict for name, network in (networks or {}).items()},
            (scene.left, scene.right),
            train=scene.train,
            validation=scene.validation,
        ),
        "examples": examples(methods, dataset.test, seed),
    }


@torch.inference_mode()
def method_row(method: Predictor, scene: Scene, *, draws: int, seed: int) -> dict[str, Any]:
    """Return every measure of a method: means over images with intervals where they are means.

    Returns:
        ``draws`` (1 for a point predictor); ``mse`` of one draw, ``crps``, ``energy``,
        ``diversity``, ``spread`` (:mod:`sampling`), the :func:`set_measures`, and of a method that
        draws ``best_of`` and ``mean_of`` (errors for 1 to K draws; ``mean_of`` also at infinity),
        ``mean`` (error, and set measures, of the mean of 16 draws), ``coverage`` (level -> share of
        ``all`` and of ``unsettled`` pixels).
    """
    if not hasattr(method, "sample"):
        completed = method.predict(scene.left)[None].cpu()
        return {"draws": 1, **scores(completed, scene), **set_measures(completed, scene)}
    generator = torch.Generator().manual_seed(seed)
    drawn = method.sample(scene.left, draws, generator).cpu()
    mean = drawn[:MEAN_OF].mean(0, keepdim=True)
    best = sampling.best_of(sampling.draw_mse(drawn, scene.right))
    means = sampling.mse_of_means(drawn, scene.right, [*range(1, draws + 1), np.inf])
    return {
        "draws": draws,
        **scores(drawn, scene),
        **set_measures(drawn, scene),
        "best_of": [bootstrap(values) for values in best],
        "mean_of": [bootstrap(values) for values in means],
        "mean": {"count": MEAN_OF, **scores(mean, scene), **set_measures(mean, scene)},
        "coverage": coverage(drawn, scene, generator),
    }


def scores(drawn: Tensor, scene: Scene) -> dict[str, Any]:
    """Return the means over images of what compares draws (K, N, ...) with their own truth."""
    values = {
        "mse": sampling.draw_mse(drawn, scene.right).mean(0),
        "crps": sampling.crps(drawn, scene.right),
        "energy": sampling.energy_score(drawn, scene.right),
        "diversity": sampling.diversity(drawn),
        "spread": sampling.spread(drawn),
    }
    return {name: bootstrap(each) for name, each in values.items()}


def set_measures(drawn: Tensor, scene: Scene) -> dict[str, Any]:
    """Return what true images have as well, of draws (K, N, 1, 28, 14).

    ``frechet`` and, of the first draws, ``precision`` and ``recall`` against the reference
    (:mod:`realism`; intervals given the supports); ``agreement`` with the true label; ``seam``;
    ``memorised``: quantiles of the distance to the nearest training right half, those of the
    ``true`` halves, and the share of draws ``below`` the true ones' 1 % quantile. A blurred half is
    nearer to everything than a sharp one: a large share calls for a look, 0 is a copy.
    """
    left = scene.left.expand_as(drawn)
    features, classes = look_at(join(left, drawn), scene.classifier)
    values = {
        "precision": realism.within(features[0], scene.reference),
        "recall": realism.within(scene.reference, features[0]),
        "seam": torch.stack([*map(seam_step, left, drawn)]).mean(0).double().numpy(),
    }
    return {
        "frechet": realism.frechet_interval(scene.reference, features),
        **{name: bootstrap(each) for name, each in values.items()},
        "agreement": agreement(classes, scene.labels),
        "memorised": memorised(drawn[:SEARCHED], scene),
    }


def memorised(drawn: Tensor, scene: Scene) -> dict[str, Any]:
    """Return how near draws are to training right halves: see :func:`set_measures`."""
    known, limit = scene.train[1].flatten(1), np.quantile(scene.true_distance, 0.01)
    distance = np.stack([realism.nearest_rms(half.flatten(1), known) for half in drawn])
    return {
        "quantiles": {str(q): float(np.quantile(distance, q)) for q in QUANTILES},
        "true": {str(q): float(np.quantile(scene.true_distance, q)) for q in QUANTILES},
        "below": bootstrap((distance < limit).mean(0)),
    }


def look_at(images: Tensor, classifier: Classifier) -> tuple[Tensor, Tensor]:
    """Return features (K, N, 64) and classes (K, N) of whole images (K, N, 1, 28, 28)."""
    features, classes = zip(*map(classifier.look, images), strict=True)
    return torch.stack(features), torch.stack(classes)


def agreement(classes: Tensor, labels: Tensor) -> dict[str, float]:
    """Return how often classes (K, N) are the labels (N,): the mean over draws, then images."""
    return bootstrap((classes == labels).double().mean(0).numpy())


def coverage(drawn: Tensor, scene: Scene, generator: torch.Generator) -> dict[str, Any]:
    """Return for each level the covered share of ``all`` and of ``unsettled`` pixels.

    Images are resampled for the intervals, not pixels, which depend on each other.
    """
    inside, found = sampling.covered(drawn, scene.right, LEVELS, generator), {}
    open_pixels = scene.unsettled.mean(1)
    for level, hits in zip(LEVELS, inside, strict=True):
        part = (hits & scene.unsettled).mean(1)
        ratio = part.mean() / open_pixels.mean()
        # the ratio of two means, linearised: each image's pull on it
        pull = ratio + (part - ratio * open_pixels) / open_pixels.mean()
        found[str(level)] = {
            "all": bootstrap(hits.mean(1)),
            "unsettled": bootstrap(pull),
        }
    return found


@torch.inference_mode()
def examples(methods: Mapping[str, Predictor], test: Images, seed: int) -> dict[str, Any]:
    """Return the first test image of each class, completed by each method, as text.

    Returns:
        ``positions`` in the test file; ``left`` and ``right``, the true halves; ``point`` name ->
        the prediction; ``draws`` name -> six draws, of methods that draw; each text holds ten
        halves (:func:`published.decode`).
    """
    positions = first_of_each_class(test.labels.numpy(), 1)[:, 0]
    left, right = test.select(positions).halves()
    drawn = {
        name: method.sample(left, SHOWN, torch.Generator().manual_seed(seed))
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
