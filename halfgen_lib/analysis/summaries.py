"""What a study's records say: each variant's mean and spread over seeds, and what is missing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..config import SCHEMA_VERSION, SEEDS, RunConfig
from ..evaluation import Interval
from ..models import MODELS
from ..runs.record import Record
from ..variants import STUDIES, VARIANTS, members

OTHER_CODE = "made by another revision"
USABLE = ("", OTHER_CODE)  # of a record's staleness: its settings are those of its variant

# what is averaged over seeds
MEASURES: dict[str, Callable[[Record], float]] = {
    "val_mse": lambda record: record.val_mse,
    "test_mse": lambda record: record.test.mse.mean,
    "test_ssim": lambda record: record.test.ssim.mean,
    "best_epoch": lambda record: record.best_epoch,
    "seconds": lambda record: record.seconds,
}


def staleness(record: Record) -> str:
    """Return why the present code might give another result than the record's, or ``""``."""
    model = record.identity.get("model")
    if record.identity.get("schema_version") != SCHEMA_VERSION:
        return "made with another schema"
    if record.variant not in VARIANTS or model not in MODELS:
        return "no longer declared"
    try:
        expected = RunConfig.of_variant(
            record.variant, seed=record.seed, data=record.identity["data"]
        )
    except (ValueError, KeyError):
        return "no longer allowed"
    if expected.hash() != record.config_hash:
        return "made with other settings"
    return "" if record.is_current else OTHER_CODE


@dataclass(frozen=True)
class Summary:
    """One variant over its seeds; the standard deviation is that over seeds (n - 1)."""

    variant: str
    records: tuple[Record, ...] = ()

    @property
    def count(self) -> int:
        """How many seeds there are."""
        return len(self.records)

    @property
    def stale(self) -> tuple[str, ...]:
        """Why records are stale; empty if none is."""
        return tuple(sorted({why for why in map(staleness, self.records) if why}))

    @property
    def as_declared(self) -> bool:
        """Whether its records are of the settings that the variant has now."""
        return all(why in USABLE for why in self.stale)

    @property
    def can_be_chosen(self) -> bool:
        """Whether its validation images are not those of the test."""
        return bool(self.records) and self.records[0].identity.get("split") == "holdout"

    def mean(self, measure: str) -> float:
        """Return the mean over seeds of a measure, a name in ``MEASURES``."""
        return statistics.fmean(map(MEASURES[measure], self.records))

    def sd(self, measure: str) -> float:
        """Return the standard deviation over seeds; 0 where there is one."""
        values = list(map(MEASURES[measure], self.records))
        return statistics.stdev(values) if len(values) > 1 else 0.0

    def interval(self, measure: str) -> Interval:
        """Return the mean over ``count`` seeds, and one standard deviation to either side."""
        mean, sd = self.mean(measure), self.sd(measure)
        return Interval(mean=mean, low=mean - sd, high=mean + sd, count=self.count)

    def text(self, measure: str, digits: int) -> str:
        """Return the mean and, where there are several seeds, ± the standard deviation."""
        spread = f" ± {self.sd(measure):.{digits}f}" if self.count > 1 else ""
        return f"{self.mean(measure):.{digits}f}{spread}"

    def note(self) -> str:
        """Return what a reader has to know: seeds that are missing, results that are stale."""
        if not self.records:
            return "missing"
        few = [f"{self.count} of {SEEDS} seeds"] if self.count < SEEDS else []
        return "; ".join([*few, *(f"stale: {why}" for why in self.stale)])


def summarise_variants(records: Iterable[Record], study: str = "study") -> dict[str, Summary]:
    """Return the summary of each of a study's variants, in their order, then of any others.

    A variant without records has an empty summary. Of one whose settings were changed, records of
    the old settings count only until there is one of the new.
    """
    found: dict[str, list[Record]] = {name: [] for name in members(STUDIES[study])}
    for record in sorted(records, key=lambda record: record.key):
        found.setdefault(record.variant, []).append(record)
    summaries = {}
    for name, own in found.items():
        usable = [record for record in own if staleness(record) in USABLE]
        summaries[name] = Summary(name, tuple(usable or own))
    return summaries


def best_on_validation(summaries: Mapping[str, Summary]) -> tuple[Summary, list[int]] | None:
    """Return the variant with the lowest mean validation MSE, and the seeds it was chosen by.

    The seeds are those that all variants have: a mean over other seeds would compare seeds, too.
    Variants that validate on the test set cannot be chosen. None if there is nothing to choose.
    """
    candidates = [summary for summary in summaries.values() if summary.can_be_chosen]
    if not candidates:
        return None
    found = [{record.seed: record.val_mse for record in s.records} for s in candidates]
    common = sorted(set(found[0]).intersection(*found))
    means = [statistics.fmean(own[seed] for seed in common or own) for own in found]
    return candidates[means.index(min(means))], common


def seed_noise(summaries: Mapping[str, Summary]) -> tuple[float, list[str]] | None:
    """Return what another seed changes, and the variants that differ from the default by no more.

    The first is the standard deviation of the default's validation MSE; a variant differs by no
    more if its mean lies within two of them. None where the default has fewer than two seeds.
    """
    usual = summaries.get("default", Summary("default"))
    if usual.count < 2:
        return None
    mean, sd = usual.mean("val_mse"), usual.sd("val_mse")
    return sd, [
        name
        for name, summary in summaries.items()
        if name != "default"
        and summary.can_be_chosen
        and abs(summary.mean("val_mse") - mean) <= 2 * sd
    ]


def factor_summaries(
    summaries: Mapping[str, Summary], study: str = "study"
) -> dict[str, list[Summary]]:
    """Return factor -> its variants that have records; only where there are two or more."""
    found = {
        factor: [summaries[name] for name in names if name in summaries and summaries[name].count]
        for factor, names in STUDIES[study].items()
    }
    return {factor: own for factor, own in found.items() if len(own) > 1}


def completeness(summaries: Mapping[str, Summary], name: str) -> str:
    """Return, in Markdown, what of the study ``name`` is there, missing and stale, and what to do.

    Without any record that is all there is to say.
    """
    runs = sum(summary.count for summary in summaries.values())
    if not runs:
        return f"**No results yet.** There is no run in `{name}`; `make study` fills `study.json`."
    groups = {
        "missing": [n for n, s in summaries.items() if not s.count],
        f"fewer than {SEEDS} seeds": [n for n, s in summaries.items() if 0 < s.count < SEEDS],
        "stale": [n for n, s in summaries.items() if s.stale],
    }
    listed = [
        f"{what}: {'all' if len(names) == len(summaries) else ', '.join(f'`{n}`' for n in names)}"
        for what, names in groups.items()
        if names
    ]
    whole = f"`{name}` holds {runs} runs of {sum(s.count > 0 for s in summaries.values())} variants"
    if not listed:
        made = "made by code that computes what it does now"
        return f"{whole}, each with {SEEDS} seeds or more, {made}."
    todo = "`make study` adds what is missing, `make study STUDY=--stale` repeats what is stale."
    return f"{whole}. **Not complete:** {'; '.join(listed)}. {todo}"


def table_rows(summaries: Mapping[str, Summary]) -> list[dict[str, str]]:
    """Return the table of all variants, the lowest mean validation MSE first, missing ones last."""
    rows = []
    there = sorted((s for s in summaries.values() if s.records), key=lambda s: s.mean("val_mse"))
    for summary in [*there, *(s for s in summaries.values() if not s.records)]:
        row = dict.fromkeys(("validation MSE", "test MSE", "test SSIM", "parameters"), "–")
        if summary.records:
            row = {
                "validation MSE": summary.text("val_mse", 5),
                "test MSE": summary.text("test_mse", 5),
                "test SSIM": summary.text("test_ssim", 4),
                "parameters": f"{summary.records[0].parameters:,}",
            }
        star = "" if summary.can_be_chosen or not summary.records else r" \*"
        rows.append({"variant": f"`{summary.variant}`{star}", **row, "note": summary.note()})
    return rows


def origin_rows(records: Iterable[Record]) -> list[dict[str, str]]:
    """Return where and when the records were made: one row a device and library."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=lambda record: record.origin.finished):
        key = record.origin.device, record.origin.versions.get("torch", "unknown")
        groups.setdefault(key, []).append(record)
    return [
        {
            "device": device,
            "torch": torch,
            "runs": str(len(own)),
            "hours": f"{sum(record.seconds for record in own) / 3600:.1f}",
            "dates": _first_to_last(record.origin.finished[:10] for record in own),
            "commits": _first_to_last(_short(record.origin.git_commit) for record in own),
        }
        for (device, torch), own in sorted(groups.items())
    ]


def _short(commit: str) -> str:
    return commit[:8] + ("+" if "+" in commit else "")


def _first_to_last(texts: Iterable[str]) -> str:
    unique = list(dict.fromkeys(texts))
    return " – ".join(dict.fromkeys((unique[0], unique[-1])))
