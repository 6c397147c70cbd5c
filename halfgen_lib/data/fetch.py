"""Find the four files of Fashion-MNIST, obtain them if they are nowhere, and verify them.

A file of the user's is never overwritten or deleted; a file that this module downloaded is, if it
turns out bad, set aside and fetched again. The two are told apart by a note beside the downloads.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..files import write_atomic
from . import download, idx
from .idx import BadFileError, DataError

# SHA-256 of the uncompressed files of https://github.com/zalandoresearch/fashion-mnist
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
ENVIRONMENT_VARIABLE = "HALFGEN_DATA"
SHARED_FOLDER = Path("/usr/share/datasets/fashion-mnist")
LAYOUTS = ("", "FashionMNIST/raw")  # the files themselves, or torchvision's folders around them
MARKER_NAME = ".halfgen-verified.json"
NOTE_NAME = ".halfgen-download.json"

Arrays = dict[str, np.ndarray]


def project_folder() -> Path:
    """Return where this project keeps data: `data/` of the checkout, else of the current folder."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()) / "data"


def fetch(
    folder: str | os.PathLike[str] | None = None,
    *,
    project: Path | None = None,
    sources: Sequence[download.Source] = download.SOURCES,
) -> tuple[Path, Arrays]:
    """Return Fashion-MNIST's four arrays, verified, from the first place that has them.

    Looks in `folder`, else in the folder that HALFGEN_DATA names; with neither, in the project's
    `data/`, then in `/usr/share/datasets/fashion-mnist`; then downloads into the project's `data/`.

    Args:
        folder: The only place to look, if given; nothing is written there.
        project: The project's data folder, if not the usual one.
        sources: (name, download function) in the order in which to try them.

    Returns:
        The folder, and uint8 arrays by file name: images (N, 28, 28), labels (N,).

    Raises:
        DataError: A named folder lacks files; a file is not Fashion-MNIST's; found nowhere.
    """
    named = folder if folder is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    if named is not None:
        place = Path(named).expanduser()
        try:
            return place, read_verified(place, SHA256, _marker(place))
        except DataError as error:
            origin = "the folder given" if folder is not None else ENVIRONMENT_VARIABLE
            raise DataError(f"{origin}: {error}. Nothing was changed in it.") from error

    project = project or project_folder()
    tried = []
    try:
        return project, read_verified(project, SHA256, project / MARKER_NAME)
    except BadFileError as error:
        if not is_our_download(error.path):
            raise DataError(
                f"{error}. This file was not downloaded by halfgen, so it is left as it is: move "
                "it away to have it fetched again."
            ) from error
        tried.append(str(error))
        print(f"data: a bad cached download is not used: {error}", flush=True)
    except DataError as error:
        tried.append(str(error))
    try:
        return SHARED_FOLDER, read_verified(SHARED_FOLDER, SHA256, _marker(SHARED_FOLDER))
    except DataError as error:
        tried.append(str(error))
    obtain(project, sources, tried)
    return project, read_verified(project, SHA256, project / MARKER_NAME)


# --- reading ----------------------------------------------------------------------------------


def locate(folder: Path) -> dict[str, Path]:
    """Return the paths of the four files in `folder`, plain preferred to gzipped.

    Raises:
        DataError: Not all four are there; names those that are missing.
    """
    missing: list[str] = []
    for layout in LAYOUTS:
        paths = {
            name: path
            for name in SHA256
            for path in (folder / layout / f"{name}.gz", folder / layout / name)
            if os.path.isfile(path)  # unlike Path.is_file: False where we may not look
        }
        if len(paths) == len(SHA256):
            return paths
        missing = missing or [name for name in SHA256 if name not in paths]
    if not os.path.isdir(folder):
        raise DataError(f"{folder} is no folder")
    raise DataError(f"{folder} lacks {', '.join(missing)} (.gz or not)")


def read_verified(folder: Path, expected: Mapping[str, str], marker: Path | None = None) -> Arrays:
    """Read the four files in `folder` and check them against the SHA-256 sums `expected`.

    Args:
        folder: Where the files lie.
        expected: SHA-256 of the uncompressed bytes, by file name.
        marker: A file that remembers which files were verified, so that they are hashed once.

    Raises:
        BadFileError: A file is damaged, or has another sum than expected.
        DataError: Not all files are there.
    """
    known = _read_json(marker)
    verified: dict[str, list[object]] = {}
    arrays: Arrays = {}
    for name, path in locate(folder).items():
        try:
            status = path.stat()
        except OSError as error:
            raise BadFileError(path, f"{error.strerror}", "a readable file") from error
        array = idx.read_idx(path)
        entry = [status.st_size, status.st_mtime_ns, expected[name]]
        if known.get(str(path.resolve())) != entry:
            found = idx.sha256(array)
            if found != expected[name]:
                raise BadFileError(
                    path,
                    f"an IDX file of shape {array.shape} with SHA-256 {found} (uncompressed)",
                    f"Fashion-MNIST's {name} with SHA-256 {expected[name]}",
                )
        verified[str(path.resolve())] = entry
        arrays[name] = array
    if marker is not None and verified != known:
        with contextlib.suppress(OSError):  # a folder we may not write to: hash at each start
            _write_json(marker, verified)
    return arrays


def _marker(folder: Path) -> Path | None:
    """Return the marker, in the user's cache if any, of a folder that is not ours to write to."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if not cache.is_absolute():
        return None
    digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return cache / "halfgen" / f"verified-{digest}.json"


# --- obtaining --------------------------------------------------------------------------------


def obtain(project: Path, sources: Sequence[download.Source], tried: Sequence[str] = ()) -> None:
    """Download the four files into `project`, verified first, each put in place at once.

    Raises:
        DataError: No source gave them; lists `tried`, each source's reason and what to do.
    """
    reasons = list(tried)
    try:
        project.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".halfgen-download-", dir=project) as staging:
            for number, (name, source) in enumerate(sources):
                print(f"data: fetching Fashion-MNIST (31 MB): trying {name} ...", flush=True)
                attempt = Path(staging, str(number))
                attempt.mkdir()
                try:
                    _put_in_place(read_verified(source(attempt), SHA256), Path(staging), project)
                except (DataError, OSError) as error:
                    reasons.append(f"{name}: {error}")
                    print(f"data: {name} failed: {error}", flush=True)
                else:
                    print(f"data: obtained from {name}, verified, kept in {project}", flush=True)
                    return
    except OSError as error:
        reasons.append(f"writing to {project}: {error}")
    raise DataError(
        "Fashion-MNIST was not found and could not be obtained. Tried:\n"
        + "".join(f"  - {reason}\n" for reason in reasons)
        + "Three ways to mend it:\n"
        f"  1. put the four files ({', '.join(SHA256)}; .gz or not) in a folder and name it with "
        f"{ENVIRONMENT_VARIABLE} or as the data folder;\n"
        "  2. connect this machine to the internet and try again;\n"
        f"  3. install Debian's package: sudo apt-get install {download.DEBIAN_PACKAGE}"
    )


def _put_in_place(arrays: Arrays, staging: Path, project: Path) -> None:
    """Move verified arrays into `project` as plain IDX files, the quickest to load.

    A file of the user's stays as it is; a bad download of ours is renamed to `*.bad` first.
    """
    note = _read_json(project / NOTE_NAME)
    for name, array in arrays.items():
        target = project / name
        if os.path.lexists(target):
            if name not in note:
                continue
            os.replace(target, project / f"{name}.bad")
        staged = staging / name
        idx.write_idx(staged, array)
        note[name] = SHA256[name]
        _write_json(project / NOTE_NAME, note)
        os.replace(staged, target)


def is_our_download(path: Path) -> bool:
    """Tell whether `path` is a file that halfgen downloaded, as the note beside it says."""
    return path.name in _read_json(path.parent / NOTE_NAME)


def _read_json(path: Path | None) -> dict[str, object]:
    """Return the JSON object in `path`; an empty one if there is none or it is unreadable."""
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON object, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())
