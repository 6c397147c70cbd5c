"""Find Fashion-MNIST's four files and verify them; download them if they are nowhere.

The SHA-256 of its uncompressed bytes tells whether a file is the right one, whatever it claims to
be; so no file's content is trusted before, or doubted after. No file that is there is ever changed.
"""

import gzip
import hashlib
import http.client
import json
import os
import subprocess
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ..files import project_root, write_atomic

Files = dict[str, bytearray]  # uncompressed contents, verified, by file name

FASHION_MNIST = {  # SHA-256 of the files of https://github.com/zalandoresearch/fashion-mnist
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
SAMPLE_FOLDER = Path(__file__).parent / "sample"
SHA256 = {"full": FASHION_MNIST, "sample": json.loads((SAMPLE_FOLDER / "sha256.json").read_bytes())}
VARIABLE = "HALFGEN_DATA"
SHARED_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # Debian's package puts them there
LAYOUTS = ("", "raw", "FashionMNIST/raw")  # the files, or torchvision's folders around them
MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # torchvision's
DEBIAN_PACKAGE = "dataset-fashion-mnist"
MAX_BYTES = 64 << 20  # read of any file; the largest of the four has 47 MB
MIRROR_TIMEOUT = 8  # seconds without an answer
FILE_TIMEOUT = 300  # seconds for one file of a mirror that answers, but slowly
APT_TIMEOUT = 240  # seconds for each of apt's two steps

WAYS = f"""Three ways to mend it:
  1. put the four files ({", ".join(FASHION_MNIST)}; .gz or not) in a folder and name it with
     {VARIABLE} or as the data folder;
  2. move a bad file away, connect this machine to the internet and try again;
  3. install Debian's package: sudo apt-get install {DEBIAN_PACKAGE}"""


class DataError(RuntimeError):
    """The images cannot be had; the message says which file is wrong, and how."""


class MissingError(DataError):
    """A folder lacks files."""


def find(name: str, folder: str | os.PathLike[str] | None = None) -> tuple[Path, Files]:
    """Return the folder that the files of a data set lie in, and the files.

    The full set is read from ``folder``, or else from the folder that HALFGEN_DATA names. With
    neither, the project's ``data/`` and ``/usr/share/datasets`` are searched; at last it is
    downloaded into ``data/``. Raises DataError for a bad file where it looks, or if all fail.
    """
    if name == "sample":
        return SAMPLE_FOLDER, read_folder(SAMPLE_FOLDER, SHA256[name])
    origin, named = ("the folder given", folder) if folder else (VARIABLE, os.environ.get(VARIABLE))
    try:
        if not named:
            return _search(project_root() / "data")
        place = Path(named).expanduser().absolute()
        return place, read_folder(place, SHA256["full"])
    except DataError as error:
        raise DataError(f"{f'{origin}: ' if named else ''}{error}\n{WAYS}") from error


def _search(project: Path) -> tuple[Path, Files]:
    """Return the files of the first folder that has them all, or else download them."""
    tried = []
    for place in (project, SHARED_FOLDER):
        try:
            return place, read_folder(place, SHA256["full"])
        except MissingError as error:
            tried.append(str(error))
    for name, source in SOURCES:
        print(f"data: fetching Fashion-MNIST (31 MB): trying {name} ...", flush=True)
        try:
            files = obtain(source, project)
            print(f"data: obtained from {name}, verified, kept in {project}", flush=True)
            return project, files
        except (DataError, OSError, http.client.HTTPException, subprocess.SubprocessError) as error:
            tried.append(f"{name}: {error}")
            print(f"data: {name} failed: {error}", flush=True)
    what = "Fashion-MNIST was not found and could not be obtained. Tried:"
    raise DataError("\n  - ".join([what, *tried]))


def read_folder(folder: Path, sums: Mapping[str, str]) -> Files:
    """Read the files that ``sums`` names in ``folder``: plain, or else gzipped, or in a layout."""

    def there(place: Path) -> dict[str, list[Path]]:
        # unlike Path.is_file, isfile is False where one may not look
        found = {n: [*filter(os.path.isfile, (place / n, place / f"{n}.gz"))] for n in sums}
        return {name: paths for name, paths in found.items() if paths}

    most = max((there(folder / layout) for layout in LAYOUTS), key=len)
    files = {name: _first_good(paths, sums[name]) for name, paths in most.items()}
    if missing := ", ".join(name for name in sums if name not in files):
        what = f"lacks {missing} (.gz or not)" if os.path.isdir(folder) else "is no folder"
        raise MissingError(f"{folder} {what}")
    return files


def _first_good(paths: list[Path], expected: str) -> bytearray:
    """Return the first path's content or, where it is damaged, the other's, with a note."""
    try:
        return read_verified(paths[0], expected)
    except DataError as error:
        if not paths[1:]:
            raise
        content = read_verified(paths[1], expected)
        print(f"data: {error}; {paths[1].name} beside it is whole and is used", flush=True)
        return content


def read_verified(path: Path, expected: str) -> bytearray:
    """Return a file's content, at most ``MAX_BYTES`` inflated; DataError if its SHA-256 differs."""
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            content = bytearray((gzip.GzipFile(fileobj=file) if packed else file).read(MAX_BYTES))
    except (OSError, EOFError, zlib.error) as error:
        found = str(error)
    else:
        digest = hashlib.sha256(content).hexdigest()
        if digest == expected:
            return content
        found = f"{len(content):,} bytes with SHA-256 {digest}"
    raise DataError(f"{path}: found {found}; expected Fashion-MNIST's, with SHA-256 {expected}")


def tensors(files: Files, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images of "train" or "t10k", uint8 (N, 1, 28, 28), and the labels, int64 (N,).

    An IDX file is a header, here of 16 and 8 bytes, and the values in C order.
    Source: http://yann.lecun.com/exdb/mnist/ (bottom of the page).
    """
    images = torch.frombuffer(files[f"{part}-images-idx3-ubyte"], dtype=torch.uint8, offset=16)
    labels = torch.frombuffer(files[f"{part}-labels-idx1-ubyte"], dtype=torch.uint8, offset=8)
    return images.view(-1, 1, 28, 28), labels.to(torch.int64)


def obtain(source: Callable[[Path], Path], project: Path) -> Files:
    """Return what a source puts in a folder, verified, and keep what ``project`` does not have."""
    project.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".halfgen-download-", dir=project) as folder:
        files = read_folder(source(Path(folder)), SHA256["full"])
    for name, content in files.items():
        if not os.path.lexists(project / name):
            write_atomic(project / name, content)  # plain, the quickest to load
    return files


def from_mirror(folder: Path) -> Path:
    """Download the files from torchvision's mirror; its ``download=True`` waits without a limit."""
    for name in SHA256["full"]:
        deadline = time.monotonic() + FILE_TIMEOUT
        url, path = f"{MIRROR}{name}.gz", folder / f"{name}.gz"
        with urllib.request.urlopen(url, timeout=MIRROR_TIMEOUT) as answer, path.open("wb") as file:
            while file.tell() < MAX_BYTES and (chunk := answer.read1(1 << 20)):
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise DataError(f"{url} took longer than {FILE_TIMEOUT} s")
    return folder


# Private state needs neither root nor fresh system lists, nor the list of installed packages, which
# may be unreadable; sources, keys and proxies in /etc/apt hold; hooks touch the system: cleared.
_APT_CONFIG = """
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "{folder}/state";
Dir::State::status "/dev/null";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
Acquire::Retries "1";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"""


def from_debian(folder: Path) -> Path:
    """Download Debian's package and unpack it in ``folder``; installs nothing, needs no root."""
    folder = folder.resolve()
    (folder / "state/lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    (folder / "apt.conf").write_text(_APT_CONFIG.format(folder=folder))
    # One source of several that cannot be reached fails the update but may not matter: go on.
    steps = (f"apt-get -qq -c apt.conf {step}" for step in ("update", f"download {DEBIAN_PACKAGE}"))
    said = [_run(step, folder) for step in steps]
    said += [_run(f"dpkg-deb -x {package.name} .", folder) for package in folder.glob("*.deb")]
    unpacked = folder / SHARED_FOLDER.relative_to("/")
    if not unpacked.is_dir():
        raise DataError("; ".join(filter(None, reversed(said)))[:400])
    return unpacked


def _run(command: str, folder: Path) -> str:
    """Run a command in ``folder`` and return what it complains of, in English."""
    options = {"cwd": folder, "env": {**os.environ, "LC_ALL": "C"}, "timeout": APT_TIMEOUT}
    ended = subprocess.run(command.split(), **options, capture_output=True)
    return "; ".join(ended.stderr.decode(errors="replace").splitlines())


SOURCES = ("torchvision's mirror", from_mirror), (f"Debian's package {DEBIAN_PACKAGE}", from_debian)
