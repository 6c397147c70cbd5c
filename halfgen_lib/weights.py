"""Published weights: small trained networks that come with the repository.

    report/weights/weights.json           what each is: its SHA-256, its run, settings and scores
    report/weights/<name>.safetensors     the weights of that run's best epoch

A file is used only if it is the very one that was published.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load

from .models import build_model
from .models.base import Completer
from .provenance import project_root
from .results import Record, Text, record_of
from .runs import Run, write_atomic
from .settings import Settings, known

MAX_BYTES = 12_000_000  # of all files together: they are part of every clone
HOW = "train a network (halfgen train) and publish it (halfgen publish RUN_ID --as NAME)"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$")]


class WeightsError(RuntimeError):
    """Weights that are missing, changed, damaged or too large."""


class Published(Settings):
    """What is known of one file of weights."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    run_id: Text
    record: Record

    def build(self, content: bytes) -> Completer:
        """Return the network with the weights in ``content``, in evaluation mode.

        Raises:
            WeightsError: if this code's network does not take them.
        """
        identity = self.record.identity
        try:
            model = build_model(identity["model"], identity["model_settings"])
            model.load_state_dict(load(content))
        except (ValueError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]  # torch names every layer
            raise WeightsError(
                f"{self.run_id}: the weights do not fit the code: {reason}"
            ) from None
        return model.eval()


class Index(Settings):
    """The content of ``weights.json``."""

    format: Literal[1]
    weights: Annotated[dict[Name, Published], Field(max_length=100)]


def weights_dir() -> Path:
    """Return ``HALFGEN_WEIGHTS``, or ``report/weights`` of the project."""
    return Path(os.environ.get("HALFGEN_WEIGHTS") or project_root() / "report" / "weights")


def published_weights(folder: Path | None = None) -> dict[str, Published]:
    """Return what is published, by name; nothing where there is no ``weights.json``.

    Raises:
        WeightsError: if ``weights.json`` is damaged.
    """
    path = (folder or weights_dir()) / "weights.json"
    if not path.exists():
        return {}
    try:
        return Index.model_validate_json(path.read_bytes()).weights
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise WeightsError(f"{path} is damaged: {where}: {first['msg']}; restore it") from None


def load_weights(name: str, folder: Path | None = None) -> Completer:
    """Return a published network, on the CPU and in evaluation mode.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
        WeightsError: if the file is missing, or is not the one that was published.
    """
    folder = folder or weights_dir()
    published = published_weights(folder)
    if not published:
        raise WeightsError(f"no weights are published in {folder}: {HOW}")
    entry = published[known(name, published, "weights")]
    path = folder / f"{name}.safetensors"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing: restore it (git checkout), or {HOW}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise WeightsError(
            f"{path} is not the file that was published: its SHA-256 is {found}, recorded is"
            f" {entry.sha256}; restore it, or publish the run again"
        )
    return entry.build(content)


def publish_weights(run: Run, name: str, folder: Path | None = None) -> Path:
    """Publish a finished run's best weights under a name, in place of what had it before.

    The file is written before its record: until both are, loading refuses it.

    Returns:
        The path of the weights.

    Raises:
        ValueError: a name that is not one of lower-case letters, digits, ``-`` and ``_``.
        RunError: if the run is not finished.
        WeightsError: if its weights are missing or damaged, or all files would exceed 12 MB.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,49}", name):
        raise ValueError(f"name is {name!r}; allowed: lower-case letters, digits, - and _")
    folder = folder or weights_dir()
    record, source = record_of(run), run.directory / "model.safetensors"
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{source} is missing: train the run again, keeping it") from None
    digest = hashlib.sha256(content).hexdigest()
    entry = Published(sha256=digest, run_id=run.run_id, record=record)
    entry.build(content)  # what cannot be loaded is not published
    path = folder / f"{name}.safetensors"
    others = sum(f.stat().st_size for f in folder.glob("*.safetensors") if f != path)
    if others + len(content) > MAX_BYTES:
        raise WeightsError(
            f"{name} has {len(content):,} bytes; with the {others:,} of the others that is more"
            f" than the {MAX_BYTES:,} allowed"
        )
    weights = published_weights(folder) | {name: entry}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    lines = [f'"{key}": {weights[key].model_dump_json()}' for key in sorted(weights)]
    text = '{"format": 1, "weights": {\n' + ",\n".join(lines) + "\n}}\n"
    write_atomic(folder / "weights.json", text.encode())
    return path
