"""Compare methods that draw right halves with those that predict one: a row of measures each.

Point predictors are taken as a single draw that is always the same. True images have a row as well:
what another set of them reaches is the floor (or the ceiling) of every measure.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import CLASS_NAMES, Dataset, Images, join, split, stratified_order, to_grey, to_unit
from ..evaluation import Interval, bootstrap, first_of_each_class, intervals, seam_step
from ..progress import steps
from ..runs.record import encode, encode_errors
from . import distances, sampling
from .classifier import Classifier, load_classifier
from .two_sample import two_sample_test

IMAGES, DRAWS = 2000, 19  # 19 draws bound central intervals of 50 % and of 90 % exactly
SEED = 0  # of the choice of images and of the draws
MEAN_OF = 16  # draws in the mean that is compared with point predictors
LEVELS = (0.5, 0.9)
SHOWN = 6  # draws of each example
SEARCHED = 4  # draws of each image that are looked for among the training images
SIMILAR, UNSETTLED = 50, 0.05  # see `unsettled`
COMPARED = "default"  # the method that every other one is set against, image by image

Predictor = Any  # that has predict(left), and sample(left, n, generator) too if it draws
Methods = Mapping[str, Predictor]  # in the order of tables


def generative_analysis(
    methods: Methods, dataset: Dataset, *, images: int = IMAGES
) -> dict[str, Any]:
    """Measure every method on the same test images, 10 or more, stratified by class.

    All are fitted on the ``holdout`` split, left half given. ``methods``: title and row of each;
    ``real``: what true halves have of it; ``realism``: how far each sampler's Frechet distance is
    above the lowest one's, paired by image; ``errors``: of each image, of what is predicted or the
    mean of draws.
    """
    classifier, record = load_classifier()
    data = Evaluation(dataset, classifier, images)
    rows = dict(steps({name: partial(data.row, name, method) for name, method in methods.items()}))
    for name in rows.keys() - {COMPARED} if COMPARED in rows else ():
        rows[name]["above"] = bootstrap(data.errors[name] - data.errors[COMPARED])
        rows[name]["frechet_above"] = data.frechet_above(name, COMPARED)
    return {
        "images": images,
        "reference_images": len(data.reference),
        "draws": DRAWS,
        "unsettled": float(data.unsettled.mean()),
        "classifiers": {"whole": record["sha256"]},
        "methods": rows,
        "real": data.set_measures(data.right[None], data.hidden[1]),
        "realism": data.realism([name for name, row in rows.items() if row["draws"] > 1]),
        "errors": {name: encode_errors(mse) for name, mse in data.errors.items()},
        "examples": examples(methods, dataset.test),
    }


class Evaluation:
    """The N test images that every method is measured on, and what is the same for all of them.

    Draws are (K, N, 1, 28, 14). The other test images, which nothing was fitted or chosen on, are
    the ``reference`` of sets, seen through the classifier's features. Networks of two-sample tests
    learn on validation images, half of them completed.
    """

    def __init__(self, dataset: Dataset, classifier: Classifier, images: int):
        splits, generator = split(dataset, "holdout"), torch.Generator().manual_seed(SEED)
        most = len(splits.test) // 2
        if not len(CLASS_NAMES) <= images <= most:
            raise ValueError(f"images is {images}, allowed: {len(CLASS_NAMES)} to {most}")
        order, half = stratified_order(splits.test.labels, generator), len(splits.validation) // 2
        test, others = (splits.test.select(own) for own in (order[:images], order[images:]))
        shown = stratified_order(splits.validation.labels, generator)
        shown, hidden = (splits.validation.select(own) for own in (shown[:half], shown[-half:]))
        self.labels, self.classifier = test.labels, classifier
        self.left, self.right = test.halves()
        train_left, self.train_right = splits.train.halves()
        self.unsettled = unsettled(self.left, train_left, self.train_right)
        self.reference, _ = classifier.look(to_unit(others.images))
        self.near = np.quantile(distances.nearest_rms(self.right, self.train_right), 0.01)
        self.learned, self.hidden = to_unit(shown.images), hidden.halves()
        self.judged = to_unit(others.images[:images])
        self.errors: dict[str, np.ndarray] = {}  # of the mean, by method: (N,)
        self.features: dict[str, Tensor] = {}  # of one completion of each image

    def realism(self, samplers: Sequence[str]) -> dict[str, Any]:
        """Return the sampler of ``lowest`` Frechet distance, and how far ``above`` the others are.

        Of one draw an image, the same resampled images for both.
        """
        found = {n: distances.frechet_distance(self.reference, self.features[n]) for n in samplers}
        if not found:
            return {}
        lowest = min(found, key=found.__getitem__)
        above = {n: self.frechet_above(n, lowest) for n in samplers if n != lowest}
        return {"lowest": lowest, "above": above}

    def frechet_above(self, name: str, other: str) -> Interval:
        """Return how far a method's Frechet distance is above another's, paired by image."""
        one = self.features[name][None]
        return distances.frechet_interval(self.reference, one, self.features[other])

    def row(self, name: str, method: Predictor) -> dict[str, Any]:
        """Return every measure of a method: means over images with intervals where they are means.

        Of one that draws, those of :meth:`draw_measures`, too.
        """
        generator, again = (torch.Generator().manual_seed(SEED) for _ in range(2))
        drawn = draw(method, self.left, DRAWS, generator)
        self.features[name], _ = self.classifier.look(join(self.left, drawn[0]))
        (self.errors[name],) = sampling.draw_mse(drawn[:MEAN_OF].mean(0)[None], self.right)
        scores = {
            "mse": sampling.draw_mse(drawn, self.right).mean(0),
            "crps": sampling.crps(drawn, self.right),
            "energy": sampling.energy_score(drawn, self.right),
        }
        row = {"title": getattr(method, "title", name), "draws": len(drawn), **intervals(scores)}
        row |= self.set_measures(drawn, draw(method, self.hidden[0], 1, again)[0])
        return row | (self.draw_measures(name, drawn, generator) if len(drawn) > 1 else {})

    def draw_measures(self, name: str, drawn: Tensor, generator: torch.Generator) -> dict[str, Any]:
        """Return ``spread_skill``, error and Frechet distance of the ``mean`` of 16, ``coverage``.

        The latter is for each level the covered share of ``unsettled`` pixels.
        """
        features, _ = self.classifier.look(join(self.left, drawn[:MEAN_OF].mean(0)))
        distance = distances.frechet_interval(self.reference, features[None])
        inside = sampling.covered(drawn, self.right, LEVELS, generator) & self.unsettled
        shares = [sampling.ratio(hits.mean(1), self.unsettled.mean(1)) for hits in inside]
        return {
            "spread_skill": sampling.spread_skill(drawn, self.right),
            "mean": {"count": MEAN_OF, "mse": bootstrap(self.errors[name]), "frechet": distance},
            "coverage": {
                str(level): {"unsettled": bootstrap(share)}
                for level, share in zip(LEVELS, shares, strict=True)
            },
        }

    def set_measures(self, drawn: Tensor, learned: Tensor) -> dict[str, Any]:
        """Return what true images have as well, of draws, and of ``learned``, completed others.

        ``frechet`` and, of the first draws, ``precision`` and ``recall`` against the reference
        (intervals given the supports); ``agreement`` with the true label, a mean over draws, then
        images; ``seam``; the share of ``black`` pixels, of grey value 0. ``memorised``: the share
        of draws nearer to a training right half than 1 % of true halves are; blurred halves are
        nearer to everything than sharp ones, so a large share calls for a look. ``two_sample``: how
        well completed images are told from true ones.
        """
        left = self.left.expand_as(drawn)
        completed = join(left, drawn)
        looks = zip(*map(self.classifier.look, completed), strict=True)
        features, classes = map(torch.stack, looks)
        nearest = [distances.nearest_rms(half, self.train_right) for half in drawn[:SEARCHED]]
        values = {
            "precision": distances.within(features[0], self.reference),
            "recall": distances.within(self.reference, features[0]),
            "seam": torch.stack([*map(seam_step, left, drawn)]).mean(0).double().numpy(),
            "black": (to_grey(drawn) == 0).flatten(2).double().mean((0, 2)).numpy(),
            "agreement": (classes == self.labels).double().mean(0).numpy(),
        }
        sets = (self.learned, join(self.hidden[0], learned)), (self.judged, completed[0])
        return {
            "frechet": distances.frechet_interval(self.reference, features),
            **intervals(values),
            "memorised": {"below": bootstrap((np.stack(nearest) < self.near).mean(0))},
            "two_sample": two_sample_test(*sets),
        }


def draw(method: Predictor, left: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return right halves (K, N, 1, 28, 14): so many draws or, K = 1, what is predicted."""
    if hasattr(method, "sample"):
        return method.sample(left, count, generator).cpu()
    return method.predict(left)[None].cpu()


def unsettled(left: Tensor, train_left: Tensor, train_right: Tensor) -> np.ndarray:
    """Tell which pixels of the right halves the left halves leave open: (N, 392) bool.

    They vary over the 50 training images with the nearest left halves. A choice by the truth, or by
    the class, would change the probability with which a perfect sampler's intervals cover it.
    """
    rows, known, right = map(distances.flat_rows, (left, train_left, train_right))
    _, nearest = distances.neighbours(rows, known, min(SIMILAR, len(known)))
    return np.stack([right[own].std(0) >= UNSETTLED for own in nearest])


@torch.inference_mode()
def examples(methods: Methods, test: Images) -> dict[str, Any]:
    """Return, encoded, the first image of each class, and each method's ``point`` and draws."""
    positions = first_of_each_class(test.labels.numpy(), 1)[:, 0]
    left, right = test.select(positions).halves()
    samplers = {name: method for name, method in methods.items() if hasattr(method, "sample")}
    seeded = torch.Generator()
    drawn = {n: draw(m, left, SHOWN, seeded.manual_seed(SEED)) for n, m in samplers.items()}
    return {
        "positions": positions.tolist(),
        "left": encode(left),
        "right": encode(right),
        "point": {name: encode(method.predict(left)) for name, method in methods.items()},
        "draws": {name: [encode(half) for half in each] for name, each in drawn.items()},
    }
