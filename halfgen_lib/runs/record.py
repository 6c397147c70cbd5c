"""Published results of a study: small tracked files of which every line can be checked.

    report/results/<study>.json    {"format": 1, "data": "full", "records": [one record a line]}

A record is one run. A file is written whole after each, so that a study may stop at any moment.
"""

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator

from ..config import TRAIN_IMAGES, identity_hash
from ..evaluation import Interval
from ..files import RunError, folder, read_bytes, reading, write_atomic
from ..models import build_model, revision
from ..settings import Settings, complaints
from . import Run

Text = Annotated[str, Field(max_length=1000)]
Texts = Annotated[dict[Text, Text], Field(max_length=50)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{10}$")]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Column = Annotated[tuple[float, ...], Field(min_length=1, max_length=10_000)]
ClassMeans = Annotated[dict[Literal["mse", "ssim"], float], Field(min_length=2)]


class Scores(Settings):
    """What the kept weights reach on the test set."""

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
    versions: Texts
    data_sha256: Texts


class Record(Settings):
    """One finished run, as it is published."""

    variant: Text
    seed: Count
    config_hash: Hash
    revision: Hash  # of the model: models.REVISIONS
    identity: dict[str, Any]  # RunConfig.identity, which hashes to the hash
    parameters: Count  # trainable numbers of the network
    epochs: Count
    best_epoch: Count  # the one with the lowest validation loss
    val_mse: Amount  # of the weights that were kept
    seconds: Amount  # spent in epochs
    test: Scores
    history: History
    origin: Origin

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if identity_hash(self.identity) != self.config_hash:
            raise ValueError(f"identity does not hash to {self.config_hash}: one was edited")
        kinds = {"model": str, "data": str, "split": str, "train_size": int}
        if bad := [k for k, kind in kinds.items() if not isinstance(self.identity.get(k), kind)]:
            raise ValueError(f"identity does not say what a run is: {', '.join(bad)}")
        if self.identity.get("seed") != self.seed:
            raise ValueError(f"seed is {self.seed}, but the identity says otherwise")
        lengths = {len(column) for _, column in self.history}
        if lengths != {self.epochs} or not 1 <= self.best_epoch <= self.epochs:
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

    @property
    def train_images(self) -> int:
        """How many images it trained on."""
        data, split = self.identity["data"], self.identity["split"]
        return self.identity["train_size"] or TRAIN_IMAGES[data, split]


def record_of(run: Run) -> Record:
    """Return what is published of a finished run; its weights are not needed."""
    with torch.device("meta"):  # counts without drawing weights
        parameters = build_model(run.config.model, run.config.model_settings).parameter_count()
    history, written = run.history, run.record
    made = {name: written[name] for name in Origin.model_fields if name != "finished"}
    return parse_record(
        {
            "variant": run.config.variant,
            "seed": run.config.seed,
            "config_hash": identity_hash(written["identity"]),
            **{name: written[name] for name in ("revision", "identity")},
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
    """Return the record that JSON values hold; RunError names what is wrong with them."""
    try:
        return Record.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise RunError("; ".join(complaints(error))[:500]) from None


def _rounded(value: float) -> float:
    return round(value, 6) if value >= 1e-3 else float(f"{value:.4g}")


def _test_scores(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the part of ``metrics.json`` that is published."""
    overall, intervals = metrics["overall"], ("mse", "ssim")
    return {
        **{name: {k: round(v, 6) for k, v in overall[name].items()} for name in intervals},
        **{name: round(overall[name]["mean"], 5) for name in ("psnr", "seam", "seam_true")},
        "per_class": {
            label: {name: round(values[name]["mean"], 6) for name in intervals}
            for label, values in metrics["per_class"].items()
        },
    }


def results_path(name: str) -> Path:
    """Return ``<name>.json`` in ``HALFGEN_RESULTS``, or in ``report/results`` of the project."""
    return folder("HALFGEN_RESULTS", "report", "results") / f"{name}.json"


class ResultsFile(Settings):
    """What a results file holds: one record of each variant and seed, all of the same data."""

    format: Literal[1]
    data: Literal["full", "sample"]
    records: tuple[Record, ...]

    @model_validator(mode="after")
    def _is_one_table(self) -> Self:
        keys = [record.key for record in self.records]
        for number, record in enumerate(self.records):
            where = f"records.{number} ({record.variant} seed {record.seed})"
            if record.identity["data"] != self.data:
                raise ValueError(f"{where} is about {record.identity['data']!r} data")
            if record.key in keys[:number]:
                raise ValueError(f"{where}: another record has this variant and seed")
        return self


def read_results(path: Path, data: str | None = None) -> dict[tuple[str, int], Record]:
    """Return a results file's records by variant and seed; one that does not exist holds none.

    Raises RunError if any of it is damaged, or if it is about other ``data`` than asked for.
    """
    if not path.exists():
        return {}
    with reading(path, "; restore it (git checkout) or move it away"):
        content = ResultsFile.model_validate_json(read_bytes(path))
    if data not in (None, content.data):
        raise RunError(f"{path} is about {content.data!r} data, not {data!r}")
    return {record.key: record for record in content.records}


def add_record(path: Path, record: Record) -> None:
    """Put a record in its file, in place of that of its variant and seed; several may at once."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    place = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)  # the system frees it when the process ends
        data = record.identity["data"]
        records = read_results(path, data) | {record.key: record}
        lines = [records[key].model_dump_json() for key in sorted(records)]
        head = f'{{"format": 1, "data": "{data}", "records": [\n'
        write_atomic(path, (head + ",\n".join(lines) + "\n]}\n").encode())
    finally:
        os.close(place)


def encode(completed: torch.Tensor) -> str:
    """Return halves (N, 1, 28, 14) in [0, 1] as base64 of their uint8 pixels."""
    return base64.b64encode((completed * 255).round().byte().cpu().numpy()).decode()


def encode_errors(mse: np.ndarray) -> str:
    """Return each image's error (N,) as base64 of half-precision numbers: to 0.05 %."""
    return base64.b64encode(mse.astype("<f2")).decode()


def decode_errors(text: str) -> np.ndarray:
    """Return what :func:`encode_errors` wrote: (N,) float64."""
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float64)


def decode(text: str) -> np.ndarray:
    """Return what :func:`encode` wrote: (N, 28, 14) in [0, 1]."""
    pixels = np.frombuffer(base64.b64decode(text), dtype=np.uint8).reshape(-1, 28, 14)
    return pixels.astype(np.float32) / 255


def decode_all(texts: Iterable[str]) -> np.ndarray:
    """Return what :func:`encode` wrote, several times: (K, N, 28, 14) in [0, 1]."""
    return np.stack([decode(text) for text in texts])
