"""Where a study's runs are trained: in this process, in several, or on a Dask cluster.

A run that cannot be trained (its loss is not finite, say) is told and not tried again; one whose
worker died is. ``distributed`` is an optional extra: ``pip install 'halfgen[study]'``. A scheduler
runs what its clients send it, and its workers unpickle it: use it on a network that you trust.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import closing, nullcontext
from functools import lru_cache, partial
from hashlib import sha256
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from ..config import SCHEMA_VERSION, RunConfig
from ..data import load
from ..models import REVISIONS, revision
from ..runs import Run, RunError, default_runs_dir
from ..runs.provenance import command_line
from ..runs.record import Record, record_of
from ..training import TrainingError, fit

Outcome = Record | str  # a string says why the run failed
Outcomes = Iterator[tuple[RunConfig, Outcome]]

RUN_FAILURES = (TrainingError, RunError, ValueError)  # of one run; any other ends the study
RETRIES = 3  # of a run whose worker dies
TIMEOUT = "20s"  # for a scheduler to answer
_ONE_RUN = threading.Lock()  # torch's generator is the process's: two runs would mix their draws


class StudyError(RuntimeError):
    """A study that did not come to its end; what was finished is kept."""


def study_runs_dir() -> Path:
    """Return the folder of the study's own runs."""
    return default_runs_dir() / "study"


def train_task(config: RunConfig, folder: Path | None = None) -> Outcome:
    """Train one run, wherever this is called; return its record, or why it cannot be trained.

    Its directory in ``folder`` is taken up again, unless the model's revision was another; without
    a folder, it lasts as long as the task.
    """
    place = nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="halfgen-")
    with _ONE_RUN, place as runs:
        try:
            run = Run(Path(runs) / config.run_id)
            made = run.record["revision"] if (run.directory / "config.json").exists() else None
            if made not in (None, revision(config.model)):
                with run.locked():  # it would be used as it is, or go on mixed
                    shutil.rmtree(run.directory)
            return record_of(fit(config, _dataset(config.data), runs_dir=Path(runs)))
        except RUN_FAILURES as error:
            return f"{type(error).__name__}: {error}"


_dataset = lru_cache(maxsize=1)(load)  # a process reads the images once


def declared() -> str:
    """Return what a worker has to have in common with the study, in a few words."""
    own = (REVISIONS, SCHEMA_VERSION, RunConfig.model_json_schema())
    return f"halfgen {version('halfgen')} ({sha256(repr(own).encode()).hexdigest()[:10]})"


def _task_for(study: str) -> Callable[[str], Outcome | dict[str, str]]:
    """Return what trains a run on a worker, or answers ``{"unfit": why, "worker": address}``."""

    def task(config: str) -> Any:  # travels by value: a worker may know none of this
        from distributed import get_worker

        try:
            from halfgen_lib.data import DataError
            from halfgen_lib.studies.workers import RunConfig, declared, train_task

            if (own := declared()) == study:
                return train_task(RunConfig.model_validate_json(config))
            why = f"has {own}, but the study {study}"
        except ImportError as error:
            why = f"has not {study}: {error}"
        except DataError as error:
            why = f"has no images: {str(error).splitlines()[0]}"
        return {"unfit": why, "worker": get_worker().address}

    return task


def _asked_here(outcome: Outcome) -> Outcome:
    """Return a record with the command that asked for it, in place of the worker's own."""
    if isinstance(outcome, str):
        return outcome
    origin = outcome.origin.model_copy(update={"command": command_line()})
    return outcome.model_copy(update={"origin": origin})


def train_here(
    configs: list[RunConfig], *, workers: int = 0, keep_weights: bool = False
) -> Outcomes:
    """Train runs on this machine, in ``runs/study/``; yield each as it ends.

    So many ``workers`` train at a time; 0: this process alone. The networks, 6 MB a run, go once
    the run was published, unless they are to be kept.
    """
    if workers < 0:
        raise ValueError(f"workers is {workers}, allowed: 0 or more")
    task = partial(train_task, folder=study_runs_dir())
    here = ((config, task(config)) for config in configs)
    with closing(_in_processes(configs, task, workers) if workers else here) as outcomes:
        for config, outcome in outcomes:
            yield config, outcome
            if isinstance(outcome, Record) and not keep_weights:  # it is published by now
                for weights in study_runs_dir().glob(f"{config.run_id}/*.safetensors"):
                    weights.unlink()


def _in_processes(configs: list[RunConfig], task: Callable[..., Any], workers: int) -> Outcomes:
    threads = max(1, (os.cpu_count() or 1) // workers)
    options = {"initializer": torch.set_num_threads, "initargs": (threads,)}
    new_pool = partial(futures.ProcessPoolExecutor, workers, get_context("spawn"), **options)
    pool = new_pool()

    def submit(config: RunConfig) -> futures.Future:
        nonlocal pool
        try:
            return pool.submit(task, config)
        except futures.BrokenExecutor:  # with one process its whole pool dies
            pool = new_pool()
            return pool.submit(task, config)

    try:
        yield from _collect(configs, submit, futures.BrokenExecutor)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def train_on_cluster(configs: list[RunConfig], *, scheduler: str, resource: str = "") -> Outcomes:
    """Train runs on a Dask cluster, one task a run, records sent back; yield each as it ends.

    The ``scheduler`` is an address such as ``tcp://host:8786``; only workers that declare the
    ``resource``, such as ``GPU``, are given runs. A run that the scheduler gives up (after its
    ``allowed-failures``, 3 dead workers) is sent again, ``RETRIES`` times at most. A worker without
    the images, or with another halfgen, is named and dismissed. Raises StudyError if none is left,
    and if the scheduler does not answer, or is lost.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise ImportError("a cluster needs Dask: pip install 'halfgen[study]'") from None
    if not configs:
        return
    try:
        client = Client(scheduler, timeout=TIMEOUT)
    except (OSError, ValueError) as error:
        raise StudyError(f"no Dask scheduler answers at {scheduler}: {error}") from None
    with client:
        who = f'workers that declare "{resource}=1"' if resource else "workers"
        print(f"Dask dashboard: {client.dashboard_link}; runs wait for {who}", flush=True)
        wanted = {"resources": {resource: 1}} if resource else {}
        executor = client.get_executor(pure=False, retries=RETRIES, **wanted)
        task, dismissed = _task_for(declared()), set()

        def submit(config: RunConfig) -> futures.Future:
            return executor.submit(task, config.model_dump_json())

        def dismiss(unfit: str, worker: str) -> None:
            if worker in dismissed:
                return
            print(f"worker {worker} {unfit}; it takes no further run", flush=True)
            dismissed.add(worker)
            client.retire_workers([worker])
            workers = client.scheduler_info(n_workers=-1)["workers"].items()
            able = {w for w, each in workers if not resource or resource in each["resources"]}
            if able <= dismissed:
                then = f"on each, install {declared()} and run halfgen data; then start again"
                raise StudyError(f"no worker is left that can train: {then}")

        try:
            yield from _collect(configs, submit, KilledWorker, dismiss)
        finally:
            executor.shutdown(wait=False)


def _collect(
    configs: list[RunConfig],
    submit: Callable[[RunConfig], futures.Future],
    died: type[Exception],
    dismiss: Callable[..., None] | None = None,
) -> Outcomes:
    """Yield runs as they end; submit those again whose worker died, or was unfit and dismissed."""
    waiting = {submit(config): (config, 0) for config in configs}
    while waiting:
        for future in futures.wait(waiting, return_when=futures.FIRST_COMPLETED).done:
            config, tries = waiting.pop(future)
            try:
                answer = future.result()
            except futures.CancelledError:
                lost = "the scheduler was lost; what was finished is kept: start again"
                raise StudyError(lost) from None
            except died as error:
                answer, count = f"{type(error).__name__}: {error}", f"{tries + 1} of {RETRIES}"
                if tries < RETRIES:
                    print(f"{config.run_id}: its worker died; sent again ({count})", flush=True)
                    waiting[submit(config)] = config, tries + 1
                    continue
            if isinstance(answer, dict):
                dismiss(**answer)
                waiting[submit(config)] = config, tries
            else:
                yield config, _asked_here(answer)
