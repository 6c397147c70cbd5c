"""Variants x seeds: run what is not finished yet, and publish each run as it ends.

A run is known by its configuration's hash: one that is in the results file, or finished in
``runs/`` or ``runs/study/``, is never repeated. A study may be stopped at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from ..config import SEEDS, TRAIN_IMAGES, RunConfig, train_images
from ..runs import Run, RunError, default_runs_dir
from ..runs.record import Record, add_record, read_results, record_of, results_path
from ..settings import known
from ..variants import STUDIES, VARIANTS, members
from .workers import Outcome, Outcomes, StudyError, study_runs_dir, train_here

TrainAll = Callable[[list[RunConfig]], Outcomes]


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
        RunError: if the results file is broken.
        StudyError: if runs failed; the message names them. The others are finished.
    """
    path, train = path or study_path(configs[0].data), train or train_here
    pending = _pending(configs, path, repeat_stale)
    show, failures = _progress(pending, len(configs)), []
    with closing(train(pending)) as outcomes:
        try:
            for config, outcome in outcomes:
                if isinstance(outcome, Record):
                    add_record(path, outcome)
                else:
                    failures.append(f"{config.variant} seed {config.seed}: {outcome}")
                show(config, outcome)
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
        raise RunError("\n".join([*results.problems, f"repair {path} first"]))
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
            except (RunError, KeyError) as error:
                print(f"{directory.name} is damaged and is not used: {error}", flush=True)
    return min(found, key=lambda record: not record.is_current, default=None)


# ---- progress


def _progress(pending: list[RunConfig], total: int) -> Callable[[RunConfig, Outcome], None]:
    """Return what shows, of each run that has ended, where the study stands: a line a run."""
    start, left, ended = time.monotonic(), list(pending), 0

    def show(config: RunConfig, outcome: Outcome) -> None:
        nonlocal ended
        left.remove(config)
        ended += _work(config)
        remaining = (time.monotonic() - start) / ended * sum(map(_work, left))
        end = f"failed: {outcome}"
        if isinstance(outcome, Record):
            end = f"validation {outcome.val_mse:.5f}, {outcome.seconds:.0f} s"
        print(
            f"{total - len(left)}/{total} done, {len(left)} left, about {_duration(remaining)} |"
            f" {config.variant} seed {config.seed}: {end}",
            flush=True,
        )

    return show


def _work(config: RunConfig) -> int:
    return config.epochs * train_images(config.model_dump())


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
