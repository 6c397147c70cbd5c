"""Published results of a study: small tracked files of which every line can be checked.

    report/results/<study>.json    {"format": 1, "data": "full", "records": [one record a line]}

A record is one run: what was trained, how it went, what came out, where and when. A file is
written whole and atomically after every run, so that a study may be stopped at any moment.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from ..config import identity_hash
from ..evaluation import Interval
from ..files import RunError, folder, read_json, write_atomic
from ..models import build_model, revision
from ..settings import Settings
from . import Run

FORMAT = 1

Text = Annotated[str, Field(max_length=1000)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{10}$")]
Column = Annotated[tuple[float, ...], Field(min_length=1, max_length=10_000)]


class ClassMeans(Settings):
    """The means over the test images of one class."""

    mse: float
    ssim: float


class TestScores(Settings):
    """What the kept weights reach on the test set."""

    __test__ = False  # pytest would take it for a test

    mse: Interval
    ssim: Interval
    psnr: float
    seam: float
    seam_true: float
    per_class: Annotated[dict[Text, ClassMeans], Field(max_length=10)]


class History(Settings):
    """The run's history, one number an epoch: losses to 6 decimals."""

    train_loss: Column
    val_loss: Column
    lr: Column


class Origin(Settings):
    """Where and when a run was made: :func:`provenance.provenance`, and when it ended."""

    created: Text
    finished: Text
    command: Text
    git_commit: Text
    device: Text
    platform: Text
    versions: Annotated[dict[Text, Text], Field(max_length=50)]
    data_sha256: Annotated[dict[Text, Text], Field(max_length=50)]


class Record(Settings):
    """One finished run, as it is published."""

    variant: Text
    seed: Annotated[int, Field(ge=0)]
    config_hash: Hash
    revision: Annotated[Hash, Field(description="of the model: models.REVISIONS")]
    identity: Annotated[dict[str, Any], Field(description="RunConfig.identity; hashes to the hash")]
    parameters: Annotated[int, Field(ge=0, description="trainable numbers of the network")]
    epochs: Annotated[int, Field(ge=1)]
    best_epoch: Annotated[int, Field(ge=1, description="the one with the lowest validation loss")]
    val_mse: Annotated[float, Field(ge=0, description="of the weights that were kept")]
    seconds: Annotated[float, Field(ge=0, description="spent in epochs")]
    test: TestScores
    history: History
    origin: Origin

    @model_validator(mode="after")
    def _is_consistent(self) -> Record:
        if identity_hash(self.identity) != self.config_hash:
            raise ValueError(f"identity does not hash to {self.config_hash}: one was edited")
        kinds = {"model": str, "data": str, "split": str, "train_size": int}
        if bad := [k for k, kind in kinds.items() if not isinstance(self.identity.get(k), kind)]:
            raise ValueError(f"identity does not say what a run is: {', '.join(bad)}")
        if self.identity.get("seed") != self.seed:
            raise ValueError(f"seed is {self.seed}, but the identity says otherwise")
        lengths = {len(column) for _, column in self.history}
        if lengths != {self.epochs} or self.best_epoch > self.epochs:
            raise ValueError(f"epochs is {self.epochs}, but the history says otherwise")
        return self

    @property
    def is_current(self) -> bool:
        """Whether the model's present revision made it, so that it would come out again."""
        return self.revision == revision(self.identity["model"])

    @property
    def key(self) -> tuple[str, int]:
        """The variant and the seed: a table has one record of each."""
        return self.variant, self.seed


def record_of(run: Run) -> Record:
    """Return what is published of a finished run; its weights are not needed.

    Raises:
        RunError: if the run is not finished, or a file of it is damaged.
    """
    if not run.is_finished:
        raise RunError(f"run {run.run_id} is {run.status['state']}, not finished")
    with torch.device("meta"):  # counts without drawing weights
        parameters = build_model(run.config.model, run.config.model_settings).parameter_count()
    history, written = run.history, run.record
    made = {name: written[name] for name in Origin.model_fields if name != "finished"}
    return parse_record(
        {
            "variant": run.config.variant,
            "seed": run.config.seed,
            "config_hash": identity_hash(written["identity"]),
            "revision": written["revision"],
            "identity": written["identity"],
            "parameters": parameters,
            "epochs": len(history["epoch"]),
            "best_epoch": run.best_epoch,
            "val_mse": round(history["val_loss"][run.kept_epoch - 1], 7),
            "seconds": round(history["seconds"].sum(), 1),
            "test": _test_scores(run.metrics),
            "history": {name: [*map(_rounded, history[name])] for name in History.model_fields},
            "origin": made | {"finished": run.status["finished"]},
        }
    )


def parse_record(values: Any) -> Record:
    """Return the record that JSON values hold.

    Raises:
        RunError: if they hold none; the message names every wrong entry.
    """
    try:
        return Record.model_validate_json(json.dumps(values))
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise RunError("; ".join(found[:3]).removeprefix(": ") + more) from None


def _rounded(value: float) -> float:
    return round(value, 6) if value >= 1e-3 else float(f"{value:.4g}")


def _test_scores(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the part of ``metrics.json`` that is published."""
    overall = metrics["overall"]
    intervals = ("mse", "ssim")
    return {
        **{name: {k: round(v, 6) for k, v in overall[name].items()} for name in intervals},
        **{name: round(overall[name]["mean"], 5) for name in ("psnr", "seam", "seam_true")},
        "per_class": {
            label: {name: round(values[name]["mean"], 6) for name in intervals}
            for label, values in metrics["per_class"].items()
        },
    }


# ---- the file


def results_path(name: str) -> Path:
    """Return ``<name>.json`` in ``HALFGEN_RESULTS``, or in ``report/results`` of the project."""
    return folder("HALFGEN_RESULTS", "report", "results") / f"{name}.json"


@dataclass(frozen=True)
class Results:
    """What a results file holds: its records, and what is wrong with the others.

    Attributes:
        path: of the file.
        data: which images all its runs saw: ``"full"`` or ``"sample"``.
        records: by variant and seed.
        problems: one message a record that was left out; show them.
    """

    path: Path
    data: Literal["full", "sample"]
    records: dict[tuple[str, int], Record] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_results(path: Path, data: str | None = None) -> Results:
    """Read a results file; one that does not exist holds nothing.

    Args:
        path: of the file.
        data: what the file must be about; any if not given.

    Raises:
        RunError: if the file as a whole is broken or is about other data.
    """
    if not path.exists():
        return Results(path, data or "full")
    try:
        content = read_json(path, finite=False)  # a NaN costs its record, not the others
    except RunError as error:
        raise RunError(f"{error}; restore it (git checkout) or move it away") from None
    if not isinstance(content, dict) or set(content) != {"format", "data", "records"}:
        raise RunError(f"{path} holds no results: it needs format, data and records")
    if content["format"] != FORMAT or not isinstance(content["records"], list):
        raise RunError(f"{path} has format {content['format']!r}; this code reads {FORMAT}")
    if content["data"] not in ("full", "sample") or data not in (None, content["data"]):
        raise RunError(f"{path} is about {content['data']!r} data, not {data or 'full'!r}")
    records: dict[tuple[str, int], Record] = {}
    problems = []
    for number, values in enumerate(content["records"], 1):
        try:
            record = parse_record(values)
            if record.identity["data"] != content["data"]:
                raise RunError(f"it is about {record.identity['data']!r} data")
            if record.key in records:
                raise RunError("another record has this variant and seed")
            records[record.key] = record
        except (RunError, RecursionError) as error:
            problems.append(f"{path.name}, record {number} ({_name(values)}): {error}")
    return Results(path, content["data"], records, tuple(problems))


def _name(values: Any) -> str:
    if not isinstance(values, dict):
        return f"a {type(values).__name__}"
    return f"{str(values.get('variant'))[:50]} seed {str(values.get('seed'))[:10]}"


def add_record(path: Path, record: Record) -> None:
    """Put a record in its file, in the place of an older one of the same variant and seed.

    Other processes may add to the file meanwhile: each reads and writes it under a lock.

    Raises:
        RunError: if the file is broken, in part or whole: writing would lose what it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        results = read_results(path, record.identity["data"])
        if results.problems:
            raise RunError("\n".join([*results.problems, f"repair {path} first"]))
        records = results.records | {record.key: record}
        lines = [records[key].model_dump_json() for key in sorted(records)]
        head = f'{{"format": {FORMAT}, "data": "{results.data}", "records": [\n'
        write_atomic(path, (head + ",\n".join(lines) + "\n]}\n").encode())


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold a folder for this process; the system frees it when the process ends."""
    import fcntl

    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


# ---- images inside published results: 8-bit pixels as text


def encode(completed: Tensor) -> str:
    """Return halves (N, 1, 28, 14) in [0, 1] as base64 of their uint8 pixels."""
    return base64.b64encode((completed * 255).round().byte().cpu().numpy().tobytes()).decode()


def decode(text: str) -> np.ndarray:
    """Return what :func:`encode` wrote: (N, 28, 14) in [0, 1]."""
    pixels = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return pixels.reshape(-1, 28, 14).astype(np.float32) / 255


def decode_all(texts: Iterable[str]) -> np.ndarray:
    """Return what :func:`encode` wrote, several times: (K, N, 28, 14) in [0, 1]."""
    return np.stack([decode(text) for text in texts])
