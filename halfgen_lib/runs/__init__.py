"""A run directory: what was trained, how it went, what came out, and whether it is whole.

    runs/<model>-<variant>-seed<k>-<hash>/
        config.json        settings, library versions, git commit, device, hashes of the data
        history.csv        epoch, train_loss, val_loss, lr, seconds
        model.safetensors  the weights kept, of the best epoch     last.safetensors  of the last one
        resume.pt          all that the next epoch needs; only while the run is unfinished
        scores.npz         every score of every test image   metrics.json  their means, intervals
        status.json        written last: only ``finished`` may enter a table or a figure

Every file is written beside its place and moved there, so that a reader sees all of it or none.
A published run (see :mod:`published`) is read in the same way, each file's hash being checked.
"""

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load

from ..config import RunConfig
from ..files import RunError, finite_float, folder, read_bytes, read_json, reading, write_json
from ..models import build_model, revision
from ..models.affine import CODE, AffineMap
from ..models.base import Completer
from ..settings import did_you_mean
from .weights import unpacked

HISTORY_COLUMNS = ("epoch", "train_loss", "val_loss", "lr", "seconds")
CURRENT = "current"


def default_runs_dir() -> Path:
    """Return the folder of the runs: ``HALFGEN_RUNS``, or ``runs`` in the project."""
    return folder("HALFGEN_RUNS", "runs")


@dataclass(frozen=True)
class Run:
    """One run directory; nothing is read before it is asked for."""

    directory: Path

    @property
    def run_id(self) -> str:
        """The directory's name."""
        return self.directory.name

    @cached_property
    def record(self) -> dict[str, Any]:
        """The content of ``config.json``: settings and provenance."""
        return read_json(self.directory / "config.json")

    @cached_property
    def config(self) -> RunConfig:
        """The settings of the run."""
        with reading(self.directory / "config.json"):
            return RunConfig(**self.record["config"])

    @property
    def is_current(self) -> bool:
        """Whether the model's present revision made it, so that it would come out again."""
        return self.record["revision"] == revision(self.config.model)

    @property
    def status(self) -> dict[str, Any]:
        """The content of ``status.json``; ``{"state": "new"}`` before there is one."""
        path = self.directory / "status.json"
        with reading(path):
            return {"state": "unknown"} | read_json(path) if path.exists() else {"state": "new"}

    @property
    def is_finished(self) -> bool:
        """Whether training and evaluation came to their end."""
        return self.status["state"] == "finished"

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The test set's means and intervals, as :func:`evaluation.summarise` returns them."""
        return read_json(self.directory / "metrics.json")

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Every score of every test image, in the order of the test file."""
        path = self.directory / "scores.npz"
        with reading(path), np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as file:
            scores = dict(file)
            if any(values.dtype != np.float32 for values in scores.values()):
                raise TypeError("not all of it is float32")
            return scores

    @property
    def history(self) -> dict[str, np.ndarray]:
        """The columns of ``history.csv``, each (epochs,)."""
        path = self.directory / "history.csv"
        if not path.exists() and not self.is_finished:  # before the first epoch's end
            return {name: np.array([]) for name in HISTORY_COLUMNS}
        with reading(path):
            rows = [*csv.DictReader(read_bytes(path).decode().splitlines())]
            columns = ([finite_float(row[name]) for row in rows] for name in HISTORY_COLUMNS)
            return dict(zip(HISTORY_COLUMNS, map(np.array, columns), strict=True))

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the lowest validation loss."""
        return int(self.history["epoch"][self.history["val_loss"].argmin()])

    @property
    def kept_epoch(self) -> int:
        """The epoch, counted from 1, whose weights ``model.safetensors`` holds."""
        return self.best_epoch if self.config.keep == "best" else len(self.history["epoch"])

    def model(self, weights: str = "model") -> Completer:
        """Return the network with the kept weights (``model``) or the last epoch's (``last``).

        Of a published network without nonlinearities it is the affine map that it comes to.
        """
        path = self.directory / f"{weights}.safetensors"
        model: Completer = build_model(self.config.model, self.config.model_settings)
        with reading(path):
            state = unpacked(load(read_bytes(path)))
            if (code := state.get(CODE)) is not None and len(state) == 3:
                model = AffineMap(len(code))
            model.load_state_dict(state)
        return model.eval()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process alone; RunError names the one that holds it."""
        import fcntl

        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("a+") as file:
            try:  # the system frees it when the process dies
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                then = "wait for it, or end it, and start again"
                by = f"process {file.read().strip() or '?'}; {then}"
                raise RunError(f"run {self.run_id} is being trained by {by}") from None
            except OSError as error:  # some network file systems have no locks
                why = f"{self.directory} cannot be locked: {error.strerror}"
                raise RunError(f"{why}; name a folder on a local disk with HALFGEN_RUNS") from None
            file.truncate(0)
            print(os.getpid(), file=file, flush=True)
            for leftover in self.directory.glob(".*.[0-9]*"):  # of a writer that was killed
                leftover.unlink()
            yield


def find_run(run_id: str = CURRENT, runs_dir: Path | None = None) -> Run:
    """Return a finished run, or else raise a RunError that says what to do; see `choose_run`."""
    runs_dir = runs_dir or default_runs_dir()
    asked, run_id = run_id, current_run_id(runs_dir) if run_id == CURRENT else run_id
    if not run_id or Path(run_id).name != run_id:
        raise RunError(f"run_id = {run_id!r} names no folder in {runs_dir}")
    run = Run(runs_dir / run_id)
    if not run.directory.is_dir():
        gone = "was the last one trained, but is no longer" if asked == CURRENT else "is not"
        near = did_you_mean(run_id, (path.name for path in runs_dir.glob("*-seed*")))
        then = "train it (halfgen train, or notebook 02_train), or name one of halfgen list runs"
        raise RunError(f"run {run_id} {gone} in {runs_dir}{near}; {then}")
    if (state := run.status["state"]) != "finished":
        then = "nothing is shown from it; run notebook 02_train (it resumes where it stopped)"
        raise RunError(f"run {run_id} is {state}, not finished: {then}")
    return run


def current_run_id(runs_dir: Path) -> str:
    """Return the name of the run that :func:`choose_run` chose last; RunError if there is none."""
    pointer = runs_dir / f"{CURRENT}.json"
    if not pointer.exists():
        raise RunError(f"no run was trained yet in {runs_dir}: run notebook 02_train first")
    with reading(pointer):
        return str(read_json(pointer)["run_id"])


def choose_run(run: Run) -> None:
    """Make ``run`` the one that the notebooks show."""
    write_json(run.directory.parent / f"{CURRENT}.json", {"run_id": run.run_id})
