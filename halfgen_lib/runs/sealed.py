"""Published weights on the disk: small tracked files, used only if they are what was recorded.

report/weights/<name>.safetensors    the numbers
report/weights/<name>.json           their SHA-256, and what they are, reach and come from
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ..files import write_atomic
from . import RunError, read_json, write_json
from .provenance import project_root


class WeightsError(RuntimeError):
    """Published weights that are missing, changed, damaged or too large."""


def weights_dir() -> Path:
    """Return ``HALFGEN_WEIGHTS``, or ``report/weights`` of the project."""
    return Path(os.environ.get("HALFGEN_WEIGHTS") or project_root() / "report" / "weights")


def weights_path(name: str) -> Path:
    """Return the file of the weights called ``name``; its record lies beside it, as JSON."""
    return weights_dir() / f"{name}.safetensors"


def write_sealed(name: str, content: bytes, record: dict[str, Any]) -> Path:
    """Write weights and their record, with SHA-256 and size; return the weights' file.

    The weights are written before their record: until both are, reading refuses them.

    Args:
        name: of both files.
        content: of the weights' file.
        record: plain JSON values; the keys ``sha256`` and ``bytes`` are added.

    """
    path = weights_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    seal = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_atomic(path, content)
    write_json(path.with_suffix(".json"), {**seal, **record})
    return path


def read_sealed(name: str, remedy: str) -> tuple[bytes, dict[str, Any]]:
    """Return the content of a weights' file, and its record.

    Args:
        name: of the files.
        remedy: what the reader can do if they cannot be used; ends the error's message.

    Raises:
        WeightsError: if a file is missing or damaged, or the SHA-256 is not the recorded one.
    """
    path = weights_path(name)
    try:
        record = read_json(path.with_suffix(".json"))
        recorded, content = record["sha256"], path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing; {remedy}") from None
    except (OSError, RunError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} or its record cannot be read ({error}); {remedy}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != recorded:
        raise WeightsError(
            f"{path} is not the file that was published: it has SHA-256 {found}, recorded is"
            f" {recorded}; {remedy}"
        )
    return content, record
