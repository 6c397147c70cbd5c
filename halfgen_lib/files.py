"""The project's own files: where they lie, written whole or not at all, read as they were recorded.

A folder that is published has a ``manifest.json``, the SHA-256 of each file in it. Where there is
one, a file is read only if it is the recorded one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

MANIFEST = "manifest.json"
REMEDY = (
    "restore it (git checkout), or train a network (halfgen train) and publish it"
    " (halfgen publish RUN_ID --as NAME)"
)


class RunError(RuntimeError):
    """Something is wrong with a run or with what is published: missing, damaged, in use."""


def project_root() -> Path:
    """Return the checkout that holds this package, or else the working directory."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


def folder(variable: str, *default: str) -> Path:
    """Return the folder that an environment variable names, or one of the project, absolute."""
    named = os.environ.get(variable)
    return Path(named).expanduser().absolute() if named else project_root().joinpath(*default)


# ---- writing


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, whole.

    Of several processes that write it at once, the last one wins.

    Raises:
        OSError: if the disk is full or the folder read-only; it names ``path``.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:  # of a full disk, Python names no file
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def to_json(value: Any) -> bytes:
    """Return ``value`` as indented JSON: plain values, and pydantic's models as their fields.

    Raises:
        ValueError: for a NaN or an infinity, which JSON knows not.
    """
    text = json.dumps(value, indent=1, allow_nan=False, default=BaseModel.model_dump)
    return (text + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as :func:`to_json`, atomically."""
    write_atomic(path, to_json(value))


def write_published(place: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by their names, and then their manifest: until it is there, they are refused."""
    place.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomic(place / name, content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    write_json(place / MANIFEST, sums)


# ---- reading


def read_manifest(place: Path, remedy: str = REMEDY) -> dict[str, str]:
    """Return the SHA-256 of each file of a published folder, by its name.

    Raises:
        RunError: if the manifest is missing or damaged.
    """
    path = place / MANIFEST
    try:
        return dict(json.loads(read_bytes(path, remedy)))
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} cannot be read: {error}; {remedy}") from None


def read_bytes(path: Path, remedy: str = REMEDY) -> bytes:
    """Return a file's content; in a published folder, only the recorded one.

    Args:
        path: of the file.
        remedy: what to do about a published file that cannot be used; ends the error's message.

    Raises:
        RunError: if it is missing, cannot be read, or has another SHA-256 than is recorded.
    """
    manifest = path.with_name(MANIFEST)
    then = f"; {remedy}" if path == manifest or manifest.exists() else ""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{path} is missing{then}") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error}{then}") from None
    if then and path != manifest:
        found = hashlib.sha256(content).hexdigest()
        recorded = read_manifest(path.parent, remedy).get(path.name)
        if found != recorded:
            raise RunError(
                f"{path} is not the file that was published: it has SHA-256 {found}, recorded is"
                f" {recorded}{then}"
            )
    return content


def read_json(path: Path, *, finite: bool = True) -> Any:
    """Return what a JSON file holds.

    Args:
        path: of the file.
        finite: whether a NaN or an infinity, which JSON knows not, is a damage.

    Raises:
        RunError: as :func:`read_bytes`, and if the file is damaged; the message names it.
    """
    number = finite_float if finite else float
    try:
        text = read_bytes(path).decode()
        return json.loads(text, parse_constant=number, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}") from None


def finite_float(text: str) -> float:
    """Return the number that ``text`` says; ValueError if it is none, or not a finite one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value
