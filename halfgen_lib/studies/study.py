"""Variants x seeds: run what is not finished yet, and publish each run as it ends.

A run is known by its configuration's hash, and never repeated once it is in the results file, or
finished in ``runs/`` or ``runs/study/``. A study may be stopped at any moment.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Literal

from ..config import SEEDS, TRAIN_IMAGES, RunConfig
from ..progress import countdown
from ..runs import Run, RunError, default_runs_dir
from ..runs.record import Record, add_record, read_results, record_of, results_path
from ..settings import known
from ..variants import STUDIES, VARIANTS, members
from .workers import Outcomes, StudyError, study_runs_dir, train_here


def plan(
    variants: Sequence[str] = (),
    factors: Sequence[str] = (),
    seeds: int = SEEDS,
    data: Literal["full", "sample"] = "full",
    study: str = "study",
) -> list[RunConfig]:
    """Return the runs of a study: every variant with seed 0 first, so that a part is of use.

    Of ``variants.STUDIES[study]``: the variants named and those of the factors named, or else all.
    Training subsets larger than the sample are left out of it. ValueError lists the known names, or
    says that nothing is left.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}, allowed: 1 or more")
    table = STUDIES[known(study, STUDIES, "study")]
    chosen = {known(name, VARIANTS, "variant") for name in variants}
    chosen.update(*(table[known(factor, table, "factor")] for factor in factors))
    pairs = product(range(seeds), (n for n in VARIANTS if n in (chosen or members(table))))
    configs = [RunConfig.of_variant(name, seed=seed, data=data) for seed, name in pairs]
    fit = [config for config in configs if config.train_size <= TRAIN_IMAGES[data, config.split]]
    if not fit:
        raise ValueError(f"variants is {sorted(chosen)}, allowed: what the {data} has images for")
    return fit


def study_path(data: str, study: str = "study") -> Path:
    """Return a study's results file; the sample's is another one, never to be published."""
    return results_path(study if data == "full" else f"{study}-{data}")


def run_study(
    configs: list[RunConfig],
    path: Path | None = None,
    train: Callable[[list[RunConfig]], Outcomes] = train_here,
    *,
    repeat_stale: bool = False,
) -> list[Record]:
    """Run what is not finished, publish each run as it ends, and return the records of all.

    The runs are of one ``data``, whose file is the default ``path``; ``repeat_stale`` repeats those
    of another revision of their model. A StudyError names the runs that failed, the others done.
    """
    path = path or study_path(configs[0].data)
    pending = _pending(configs, path, repeat_stale)
    tell, failures, first = countdown(map(_work, pending)), [], len(configs) - len(pending) + 1
    with closing(train(pending)) as outcomes:
        try:
            for done, (config, outcome) in enumerate(outcomes, first):
                name, end = f"{config.variant} seed {config.seed}", f"failed: {outcome}"
                if isinstance(outcome, Record):
                    add_record(path, outcome)
                    end = f"validation {outcome.val_mse:.5f}, {outcome.seconds:.0f} s"
                else:
                    failures.append(f"{name}: {outcome}")
                line = f"{done}/{len(configs)} done, {tell(_work(config))} | {name}: {end}"
                print(line, flush=True)
        except KeyboardInterrupt:
            print("\ninterrupted: what was finished is kept; start again to go on from here")
            raise
    if failures:
        raise StudyError("\n".join([f"{len(failures)} runs failed:", *failures]))
    records = read_results(path)
    return [records[config.variant, config.seed] for config in configs]


def _pending(configs: list[RunConfig], path: Path, repeat_stale: bool) -> list[RunConfig]:
    """Return what has to be trained; publish what is finished but not yet in the file."""
    records = read_results(path, configs[0].data)
    published = {record.config_hash: record for record in records.values()}
    pending, stale = [], 0
    for config in configs:
        record = published.get(config.hash())
        if record is None or (repeat_stale and not record.is_current):
            record = _finished(config) or record
        is_stale = record is not None and not record.is_current
        stale += is_stale
        if record is None or (is_stale and repeat_stale):
            pending.append(config)
            continue
        record = record.model_copy(update={"variant": config.variant})
        if record != records.get(record.key):
            add_record(path, record)
    print(f"{len(configs)} runs: {len(configs) - len(pending)} finished, {len(pending)} to do")
    if stale:
        what = "are repeated" if repeat_stale else "stay, flagged as stale; --stale repeats them"
        print(f"{stale} finished runs were made by another revision of their model and {what}")
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
                print(f"{directory.name} is damaged and is not used: {error}")
    return min(found, key=lambda record: not record.is_current, default=None)


def _work(config: RunConfig) -> int:
    return config.epochs * config.train_images
