"""Variants x seeds: run what is not finished yet, and publish each run as it ends.

A run is known by its configuration's hash: one that is in the results file, or finished in
``runs/`` or ``runs/study/``, is never repeated. A study may be stopped at any moment.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from ..config import SEEDS, TRAIN_IMAGES, RunConfig, train_images
from ..data import load
from ..models import revision
from ..runs import Run, RunError, default_runs_dir
from ..runs.record import Record, ResultsError, add_record, read_results, record_of, results_path
from ..settings import known
from ..training import TrainingError, fit
from ..variants import STUDIES, VARIANTS, members

Outcome = Record | str  # a string says why the run failed
Outcomes = Iterator[tuple[RunConfig, Outcome]]
TrainAll = Callable[[list[RunConfig]], Outcomes]

# of one run; anything else ends the study
RUN_FAILURES = (TrainingError, RunError, ResultsError, ValueError)


class StudyError(RuntimeError):
    """A study that did not come to its end; what was finished is kept."""


def plan(
    variants: Sequence[str] = (),
    factors: Sequence[str] = (),
    seeds: int = SEEDS,
    data: Literal["full", "sample"] = "full",
    study: str = "study",
) -> list[RunConfig]:
    """Return the runs of a study: every variant with seed 0 first, so that a part is of use.

    Args:
        variants: names in ``variants.VARIANTS``.
        factors: factors of the study, whose variants are added. Without either: all of them.
        seeds: runs of each variant.
        data: ``"sample"`` to try it out; training subsets larger than the sample are left out.
        study: a name in ``variants.STUDIES``.

    Raises:
        ValueError: if a name is not known; the message lists those there are.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}, allowed: 1 or more")
    table = STUDIES[known(study, STUDIES, "study")]
    chosen = {known(name, VARIANTS, "variant") for name in variants}
    for factor in factors:
        chosen.update(table[known(factor, table, "factor")])
    chosen = chosen or set(members(table))
    names = [name for name in VARIANTS if name in chosen]
    configs = [
        RunConfig.of_variant(name, seed=seed, data=data) for seed in range(seeds) for name in names
    ]
    return [config for config in configs if config.train_size <= TRAIN_IMAGES[data, config.split]]


def study_path(data: str, study: str = "study") -> Path:
    """Return a study's results file; the sample's is another one, never to be published."""
    return results_path(study if data == "full" else f"{study}-{data}")


def run_study(
    configs: list[RunConfig],
    path: Path | None = None,
    train: TrainAll | None = None,
    *,
    repeat_stale: bool = False,
) -> list[Record]:
    """Run what is not finished, publish each run as it ends, and return all records.

    Args:
        configs: the runs, all of one ``data``; see :func:`plan`.
        path: the results file; by default that of the data.
        train: trains a list of runs; :func:`train_here` if not given.
        repeat_stale: repeat runs of another revision of their model.

    Raises:
        ResultsError: if the results file is broken.
        StudyError: if runs failed; the message names them. The others are finished.
    """
    path, train = path or study_path(configs[0].data), train or train_here
    pending = _pending(configs, path, repeat_stale)
    progress, failures = _Progress(pending, len(configs)), []
    with closing(train(pending)) as outcomes:
        try:
            for config, outcome in outcomes:
                if isinstance(outcome, Record):
                    add_record(path, outcome)
                else:
                    failures.append(f"{config.variant} seed {config.seed}: {outcome}")
                progress.advance(config, outcome)
        except KeyboardInterrupt:
            print("\ninterrupted: what was finished is kept; start again to go on from here")
            raise
    if failures:
        raise StudyError("\n".join([f"{len(failures)} runs failed:", *failures]))
    records = read_results(path).records
    return [records[config.variant, config.seed] for config in configs]


def _pending(configs: list[RunConfig], path: Path, repeat_stale: bool) -> list[RunConfig]:
    """Return what has to be trained; publish what is finished but not yet in the file."""
    results = read_results(path, configs[0].data)
    if results.problems:
        raise ResultsError("\n".join([*results.problems, f"repair {path} first"]))
    published = {record.config_hash: record for record in results.records.values()}
    pending, stale = [], 0
    for config in configs:
        record = published.get(config.hash())
        if record is None or (repeat_stale and not record.is_current):
            record = _finished(config) or record
        if record and not record.is_current:
            stale += 1
            record = None if repeat_stale else record
        if record is None:
            pending.append(config)
            continue
        record = record.model_copy(update={"variant": config.variant})
        if record != results.records.get(record.key):
            add_record(path, record)
    print(f"{len(configs)} runs: {len(configs) - len(pending)} finished, {len(pending)} to do")
    if stale:
        what = "are repeated" if repeat_stale else "stay, flagged as stale; --stale repeats them"
        print(
            f"{stale} finished runs were made by another revision of their model and {what}",
            flush=True,
        )
    return pending


def _finished(config: RunConfig) -> Record | None:
    """Return the record of a finished run of this configuration, under whatever name it ran."""
    found = []
    for folder in (default_runs_dir(), study_runs_dir()):
        for directory in sorted(folder.glob(f"*-{config.hash()}")):
            try:
                if Run(directory).is_finished:
                    found.append(record_of(Run(directory)))
            except (RunError, ResultsError, KeyError) as error:
                print(f"{directory.name} is damaged and is not used: {error}", flush=True)
    return min(found, key=lambda record: not record.is_current, default=None)


# ---- in this process


def study_runs_dir() -> Path:
    """Return the folder of the study's own runs."""
    return default_runs_dir() / "study"


def train_here(configs: list[RunConfig], *, keep_weights: bool = False) -> Outcomes:
    """Train runs one after the other in ``runs/study/``.

    Args:
        configs: the runs.
        keep_weights: keep the networks, 6 MB a run, of runs that have been published.
    """
    dataset = load(configs[0].data) if configs else None
    for config in configs:
        run = Run(study_runs_dir() / config.run_id)
        try:
            _forget_other_revision(run, config)
            run = fit(config, dataset, runs_dir=study_runs_dir(), quiet=True)
            outcome: Outcome = record_of(run)
        except RUN_FAILURES as error:
            outcome = f"{type(error).__name__}: {error}"
        yield config, outcome
        if isinstance(outcome, Record) and not keep_weights:  # it is published by now
            for weights in run.directory.glob("*.safetensors"):
                weights.unlink()


def _forget_other_revision(run: Run, config: RunConfig) -> None:
    """Remove a run of another revision of its model: it would be used as it is, or go on mixed."""
    if not (run.directory / "config.json").exists():
        return
    if run.record["revision"] != revision(config.model):
        with run.locked():
            shutil.rmtree(run.directory)


# ---- progress


class _Progress:
    """One line over all runs: rewritten on a terminal, one a run in a log."""

    def __init__(self, pending: list[RunConfig], total: int):
        self.total, self.left = total, len(pending)
        self.work_left = sum(map(_work, pending))
        self.work_done = 0
        self.start = time.monotonic()

    def advance(self, config: RunConfig, outcome: Outcome) -> None:
        """Count a run that has ended, and show where the study stands."""
        self.left -= 1
        self.work_left -= _work(config)
        self.work_done += _work(config)
        remaining = (time.monotonic() - self.start) / self.work_done * self.work_left
        end = f"failed: {outcome}"
        if isinstance(outcome, Record):
            end = f"validation {outcome.val_mse:.5f}, {outcome.seconds:.0f} s"
        line = (
            f"{self.total - self.left}/{self.total} done, {self.left} left, about"
            f" {_duration(remaining)} | {config.variant} seed {config.seed}: {end}"
        )
        if sys.stdout.isatty():
            stays = isinstance(outcome, str) or not self.left
            print(f"\r\x1b[2K{line}", end="\n" if stays else "", flush=True)
        else:
            print(line, flush=True)


def _work(config: RunConfig) -> int:
    return config.epochs * train_images(config.model_dump())


def _duration(seconds: float) -> str:
    minutes, hours = round(seconds / 60) % 60, int(round(seconds / 60) // 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if seconds >= 60 else f"{seconds:.0f} s"
