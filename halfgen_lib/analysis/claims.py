"""The seed's claims, one by one: how each was tested, what was measured, and the verdict.

A claim whose evidence has not been computed yet is *open*: it says what to run, and nothing else.
Verdicts follow from the numbers by rules that are written here, not by eye.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from ..data import CLASS_NAMES, Dataset
from ..evaluation import SEED_REPORT_MSE
from ..runs import Run
from ..runs.record import Record
from .curves import points
from .summaries import Summary

SEED_EPOCH = 17  # Erkol (2023), section 5: "by the 17th epoch"
SEED_DROPS = 4  # "decreased four times"
SEED_EASY = ("Trouser", "T-shirt/top", "Dress")
SEED_HARD = ("Sneaker", "Ankle boot")
OPEN = "open"


@dataclass(frozen=True)
class Claim:
    """One row of the table of claims."""

    claim: str
    test: str
    measured: str = "not computed yet: `make study`"
    verdict: str = OPEN
    shown_in: str = ""

    def row(self, number: int) -> tuple[str, ...]:
        """Return the row's cells."""
        return (str(number), *astuple(self))


HEADER = ("", "the seed says", "tested by", "measured", "verdict", "shown in")


def _records(summaries: Mapping[str, Summary], variant: str) -> tuple[Record, ...]:
    return summaries[variant].records if variant in summaries else ()


def _spread(values: list[float], digits: int) -> str:
    """Return the range of values over seeds in words."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def convergence(summaries: Mapping[str, Summary]) -> Claim:
    """Claim 1, on the network of the public code: both losses are near the value by the epoch."""
    claim = f"Training and validation loss meet at about {SEED_REPORT_MSE} by epoch {SEED_EPOCH}."
    test = f"public code's network and protocol, losses of epoch {SEED_EPOCH}"
    records = [r for r in _records(summaries, "as_published") if r.epochs >= SEED_EPOCH]
    if not records:
        return Claim(claim, test)
    train = [r.history.train_loss[SEED_EPOCH - 1] for r in records]
    val = [r.history.val_loss[SEED_EPOCH - 1] for r in records]
    distance = np.abs(np.array([train, val]) - SEED_REPORT_MSE).max(0)
    near = list(distance <= 0.0005)
    measured = f"training {_spread(train, 4)}, validation {_spread(val, 4)}"
    return Claim(claim, test, measured, _reproduced(near), "@fig-seeds")


def _reproduced(seeds: list[bool]) -> str:
    """Return the verdict on what each seed did reproduce, or not."""
    if any(seeds) and not all(seeds):
        return f"reproduced by {sum(seeds)} of {len(seeds)} seeds"
    return "reproduced" if all(seeds) else "not reproduced"


def learning_rate_drops(summaries: Mapping[str, Summary]) -> Claim:
    """Claim 2: how often the learning rate falls in the seed's epochs."""
    claim, test = "The learning rate is halved four times.", "drops in the public code's schedule"
    records = _records(summaries, "as_published")
    if not records:
        return Claim(claim, test)
    drops = [int((np.diff(r.history.lr) < 0).sum()) for r in records]
    measured = f"{_spread(drops, 0)} in {records[0].epochs} epochs"
    verdict = _reproduced([number == SEED_DROPS for number in drops])
    return Claim(claim, test, measured, verdict, "@fig-seeds")


def overfitting(summaries: Mapping[str, Summary]) -> Claim:
    """Claim 3: whether the validation loss rises when training goes on."""
    claim = f"Training past epoch {SEED_EPOCH} overfits."
    test = "the text's network for 60 epochs: last validation loss against the lowest"
    records = _records(summaries, "long")
    if not records:
        return Claim(claim, test)
    rise = [r.history.val_loss[-1] / min(r.history.val_loss) - 1 for r in records]
    gap = [r.history.val_loss[-1] / r.history.train_loss[-1] - 1 for r in records]
    best = [float(r.best_epoch) for r in records]
    measured = (
        f"best epoch {_spread(best, 0)}; then up by {max(rise):.1%}; at the end the validation"
        f" loss is {max(gap):.0%} above the training loss"
    )
    verdict = "true" if min(rise) > 0.01 else "true in part: a gap opens, the error hardly rises"
    if min(gap) < 0.05:
        verdict = "not seen"
    return Claim(claim, test, measured, verdict, "@fig-seeds")


def easy_and_hard(run: Run) -> Claim:
    """Claim 4: the classes ranked by squared error and by structural similarity."""
    per_class = run.metrics["per_class"]
    names = [name for name in CLASS_NAMES if name in per_class]
    by_mse = sorted(names, key=lambda name: per_class[name]["mse"]["mean"])
    by_ssim = sorted(names, key=lambda name: -per_class[name]["ssim"]["mean"])
    ranks = [
        f"{name} {by_mse.index(name) + 1} and {by_ssim.index(name) + 1}"
        for name in SEED_EASY + SEED_HARD
    ]
    easy = all(name in by_mse[:5] for name in SEED_EASY)
    hard = [name for name in SEED_HARD if name in by_mse[-3:]]
    verdict = {2: "true", 1: "half true", 0: "not true"}[len(hard)] if easy else "half true"
    return Claim(
        "Trousers, T-shirts and dresses are completed best, sneakers and ankle boots worst.",
        "rank of ten, by MSE and by SSIM (1: best)",
        "; ".join(ranks),
        verdict if len(hard) != 1 else f"{verdict}: {hard[0]} is hard by MSE, the other is not",
        "@tbl-classes",
    )


def rank_correlations(a: np.ndarray, b: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return Spearman's rank correlation over all images, and its mean within the classes."""
    within = [spearmanr(a[labels == c], b[labels == c]).statistic for c in np.unique(labels)]
    return float(spearmanr(a, b).statistic), float(np.mean(within))


def symmetry(mirror: np.ndarray, mse: np.ndarray, labels: np.ndarray) -> Claim:
    """Claim 5: whether an image's asymmetry goes with the network's error."""
    overall, within = rank_correlations(mirror, mse, labels)
    verdict = "true" if min(overall, within) > 0.3 else "true in part"
    return Claim(
        "The reason is symmetry: symmetric items are easier.",
        "rank correlation of an image's mirror error and the network's error",
        f"{overall:.2f} over all images, {within:.2f} within a class",
        verdict if max(overall, within) > 0.1 else "not seen",
        "@fig-symmetry",
    )


def facing(values: Mapping[str, Any] | None) -> Claim:
    """Claim 6: what it costs to face the other way: mirrored, and as such items really are."""
    claim = "Asymmetric items that face the other way are completed worse: the data face one way."
    test = "error on the mirrored test set, without and with flips; error of those facing away"
    if values is None:
        return Claim(claim, test, "not computed yet: `halfgen analyse`")
    plain, flip = values["default"], values["flip"]
    boot = {key: plain[key]["Ankle boot"]["mean"] for key in ("test", "mirrored")}
    both = {n: g for n, g in plain["by_facing"].items() if g["with"] and g["against"]}
    # worse or better: the two groups' intervals do not touch
    worse = [n for n, g in both.items() if g["against"]["low"] > g["with"]["high"]]
    better = [n for n, g in both.items() if g["against"]["high"] < g["with"]["low"]]
    measured = (
        f"ankle boots {boot['test']:.3f}, mirrored {boot['mirrored']:.3f}; all classes"
        f" {plain['test']['all']['mean']:.4f}, mirrored {plain['mirrored']['all']['mean']:.4f};"
        f" trained with flips {flip['test']['all']['mean']:.4f} and"
        f" {flip['mirrored']['all']['mean']:.4f}; of items that really face away, worse in"
        f" {len(worse)} of {len(both)} classes, better in {len(better)}"
    )
    verdict = "not seen"
    if plain["mirrored"]["all"]["low"] > plain["test"]["all"]["high"]:
        verdict = "true of mirrored images"
        if len(worse) == len(both):
            verdict = "true"
        elif better:
            verdict += f"; of real ones in some classes, the opposite in {', '.join(better)}"
    return Claim(claim, test, measured, verdict, "@tbl-facing")


def dataset_size(train: int, test: int) -> Claim:
    """Claim 7: how many images there are."""
    return Claim(
        "The data set has 50,000 training images.",
        "counting",
        f"{train:,} for training, {test:,} for testing",
        "true" if train == 50_000 else "not true: that is what a hold-out of 10,000 leaves",
        "@sec-data",
    )


def more_data(summaries: Mapping[str, Summary], beyond: Mapping[str, Summary]) -> Claim:
    """Claim 8: what more training images bring, by the variants that train on a part of them.

    ``summaries`` are of the seed's network, ``beyond`` of the U-Net; the verdict is of both.
    """
    claim, test = "A larger data set would help.", "test error against the size of the training set"
    told, gains = [], []
    for name, found, study in (("", summaries, "study"), ("U-Net: ", beyond, "beyond")):
        curve = points(found, study, "training images")
        if len(curve) < 3:
            continue
        first, before, last = ((p.x, p.summary.mean("test_mse")) for p in (curve[0], *curve[-2:]))
        gains.append(1 - last[1] / before[1])
        told.append(
            f"{name}{first[0]:,} images {first[1]:.4f}, {before[0]:,} {before[1]:.4f},"
            f" {last[0]:,} {last[1]:.4f}: the last step lowers it by {gains[-1]:.1%}"
        )
    if not told:
        return Claim(claim, test)
    falls = min(gains) > 0.01
    verdict = "likely: the curve still falls" if falls else "not by much: the curve is flat"
    return Claim(claim, test, "; ".join(told), verdict, "@fig-curves")


def generative(values: Mapping[str, Any] | None) -> Claim:
    """Claim 9, the seed's future work: by squared error, and by how real the draws look."""
    claim = "Variational autoencoders or adversarial networks would help."
    test = "training both: error of one draw and of the mean of draws; Fréchet distance"
    methods = values["methods"] if values else {}
    tried = [name for name in ("cvae", "gan") if name in methods]
    if not tried or "default" not in methods:
        return Claim(claim, test, "not computed yet: `halfgen analyse --beyond`")
    ours = methods["default"]
    parts = [
        f"{m['title']} {m['mse']['mean']:.4f} and {m['mean']['mse']['mean']:.4f}, distance"
        f" {m['frechet']['mean']:.1f}"
        for m in (methods[name] for name in tried)
    ]
    measured = "; ".join(
        [*parts, f"autoencoder {ours['mse']['mean']:.4f}, distance {ours['frechet']['mean']:.1f}"]
    )
    nearer = any(methods[n]["mean"]["mse"]["high"] < ours["mse"]["low"] for n in tried)
    real = any(methods[n]["frechet"]["high"] < ours["frechet"]["low"] for n in tried)
    verdict = {
        (True, True): "true: the mean of draws is nearer, and draws look more real",
        (False, True): "true of how real it looks, not of the error",
        (True, False): "true of the error, not of how real it looks",
        (False, False): "not seen",
    }[nearer, real]
    return Claim(claim, test, measured, verdict, "@fig-plane")


def all_claims(
    run: Run,
    mirror: np.ndarray,
    summaries: Mapping[str, Summary],
    beyond: Mapping[str, Summary],
    facing_values: Mapping[str, Any] | None,
    generative_values: Mapping[str, Any] | None,
    dataset: Dataset,
) -> list[Claim]:
    """Return the claims in their order.

    Args:
        run: the finished run that is reported.
        mirror: (N,) the mirror error of each test image.
        summaries, beyond: of the study, and of the networks beyond the seed's.
        facing_values, generative_values: published analyses, or None.
        dataset: the images.
    """
    mse, labels = run.scores["mse"], dataset.test.labels.numpy()
    return [
        convergence(summaries),
        learning_rate_drops(summaries),
        overfitting(summaries),
        easy_and_hard(run),
        symmetry(mirror, mse, labels),
        facing(facing_values),
        dataset_size(len(dataset.train), len(dataset.test)),
        more_data(summaries, beyond),
        generative(generative_values),
    ]
