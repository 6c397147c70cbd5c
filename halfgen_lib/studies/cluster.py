"""Run a study on a Dask cluster: one task a run, records sent back, no shared file system.

``distributed`` is an optional extra: ``pip install 'halfgen[study]'``. A scheduler runs what its
clients send it, and its workers unpickle it: only ever listen on a network that you trust.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..data import Dataset, load
from ..runs.provenance import command_line
from ..runs.record import Record, ResultsError, parse_record, record_of
from ..training import fit
from .study import RUN_FAILURES, Outcome, Outcomes, StudyError

try:
    import dask
    import distributed
    from distributed import Client, Future, LocalCluster
except ImportError:
    raise ImportError("a cluster needs Dask: pip install 'halfgen[study]'") from None

TIMEOUT = "20s"  # for the scheduler to answer
_ONE_RUN = threading.Lock()  # torch's generator is the process's: two runs would mix their draws


def train_on_cluster(
    configs: list[RunConfig],
    *,
    scheduler: str = "",
    workers: int = 0,
    resource: str = "",
    retries: int = 3,
) -> Outcomes:
    """Train runs on a cluster; yield each as it ends.

    A run whose worker dies goes to another one: the scheduler moves it, and when it gives a run up
    (after its ``allowed-failures``, 3 dead workers) it is sent again, up to ``retries`` times.

    Args:
        configs: the runs.
        scheduler: address of a running scheduler, such as ``tcp://host:8786``.
        workers: without a scheduler: how many processes to start on this machine.
        resource: what a worker must declare to be given a run, such as ``GPU``.
        retries: how often a run is tried again that failed by accident; one that cannot be
            trained (its loss is not finite, say) is not.

    Raises:
        StudyError: if the scheduler does not answer, or is lost.
        ValueError: if there is neither a scheduler nor a worker.
    """
    if not configs:
        return
    if not scheduler and workers < 1:
        raise ValueError(f"workers is {workers}, allowed: 1 or more")
    with _client(scheduler, workers) as client:
        print(f"Dask dashboard: {client.dashboard_link}", flush=True)
        _check_resource(client, resource)
        futures = {c.run_id: (c, _submit(client, c, resource, retries)) for c in configs}
        try:
            yield from _collect(futures, retries)
        finally:
            client.cancel([future for _, future in futures.values()], force=True)


def _submit(client: Client, config: RunConfig, resource: str, retries: int) -> Future:
    """Send a run; its name is the task's key, so that the scheduler makes none twice."""
    return client.submit(
        train_task,
        config.model_dump_json(),
        key=config.run_id,
        pure=False,
        retries=retries,
        resources={resource: 1} if resource else None,
    )


def _collect(futures: dict[str, tuple[RunConfig, Future]], retries: int) -> Outcomes:
    """Yield runs as they end; try again those that the scheduler gave up with their workers."""
    tries = dict.fromkeys(futures, 0)
    ended = distributed.as_completed([future for _, future in futures.values()])
    for future in ended:
        config, _ = futures[future.key]
        error = future.exception() if future.status == "error" else None
        if future.status in ("cancelled", "lost"):
            raise StudyError("the scheduler was lost; what was finished is kept: start again")
        if isinstance(error, distributed.KilledWorker) and tries[future.key] < retries:
            tries[future.key] += 1
            count = f"{tries[future.key]} of {retries}"
            print(f"{future.key}: its worker died; sent again ({count})", flush=True)
            future.retry()
            ended.add(future)
            continue
        yield config, f"{type(error).__name__}: {error}" if error else _outcome(future.result())


def _outcome(answer: dict[str, Any]) -> Outcome:
    """Return the record that a worker sent, with the command that asked for it, or its failure."""
    if "failed" in answer:
        return str(answer["failed"])
    try:
        record: Record = parse_record(answer)
    except ResultsError as error:
        return f"the worker's answer is no record: {error}"
    origin = record.origin.model_copy(update={"command": command_line()})
    return record.model_copy(update={"origin": origin})


def train_task(config: str) -> dict[str, Any]:
    """Train one run on a worker, in a folder that lasts as long as the task.

    Args:
        config: a :class:`RunConfig` as JSON.

    Returns:
        A :class:`results.Record` as JSON values, or ``{"failed": why}`` if the run cannot be
        trained, wherever it is tried.
    """
    settings = RunConfig.model_validate_json(config)
    with _ONE_RUN, tempfile.TemporaryDirectory(prefix="halfgen-", dir=_scratch()) as folder:
        try:
            dataset = _dataset(settings.data)
            run = fit(settings, dataset, runs_dir=Path(folder), quiet=True)
            return json.loads(record_of(run).model_dump_json())
        except RUN_FAILURES as error:
            return {"failed": f"{type(error).__name__}: {error}"}


def _scratch() -> str | None:
    """Return the worker's own folder, which Dask empties even when the worker was killed."""
    try:
        return distributed.get_worker().local_directory
    except ValueError:  # not on a worker
        return None


@lru_cache(maxsize=1)
def _dataset(name: str) -> Dataset:
    """Return the images; a worker reads them once."""
    return load(name)


@contextmanager
def _client(scheduler: str, workers: int) -> Iterator[Client]:
    """Connect to a scheduler, or start one with its workers, on loopback, for this block."""
    if scheduler:
        try:
            client = Client(scheduler, timeout=TIMEOUT)
        except (OSError, ValueError) as error:
            raise StudyError(f"no Dask scheduler answers at {scheduler}: {error}") from None
        with client:
            yield client
        return
    threads = max(1, (os.cpu_count() or 1) // workers)  # Dask would give each worker one
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    with (
        dask.config.set({f"distributed.nanny.pre-spawn-environ.{n}": threads for n in names}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,  # one run at a time; torch has threads of its own
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,  # else a warning for each worker that is stopped
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _check_resource(client: Client, resource: str) -> None:
    """Say so if no worker declares the resource: the runs would wait, without a word, for one."""
    there = client.scheduler_info(n_workers=-1)["workers"].values()
    if not there:
        print("no worker has joined yet: the runs wait for one", flush=True)
    elif resource and not any(worker["resources"].get(resource) for worker in there):
        print(f'no worker declares "{resource}=1" yet: the runs wait for one', flush=True)
