"""The seed's claims, one by one: how each was tested, what was measured, and the verdict.

A claim whose evidence has not been computed yet is *open*: it says what to run, and nothing else.
Verdicts follow from the numbers by rules that are written here, not by eye.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from ..data import Dataset
from ..evaluation import SEED_REPORT_MSE
from ..runs import Run
from ..runs.record import Record
from .curves import points
from .summaries import Summaries

SEED_EPOCH = 17  # Erkol (2023), section 5: "by the 17th epoch"
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


def _records(summaries: Summaries, variant: str) -> tuple[Record, ...]:
    return summaries[variant].records if variant in summaries else ()


def _spread(values: list[float], digits: int) -> str:
    """Return the range of values over seeds in words."""
    low, high = (f"{end(values):.{digits}f}" for end in (min, max))
    return low if low == high else f"{low} to {high}"


def convergence(summaries: Summaries) -> Claim:
    """Claim 1, on the network of the public code: both losses are near the value by the epoch."""
    claim = f"Training and validation loss meet at about {SEED_REPORT_MSE} by epoch {SEED_EPOCH}."
    test = f"public code's network and protocol, losses of epoch {SEED_EPOCH}"
    records = [r for r in _records(summaries, "as_published") if r.epochs >= SEED_EPOCH]
    if not records:
        return Claim(claim, test)
    train = [r.history.train_loss[SEED_EPOCH - 1] for r in records]
    val = [r.history.val_loss[SEED_EPOCH - 1] for r in records]
    near = (np.abs(np.array([train, val]) - SEED_REPORT_MSE) <= 0.0005).all(0)
    measured = f"training {_spread(train, 4)}, validation {_spread(val, 4)}"
    return Claim(claim, test, measured, _reproduced(near), "@fig-seeds")


def _reproduced(seeds: Sequence[bool]) -> str:
    """Return the verdict on what each seed did reproduce, or not."""
    if all(seeds):
        return "reproduced"
    return f"reproduced by {sum(seeds)} of {len(seeds)} seeds" if any(seeds) else "not reproduced"


def learning_rate_drops(summaries: Summaries) -> Claim:
    """Claim 2: how often the learning rate falls in the seed's epochs."""
    claim, test = "The learning rate is halved four times.", "drops in the public code's schedule"
    if not (records := _records(summaries, "as_published")):
        return Claim(claim, test)
    drops = [int((np.diff(r.history.lr) < 0).sum()) for r in records]
    measured = f"{_spread(drops, 0)} in {records[0].epochs} epochs"
    return Claim(claim, test, measured, _reproduced([n == 4 for n in drops]), "@fig-seeds")


def overfitting(summaries: Summaries) -> Claim:
    """Claim 3: whether the validation loss rises when training goes on."""
    claim = f"Training past epoch {SEED_EPOCH} overfits."
    test = "the text's network for 60 epochs: last validation loss against the lowest"
    if not (records := _records(summaries, "long")):
        return Claim(claim, test)
    rise = [r.history.val_loss[-1] / min(r.history.val_loss) - 1 for r in records]
    gap = [r.history.val_loss[-1] / r.history.train_loss[-1] - 1 for r in records]
    measured = (
        f"best epoch {_spread([r.best_epoch for r in records], 0)}; then up by {max(rise):.1%}; at"
        f" the end the validation loss is {max(gap):.0%} above the training loss"
    )
    verdict = "true" if min(rise) > 0.01 else "true in part: a gap opens, the error hardly rises"
    if min(gap) < 0.05:
        verdict = "not seen"
    return Claim(claim, test, measured, verdict, "@fig-seeds")


def easy_and_hard(run: Run) -> Claim:
    """Claim 4: the classes ranked by squared error and by structural similarity."""
    per_class = run.metrics["per_class"]
    by_mse = sorted(per_class, key=lambda name: per_class[name]["mse"]["mean"])
    by_ssim = sorted(per_class, key=lambda name: -per_class[name]["ssim"]["mean"])
    ranks = [f"{n} {by_mse.index(n) + 1} and {by_ssim.index(n) + 1}" for n in SEED_EASY + SEED_HARD]
    hard = [name for name in SEED_HARD if name in by_mse[-3:]]
    verdict = ("not true", "half true", "true")[len(hard)]
    if not all(name in by_mse[:5] for name in SEED_EASY):
        verdict = "half true"
    if len(hard) == 1:
        verdict += f": {hard[0]} is hard by MSE, the other is not"
    claim = "Trousers, T-shirts and dresses are completed best, sneakers and ankle boots worst."
    test = "rank of ten, by MSE and by SSIM (1: best)"
    return Claim(claim, test, "; ".join(ranks), verdict, "@tbl-classes")


def rank_correlations(a: np.ndarray, b: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return Spearman's rank correlation over all images, and its mean within the classes."""
    within = [spearmanr(a[labels == c], b[labels == c]).statistic for c in np.unique(labels)]
    return float(spearmanr(a, b).statistic), float(np.mean(within))


def symmetry(mirror: np.ndarray, mse: np.ndarray, labels: np.ndarray) -> Claim:
    """Claim 5: whether an image's asymmetry goes with the network's error."""
    claim = "The reason is symmetry: symmetric items are easier."
    test = "rank correlation of an image's mirror error and the network's error"
    overall, within = rank_correlations(mirror, mse, labels)
    measured = f"{overall:.2f} over all images, {within:.2f} within a class"
    verdict = "true" if min(overall, within) > 0.3 else "true in part"
    if max(overall, within) <= 0.1:
        verdict = "not seen"
    return Claim(claim, test, measured, verdict, "@fig-symmetry")


def facing(values: Mapping[str, Any] | None) -> Claim:
    """Claim 6: what it costs to face the other way: mirrored, and as such items really are."""
    claim = "Asymmetric items that face the other way are completed worse: the data face one way."
    test = "error on the mirrored test set, without and with flips; error of those facing away"
    if values is None:
        return Claim(claim, test, "not computed yet: `halfgen analyse`")
    plain, flip = values["default"], values["flip"]
    both = {n: g for n, g in plain["by_facing"].items() if g["with"] and g["against"]}
    # worse or better: the two groups' intervals do not touch
    worse = [n for n, g in both.items() if g["against"]["low"] > g["with"]["high"]]
    better = [n for n, g in both.items() if g["against"]["high"] < g["with"]["low"]]
    errors = plain["test"], plain["mirrored"], flip["test"], flip["mirrored"]
    boots, overall = ([e[name]["mean"] for e in errors] for name in ("Ankle boot", "all"))
    measured = (
        f"ankle boots {boots[0]:.3f}, mirrored {boots[1]:.3f}; all classes {overall[0]:.4f},"
        f" mirrored {overall[1]:.4f}; trained with flips {overall[2]:.4f} and {overall[3]:.4f};"
        f" of items that really face away, worse in {len(worse)} of {len(both)} classes,"
        f" better in {len(better)}"
    )
    verdict = "true of mirrored images"
    if better:
        verdict += f"; of real ones in some classes, the opposite in {', '.join(better)}"
    if len(worse) == len(both):
        verdict = "true"
    if plain["mirrored"]["all"]["low"] <= plain["test"]["all"]["high"]:
        verdict = "not seen"
    return Claim(claim, test, measured, verdict, "@tbl-facing")


def dataset_size(train: int, test: int) -> Claim:
    """Claim 7: how many images there are."""
    claim, counted = "The data set has 50,000 training images.", f"{train:,} for training"
    verdict = "true" if train == 50_000 else "not true: that is what a hold-out of 10,000 leaves"
    return Claim(claim, "counting", f"{counted}, {test:,} for testing", verdict, "@sec-data")


def more_data(summaries: Summaries, beyond: Summaries) -> Claim:
    """Claim 8: what more training images bring to the seed's network and to the U-Net."""
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
    tried = [methods[name] for name in ("cvae", "gan") if name in methods]
    if not tried or "default" not in methods:
        return Claim(claim, test, "not computed yet: `halfgen analyse --beyond`")
    ours = methods["default"]
    parts = [
        f"{m['title']} {m['mse']['mean']:.4f} and {m['mean']['mse']['mean']:.4f}, distance"
        f" {m['frechet']['mean']:.1f}"
        for m in tried
    ]
    parts += [f"autoencoder {ours['mse']['mean']:.4f}, distance {ours['frechet']['mean']:.1f}"]
    nearer = any(m["mean"]["mse"]["high"] < ours["mse"]["low"] for m in tried)
    real = any(m["frechet"]["high"] < ours["frechet"]["low"] for m in tried)
    verdict = {
        (True, True): "true: the mean of draws is nearer, and draws look more real",
        (False, True): "true of how real it looks, not of the error",
        (True, False): "true of the error, not of how real it looks",
        (False, False): "not seen",
    }[nearer, real]
    return Claim(claim, test, "; ".join(parts), verdict, "@fig-plane")


def all_claims(
    run: Run,
    mirror: np.ndarray,
    summaries: Summaries,
    beyond: Summaries,
    facing_values: Mapping[str, Any] | None,
    generative_values: Mapping[str, Any] | None,
    dataset: Dataset,
) -> list[Claim]:
    """Return the claims in their order; ``mirror`` is the mirror error (N,) of each test image."""
    return [
        *(claim(summaries) for claim in (convergence, learning_rate_drops, overfitting)),
        easy_and_hard(run),
        symmetry(mirror, run.scores["mse"], dataset.test.labels.numpy()),
        facing(facing_values),
        dataset_size(len(dataset.train), len(dataset.test)),
        more_data(summaries, beyond),
        generative(generative_values),
    ]
