"""What a study's records say: each variant's mean and spread over seeds, and what is missing."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from ..config import SCHEMA_VERSION, SEEDS, RunConfig
from ..runs.record import Record, read_results, results_path
from ..variants import NAMES, SAME_STEPS, STUDIES, VARIANTS, members

OTHER_CODE = "made by another revision"
USABLE = {"", OTHER_CODE}  # of a record's staleness: its settings are those of its variant

SEEDS_OWN, OURS = NAMES["default"], NAMES["unet"]

# of curves: axis -> what of a record it shows, and the factor, by network, that varies it
AXES: dict[str, tuple[Callable[[Record], float], Mapping[str, str]]] = {
    "parameters": (attrgetter("parameters"), {SEEDS_OWN: "features", OURS: "size"}),
    "training images": (
        attrgetter("train_images"),
        {SEEDS_OWN: "train_size", SAME_STEPS: "steps", OURS: "train_size"},
    ),
    "epochs": (attrgetter("epochs"), {OURS: "epochs"}),
}

# what is averaged over seeds, and where a record has it
PLACES = {"val_mse": "val_mse", "test_mse": "test.mse.mean", "test_ssim": "test.ssim.mean"}


def staleness(record: Record) -> str:
    """Return why the present code might give another result than the record's, or ``""``."""
    if record.identity.get("schema_version") != SCHEMA_VERSION:
        return "made with another schema"
    if record.variant not in VARIANTS:
        return "no longer declared"
    expected = RunConfig.of_variant(record.variant, seed=record.seed, data=record.identity["data"])
    if expected.hash() != record.config_hash:
        return "made with other settings"
    return "" if record.is_current else OTHER_CODE


@dataclass(frozen=True)
class Summary:
    """One variant over its seeds; the standard deviation is that over seeds (n - 1)."""

    variant: str
    records: tuple[Record, ...] = ()

    @property
    def name(self) -> str:
        """What readers call it."""
        return NAMES.get(self.variant, self.variant)

    @property
    def count(self) -> int:
        """How many seeds there are."""
        return len(self.records)

    @property
    def can_be_chosen(self) -> bool:
        """Whether its validation images are not those of the test."""
        return bool(self.records) and self.records[0].identity.get("split") == "holdout"

    def values(self, measure: str) -> list[float]:
        """Return a measure, a name in ``PLACES``, of each seed."""
        return list(map(attrgetter(PLACES[measure]), self.records))

    def mean(self, measure: str) -> float:
        """Return the mean over seeds of a measure."""
        return statistics.fmean(self.values(measure))

    def sd(self, measure: str) -> float:
        """Return the standard deviation over seeds; 0 where there is one."""
        return statistics.stdev(self.values(measure)) if self.count > 1 else 0.0

    def text(self, measure: str, digits: int) -> str:
        """Return the mean and, where there are several seeds, ± the standard deviation."""
        if not self.records:
            return "–"
        sd, least = self.sd(measure), 10.0**-digits
        spread = f" ± {sd:.{digits}f}" if sd >= least / 2 else f" ± <{least:.{digits}f}"
        return f"{self.mean(measure):.{digits}f}{spread if self.count > 1 else ''}"

    def note(self) -> str:
        """Return what a reader has to know: seeds that are missing, results that are stale."""
        if not self.records:
            return "missing"
        few = [f"{self.count} of {SEEDS} seeds"] * (self.count < SEEDS)
        stale = sorted({*map(staleness, self.records)} - {""})
        return "; ".join([*few, *(f"stale: {why}" for why in stale)])


Summaries = Mapping[str, Summary]  # by the variant's name


def summarise_variants(records: Iterable[Record], study: str = "study") -> dict[str, Summary]:
    """Return the summary, which may be empty, of each of a study's variants, then of any others.

    Of one whose settings were changed, the old records count only until there is one of the new.
    """
    found: dict[str, list[Record]] = {name: [] for name in members(STUDIES[study])}
    for record in sorted(records, key=attrgetter("key")):
        found.setdefault(record.variant, []).append(record)
    usable = {name: [r for r in own if staleness(r) in USABLE] for name, own in found.items()}
    return {name: Summary(name, tuple(usable[name] or own)) for name, own in found.items()}


def of_study(name: str) -> dict[str, Summary]:
    """Return :func:`summarise_variants` of a published results file, such as ``study``."""
    records = read_results(results_path(name)).values()
    return summarise_variants(records, "beyond" if name.startswith("beyond") else "study")


def best_on_validation(summaries: Summaries) -> tuple[Summary, list[int]] | None:
    """Return the variant with the lowest mean validation MSE, and the seeds it was chosen by.

    They are those that all variants have: a mean over other seeds would compare seeds, too.
    """
    if not (candidates := [summary for summary in summaries.values() if summary.can_be_chosen]):
        return None
    found = [{record.seed: record.val_mse for record in s.records} for s in candidates]
    common = sorted(set(found[0]).intersection(*found))
    means = [statistics.fmean(own[seed] for seed in common or own) for own in found]
    return candidates[means.index(min(means))], common


def seed_noise(summaries: Summaries) -> tuple[float, list[str]] | None:
    """Return the sd of the default's validation MSE, and the variants that lie within two of them.

    None where the default has fewer than two seeds.
    """
    usual = summaries.get("default", Summary("default"))
    if usual.count < 2:
        return None
    mean, sd = usual.mean("val_mse"), usual.sd("val_mse")
    others = [s for n, s in summaries.items() if n != "default" and s.can_be_chosen]
    return sd, [s.name for s in others if abs(s.mean("val_mse") - mean) <= 2 * sd]


def factor_summaries(summaries: Summaries, study: str = "study") -> dict[str, list[Summary]]:
    """Return factor -> its variants that have records; only where there are two or more."""
    found = {
        factor: [summaries[name] for name in names if name in summaries and summaries[name].count]
        for factor, names in STUDIES[study].items()
    }
    return {factor: own for factor, own in found.items() if len(own) > 1}


class Point(NamedTuple):
    """A variant on a curve: how much of something it was given, and its error."""

    x: float
    summary: Summary


def error_curves(studies: Mapping[str, Summaries]) -> dict[str, dict[str, list[Point]]]:
    """Return axis -> network -> its points, two or more, by x; what has fewer is left out.

    Of the ``studies`` by their names in ``STUDIES``, the variants that have runs as declared.
    """
    curves: dict[str, dict[str, list[Point]]] = {}
    for axis, (measure, factors) in AXES.items():
        for network, factor in factors.items():
            study = "beyond" if network == OURS else "study"
            own = [studies.get(study, {}).get(name) for name in STUDIES[study][factor]]
            whole = [s for s in own if s and s.count and {*map(staleness, s.records)} <= USABLE]
            found = sorted((Point(measure(s.records[0]), s) for s in whole), key=attrgetter("x"))
            if len(found) > 1:
                curves.setdefault(axis, {})[network] = found
    return curves


def table_rows(summaries: Summaries) -> list[dict[str, str]]:
    """Return the table of all variants, the lowest mean validation MSE first, missing ones last."""
    found = summaries.values()
    return [
        {
            "variant": s.name + ("" if s.can_be_chosen or not s.count else r" \*"),
            "validation MSE": s.text("val_mse", 5),
            "test MSE": s.text("test_mse", 5),
            "test SSIM": s.text("test_ssim", 4),
            "parameters": f"{s.records[0].parameters:,}" if s.count else "–",
            "note": s.note(),
        }
        for s in sorted(found, key=lambda s: s.mean("val_mse") if s.count else math.inf)
    ]


def recipe_rows(summaries: Summaries) -> list[dict[str, str]]:
    """Return how each variant that has records was trained, and the minutes of a run."""
    rows = []
    for summary in (s for s in summaries.values() if s.count):
        how, seconds = summary.records[0].identity, [record.seconds for record in summary.records]
        schedule = how.get("schedule", "plateau").replace("_", " ")
        training = [how["loss"], how["optimizer"], schedule]
        training += [f"decay {how['weight_decay']:g}"] * (how["weight_decay"] > 0)
        later = {"momentum": "momentum {:g}", "ema": "average {:g}", "precision": "{}"}
        training += [words.format(how[name]) for name, words in later.items() if name in how]
        rows.append(
            {
                "network": summary.name,
                "epochs": str(how["epochs"]),
                "batch": str(how["batch_size"]),
                "learning rate": f"{how['learning_rate']:g}",
                "training": ", ".join(training),
                "seeds": str(summary.count),
                "minutes": f"{statistics.fmean(seconds) / 60:.0f}",
            }
        )
    return rows


def origin_rows(records: Iterable[Record]) -> list[dict[str, str]]:
    """Return where and when the records were made: one row a device and library."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=attrgetter("origin.finished")):
        key = record.origin.device, record.origin.versions.get("torch", "unknown")
        groups.setdefault(key, []).append(record)
    rows = []
    for (device, torch), own in sorted(groups.items()):
        ends = own[0].origin, own[-1].origin
        dates = dict.fromkeys(origin.finished[:10] for origin in ends)
        commits = dict.fromkeys(o.git_commit[:8] + "+" * ("+" in o.git_commit) for o in ends)
        rows.append(
            {
                "device": device,
                "torch": torch,
                "runs": str(len(own)),
                "hours": f"{sum(record.seconds for record in own) / 3600:.1f}",
                "dates": " – ".join(dates),
                "commits": " – ".join(commits),
            }
        )
    return rows


def selection_rows(
    records: Iterable[Record], analyses: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Return what was chosen, by which images, and how often the test images were scored for it.

    Of the records of all studies, and the published ``analyses``.
    """
    splits = Counter(record.identity["split"] for record in records)
    methods, drawn = analyses["baselines"]["methods"], analyses["generative"]
    tuned = [method["title"] for method in methods.values() if method.get("hyperparameter")]
    rows = [
        ("epoch that is kept, variant that is best", "validation", splits["holdout"]),
        ("epoch that is kept, by the seed's protocol", "test", splits["as_published"]),
        (f"settings of {', '.join(tuned)}", "validation", len(tuned)),
        ("networks of the mean of several", "validation", len(analyses["ensembles"]["groups"])),
        ("stretch and black of draws", "validation", 1),
        ("nothing: measured as they are", "–", len(drawn["methods"])),
    ]
    rows = [(chosen, part, times) for chosen, part, times in rows if times]
    rows.append(("**in all**", "", sum(times for *_, times in rows)))
    header = ("chosen", "by images of", "scorings of the test images")
    return [dict(zip(header, map(str, row), strict=True)) for row in rows]
