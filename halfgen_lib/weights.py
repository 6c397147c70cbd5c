"""Published weights: small tracked files that are used only if they are what was recorded.

report/weights/<name>.safetensors    the numbers
report/weights/<name>.json           their SHA-256, and what they are, reach and come from
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from .provenance import project_root
from .runs import RunError, read_json, write_atomic, write_json


class WeightsError(RuntimeError):
    """Published weights that are missing, damaged or not those that were recorded."""


def weights_path(name: str) -> Path:
    """Return ``<name>.safetensors`` in ``HALFGEN_WEIGHTS``, or in ``report/weights``."""
    folder = os.environ.get("HALFGEN_WEIGHTS") or project_root() / "report" / "weights"
    return Path(folder) / f"{name}.safetensors"


def publish_weights(name: str, state: dict[str, Tensor], record: dict[str, Any]) -> Path:
    """Write weights and their record, with the weights' SHA-256 and size; return the weights' file.

    Args:
        name: of both files.
        state: a network's ``state_dict``.
        record: plain JSON values; the keys ``sha256`` and ``bytes`` are added.
    """
    path = weights_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = save({key: value.detach().cpu().contiguous() for key, value in state.items()})
    own = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_atomic(path, content)
    write_json(path.with_suffix(".json"), {**own, **record})
    return path


def load_weights(name: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return published weights, on the CPU, and their record.

    Args:
        name: of the files.
        remedy: what the reader can do if they cannot be used; ends the error's message.

    Raises:
        WeightsError: if a file is missing or damaged, or the weights' SHA-256 is not the recorded
            one.
    """
    path = weights_path(name)
    try:
        record = read_json(path.with_suffix(".json"))
        content, recorded = path.read_bytes(), record["sha256"]
    except (OSError, RunError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} or its record cannot be read ({error}); {remedy}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != recorded:
        raise WeightsError(f"{path} has SHA-256 {found}, recorded is {recorded}; {remedy}")
    return load(content), record
