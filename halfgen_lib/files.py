"""The project's own files: where they lie, written whole or not at all, read as they were recorded.

A published folder has a ``manifest.json``, the SHA-256 of each file in it. A RunError names a file
that is missing, damaged or not the recorded one.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


def environment() -> dict[str, str]:
    """Return the variables for a child process in another folder: every HALFGEN_* path absolute."""
    own = (name for name, value in os.environ.items() if name.startswith("HALFGEN_") and value)
    return os.environ | {name: str(folder(name)) for name in own}


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, whole; OSErrors name it."""
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
    """Return finite values as indented JSON, pydantic's models as their fields."""
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


@contextmanager
def reading(path: Path, then: str = "") -> Iterator[None]:
    """Raise :class:`RunError`, which names ``path``, for whatever its content makes fail."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:  # libraries have errors of every kind, and none says which file
        reason = " ".join(str(error).split())[:200]  # torch names every layer, pydantic a page
        raise RunError(f"{path} cannot be read: {type(error).__name__}: {reason}{then}") from error


def read_manifest(place: Path, remedy: str = REMEDY) -> dict[str, str]:
    """Return the SHA-256 of each file of a published folder, by its name."""
    with reading(place / MANIFEST, f"; {remedy}"):
        return dict(json.loads(read_bytes(place / MANIFEST, remedy)))


def read_bytes(path: Path, remedy: str = REMEDY) -> bytes:
    """Return a file's content; of a published one, ``remedy`` says what to do if it is refused."""
    manifest = path.with_name(MANIFEST)
    then = f"; {remedy}" if path == manifest or manifest.exists() else ""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{path} is missing{then}") from None
    if then and path != manifest:
        found = hashlib.sha256(content).hexdigest()
        recorded = read_manifest(path.parent, remedy).get(path.name)
        if found != recorded:
            what = f"it has SHA-256 {found}, recorded is {recorded}"
            raise RunError(f"{path} is not the file that was published: {what}{then}")
    return content


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; a NaN or an infinity, which JSON knows not, is a damage."""
    with reading(path):
        return json.loads(read_bytes(path), parse_constant=finite_float, parse_float=finite_float)


def finite_float(text: str) -> float:
    """Return the number that ``text`` says; ValueError if it is not a finite one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value
