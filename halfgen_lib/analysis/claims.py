"""The seed's claims, one by one: how each was tested, what was measured, and the verdict.

A claim whose runs are not there yet is *open*: it says what to run, and nothing else. Verdicts
follow from the numbers by rules that are written here, not by eye.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from ..data import Dataset
from ..evaluation import SEED_REPORT_MSE
from ..figures.tables import facing_away
from ..files import read_json
from ..runs import Run
from ..runs.record import Record, results_path
from .summaries import Summaries, error_curves

SEED_EPOCH, SEED_EPOCHS = 17, 20  # Erkol (2023), section 5: "by the 17th epoch", of 20
HALVINGS = 4  # section 5
NEAR = 0.0005  # what is about the same error
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

    def row(self, number: int) -> tuple[str, ...]:
        """Return the row's cells."""
        return (str(number), *astuple(self))


HEADER = ("", "the seed says", "tested by", "measured", "verdict")


def _spread(values: list[float], digits: int) -> str:
    """Return the range of values over seeds in words."""
    low, high = (f"{end(values):.{digits}f}" for end in (min, max))
    return low if low == high else f"{low} to {high}"


# the two networks that the seed's sentences may be about, each by its own protocol
FOLLOWED = {"public code": ("as_published", "as_published-long"), "text": ("default", "long")}


def followed(summaries: Summaries, epochs: int = 1) -> dict[str, list[Record]]:
    """Return, of the public code's network and the text's, a record of each seed: the longest.

    Only those of so many epochs or more; a network that has none is left out.
    """
    found: dict[str, list[Record]] = {}
    for network, variants in FOLLOWED.items():
        there = [summaries[name] for name in variants if name in summaries]
        records = {record.seed: record for summary in there for record in summary.records}
        if long := [record for record in records.values() if record.epochs >= epochs]:
            found[network] = long
    return found


def histories(summaries: Summaries) -> dict[str, list[dict[str, Any]]]:
    """Return what readers call either network -> the losses of each seed, for a figure."""
    names = {"public code": "the seed’s public code", "text": "the network of the seed’s text"}
    found = followed(summaries).items()
    return {names[n]: [record.history.model_dump() for record in own] for n, own in found}


def seed_curve() -> dict[str, Any]:
    """Return the losses by epoch that were read off the seed report's Figure 4."""
    return read_json(results_path("seed-curve"))


def _of_each(claim: str, test: str, found: Mapping[str, tuple[str, str]]) -> Claim:
    """Return a claim with what was measured of each network, and the verdict; open without any."""
    if not found:
        return Claim(claim, test)
    both = ("; ".join(f"{n}: {texts[i]}" for n, texts in found.items()) for i in (0, 1))
    return Claim(claim, test, *both)


def convergence(summaries: Summaries) -> Claim:
    """Claim 1: both losses are near the value by the epoch."""
    claim = f"Training and validation loss meet at about {SEED_REPORT_MSE} by epoch {SEED_EPOCH}."
    test = f"losses of epoch {SEED_EPOCH}, of the public code's network and of the text's"
    found = {}
    for network, records in followed(summaries, SEED_EPOCH).items():
        train = [r.history.train_loss[SEED_EPOCH - 1] for r in records]
        val = [r.history.val_loss[SEED_EPOCH - 1] for r in records]
        near = (np.abs(np.array([train, val]) - SEED_REPORT_MSE) <= NEAR).all(0)
        told = f"training {_spread(train, 4)}, validation {_spread(val, 4)}"
        found[network] = told, reproduced(near)
    return _of_each(claim, test, found)


def reproduced(seeds: Sequence[bool]) -> str:
    """Return the verdict on what each seed did reproduce, or not."""
    if all(seeds):
        return f"reproduced by all {len(seeds)} seeds" if len(seeds) > 1 else "reproduced"
    return f"reproduced by {sum(seeds)} of {len(seeds)} seeds" if any(seeds) else "not reproduced"


def learning_rate_drops(summaries: Summaries) -> Claim:
    """Claim 2: how often the learning rate falls in the seed's epochs."""
    claim = "The learning rate is halved four times."
    test = f"halvings in {SEED_EPOCHS} epochs, by seed"
    found = {}
    for network, records in followed(summaries, SEED_EPOCHS).items():
        falls = [int((np.diff(r.history.lr[:SEED_EPOCHS]) < 0).sum()) for r in records]
        counts = sorted(Counter(falls).items())
        told = (f"{number} in {seeds} seed{'s' * (seeds > 1)}" for number, seeds in counts)
        found[network] = ", ".join(told), reproduced([number == HALVINGS for number in falls])
    return _of_each(claim, test, found)


def overfits(rise: Sequence[float], gap: Sequence[float]) -> str:
    """Return whether training on overfits, by each seed's relative ``rise`` and ``gap`` at the end.

    Of the last validation loss above the lowest, and above the training loss.
    """
    if min(rise) > 0.01:
        return "true"
    return "true in part: a gap opens, the error hardly rises" if min(gap) >= 0.05 else "not seen"


def overfitting(summaries: Summaries) -> Claim:
    """Claim 3: whether the validation loss rises when training goes on."""
    claim = f"Training past epoch {SEED_EPOCH} overfits."
    test = "60 epochs of either network: last validation loss against the lowest"
    found = {}
    for network, records in followed(summaries, 2 * SEED_EPOCHS).items():
        rise = [r.history.val_loss[-1] / min(r.history.val_loss) - 1 for r in records]
        gap = [r.history.val_loss[-1] / r.history.train_loss[-1] - 1 for r in records]
        best = _spread([r.best_epoch for r in records], 0)
        seeds = f"{len(records)} seeds" if len(records) > 1 else "one seed"
        told = (
            f"best epoch {best} of {records[0].epochs} ({seeds}), then up by"
            f" {max(rise):.1%}; at the end {max(gap):+.0%} from the training loss"
        )
        found[network] = told, overfits(rise, gap)
    return _of_each(claim, test, found)


def rank_range(name: str, scores: Mapping[str, Mapping[str, float]]) -> tuple[int, int]:
    """Return the first and last rank that a class may have, 1 the lowest, by all intervals."""
    own = scores[name]
    below = sum(other["high"] < own["low"] for other in scores.values())
    above = sum(other["low"] > own["high"] for other in scores.values())
    return 1 + below, len(scores) - above


def easy_and_hard_verdict(ranks: Mapping[str, tuple[int, int]], classes: int = 10) -> str:
    """Return what fails of the claim, by the ranks that intervals allow."""
    easy = {name: ranks[name][0] <= len(SEED_EASY) for name in SEED_EASY}
    hard = {name: ranks[name][1] > classes - len(SEED_HARD) for name in SEED_HARD}
    wrong = [name for name, holds in (easy | hard).items() if not holds]
    if not wrong:
        return "true"
    return "not true" if len(wrong) == len(easy | hard) else f"not true of {', '.join(wrong)}"


def easy_and_hard(run: Run) -> Claim:
    """Claim 4: the classes ranked by squared error, as far as intervals tell them apart."""
    errors = {name: scores["mse"] for name, scores in run.metrics["per_class"].items()}
    ranks = {name: rank_range(name, errors) for name in SEED_EASY + SEED_HARD}
    measured = "; ".join(f"{n} {a}" + f" to {b}" * (a != b) for n, (a, b) in ranks.items())
    claim = "Trousers, T-shirts and dresses are completed best, sneakers and ankle boots worst."
    test = f"ranks by MSE that the intervals allow, of {len(errors)} (1: best)"
    verdict = easy_and_hard_verdict(ranks, len(errors))
    return Claim(claim, test, measured, verdict)


def symmetry_verdict(*correlations: Mapping[str, float]) -> str:
    """Return whether rank correlations, with intervals, say that asymmetry goes with the error."""
    if all(value["low"] > 0.3 for value in correlations):
        return "true"
    return "not seen" if all(value["high"] <= 0.1 for value in correlations) else "true in part"


def symmetry(values: Mapping[str, Any]) -> Claim:
    """Claim 5: whether an image's asymmetry goes with the network's error."""
    claim = "The reason is symmetry: symmetric items are easier."
    test = "rank correlation of the error with the asymmetry, the image's own and the expected one"
    found = values["symmetry"]
    told = [
        f"{name}: {own['overall']['mean']:.2f}, within a class {own['within']['mean']:.2f}"
        for name, own in found.items()
    ]
    verdict = symmetry_verdict(*found["expected"].values())
    return Claim(claim, test, "; ".join(told), verdict)


def facing_verdict(errors: Mapping[str, Any], relative: Mapping[str, Any]) -> str:
    """Return whether items that face away are completed worse, mirrored ones and real ones.

    ``relative``: class -> intervals of the error over the content, of those ``with`` and
    ``against`` their class. Worse, or better, are those whose intervals do not touch.
    """
    if errors["mirrored"]["all"]["low"] <= errors["test"]["all"]["high"]:
        return "not seen"
    worse = [n for n, g in relative.items() if g["against"]["low"] > g["with"]["high"]]
    better = [n for n, g in relative.items() if g["against"]["high"] < g["with"]["low"]]
    if len(worse) == len(relative):
        return "true"
    real = f"of real ones in {', '.join(worse)}" if worse else "not seen of real ones"
    opposite = f", the opposite in {', '.join(better)}" if better else ""
    return f"true of mirrored images; {real}{opposite}"


def facing(values: Mapping[str, Any]) -> Claim:
    """Claim 6: what it costs to face the other way: mirrored, and as such items really are."""
    claim = "Asymmetric items that face the other way are completed worse: the data face one way."
    test = "error on the mirrored test set; of shoes and bags that face away, over their content"
    plain = values["default"]
    found = plain["by_facing"]
    both = {n: own["relative"] for n, own in found.items() if facing_away(own) is not None}
    told = ", ".join(f"{name} {facing_away(found[name]):+.0%}" for name in both)
    overall = [plain[part]["all"]["mean"] for part in ("test", "mirrored")]
    measured = f"all classes {overall[0]:.4f}, mirrored {overall[1]:.4f}; facing away: {told}"
    return Claim(claim, test, measured, facing_verdict(plain, both))


def dataset_size(train: int, test: int) -> Claim:
    """Claim 7: how many images there are."""
    claim, counted = "The data set has 50,000 training images.", f"{train:,} for training"
    verdict = "true" if train == 50_000 else "not true: that is what a hold-out of 10,000 leaves"
    return Claim(claim, "counting", f"{counted}, {test:,} for testing", verdict)


def more_data(summaries: Summaries, beyond: Summaries) -> Claim:
    """Claim 8: what more training images bring to the seed's network and to the U-Net."""
    claim = "A larger data set would help."
    test = "test error against the training images, for as many epochs, and for as many steps"
    curves = error_curves({"study": summaries, "beyond": beyond}).get("training images", {})
    told, gains = [], []
    for network, curve in curves.items():
        if len(curve) < 3:
            continue
        (few, before), (many, last) = ((p.x, p.summary.mean("test_mse")) for p in curve[-2:])
        gains.append(1 - last / before)
        told.append(f"{network}: {few:,} images {before:.4f}, {many:,} {last:.4f}")
    if not told:
        return Claim(claim, test)
    falls = min(gains) > 0.01
    verdict = "likely: the curve still falls" if falls else "not by much: the curve is flat"
    return Claim(claim, test, "; ".join(told), verdict)


def generative_verdict(errors: Sequence[Any], realism: Sequence[Any]) -> str:
    """Return what intervals of differences from the autoencoder say: better where below zero.

    Of the ``errors`` of means of draws, and of Frechet distances.
    """
    verdicts = []
    for what, differences in (("the error", errors), ("how real it looks", realism)):
        better = any(difference["high"] < 0 for difference in differences)
        verdicts.append(f"{'true' if better else 'not seen'} of {what}")
    return ", ".join(verdicts)


def generative(values: Mapping[str, Any]) -> Claim:
    """Claim 9, the seed's future work: by squared error, and by how real the draws look."""
    claim = "Variational autoencoders or adversarial networks would help."
    test = "training both: error of the mean of draws and Fréchet distance, paired by image"
    cvae, gan, default = (values["methods"][name] for name in ("cvae", "gan", "default"))
    told = [f"{m['title']} {m.get('mean', m)['mse']['mean']:.4f}" for m in (cvae, gan, default)]
    differences = [[cvae[key], gan[key]] for key in ("above", "frechet_above")]
    measured = f"{'; '.join(told)} ({values['images']:,} images)"
    return Claim(claim, test, measured, generative_verdict(*differences))


def all_claims(
    run: Run,
    summaries: Summaries,
    beyond: Summaries,
    analyses: Mapping[str, Mapping[str, Any]],
    dataset: Dataset,
) -> list[Claim]:
    """Return the claims in their order."""
    return [
        *(claim(summaries) for claim in (convergence, learning_rate_drops, overfitting)),
        easy_and_hard(run),
        symmetry(analyses["audit"]),
        facing(analyses["facing"]),
        dataset_size(len(dataset.train), len(dataset.test)),
        more_data(summaries, beyond),
        generative(analyses["generative"]),
    ]
