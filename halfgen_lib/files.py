"""The project's folders, and files of which a reader sees all or none."""

from __future__ import annotations

import os
from pathlib import Path


def project_root() -> Path:
    """Return the checkout that holds this package, or else the working directory."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


def folder(variable: str, *default: str) -> Path:
    """Return the folder that an environment variable names, or one of the project, absolute."""
    named = os.environ.get(variable)
    return Path(named).expanduser().absolute() if named else project_root().joinpath(*default)


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
