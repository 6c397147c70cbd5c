"""Published networks: those of finished runs whose weights come with the repository.

They are stored in half precision (IEEE 754 binary16, 11 significant bits), which halves what every
clone has to fetch, and are computed with in float32 as in training. What the rounding does to the
error is seen whenever a published run is restored: see :mod:`restore`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from ..models import build_model
from ..models.base import Completer
from ..settings import Settings, complaints, known
from . import Run, RunError, read_json
from .record import Record, Text, record_of
from .sealed import WeightsError, read_sealed, weights_dir, write_sealed

MAX_BYTES = 12_000_000  # of all networks together: they are part of every clone
HOW = "train a network (halfgen train) and publish it (halfgen publish RUN_ID --as NAME)"


class Published(Settings):
    """What is recorded of a published network, beside its weights."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=1)]
    run_id: Text
    record: Record


def published_weights() -> dict[str, Published]:
    """Return the published networks by name; other weights, a classifier's, are left out.

    Raises:
        WeightsError: if a record is damaged.
    """
    found = {}
    for path in sorted(weights_dir().glob("*.json")):
        try:
            values = read_json(path)
            if isinstance(values, dict) and "run_id" in values:
                found[path.stem] = Published.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise WeightsError(f"{path} is damaged: {complaints(error)[0]}; restore it") from None
        except RunError as error:
            raise WeightsError(f"{error}; restore it") from None
    return found


def load_weights(name: str) -> Completer:
    """Return a published network, on the CPU and in evaluation mode.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
        WeightsError: if the file is missing, or is not the one that was published.
    """
    published = published_weights()
    if not published:
        raise WeightsError(f"no weights are published in {weights_dir()}: {HOW}")
    entry = published[known(name, published, "weights")]
    content, _ = read_sealed(name, f"restore it (git checkout), or {HOW}")
    return _build(entry.run_id, entry.record, content)


def publish_weights(run: Run, name: str) -> Path:
    """Publish a finished run's kept weights under a name, in place of what had it before.

    Returns:
        The path of the weights.

    Raises:
        ValueError: a name that is not one of lower-case letters, digits, ``-`` and ``_``.
        RunError: if the run is not finished.
        WeightsError: if its weights are missing, damaged or too large for half precision, or if all
            networks would exceed 12 MB.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,49}", name):
        raise ValueError(f"name is {name!r}; allowed: lower-case letters, digits, - and _")
    record, source = record_of(run), run.directory / "model.safetensors"
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{source} is missing: train the run again, keeping it") from None
    content = _halved(run.run_id, _build(run.run_id, record, content))
    others = sum(entry.bytes for key, entry in published_weights().items() if key != name)
    if others + len(content) > MAX_BYTES:
        raise WeightsError(
            f"{name} has {len(content):,} bytes; with the {others:,} of the others that is more"
            f" than the {MAX_BYTES:,} allowed"
        )
    values = {"run_id": run.run_id, "record": record.model_dump(mode="json")}
    return write_sealed(name, content, values)


def _halved(run_id: str, model: Completer) -> bytes:
    """Return a network's weights and statistics in half precision, counts as they are."""
    halved = {
        name: (values.half() if values.is_floating_point() else values).contiguous()
        for name, values in model.state_dict().items()
    }
    for name, values in halved.items():
        if not bool(values.isfinite().all()):
            raise WeightsError(f"{run_id}: {name} has values that half precision cannot hold")
    return save(halved)


def _build(run_id: str, record: Record, content: bytes) -> Completer:
    """Return the network of a record with the weights in ``content``, in evaluation mode."""
    identity = record.identity
    try:
        model = build_model(identity["model"], identity["model_settings"])
        model.load_state_dict(load(content))
    except (ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]  # torch names every layer
        raise WeightsError(f"{run_id}: the weights do not fit the code: {reason}") from None
    return model.eval()
