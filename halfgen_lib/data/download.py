"""Download Fashion-MNIST: torchvision's mirrors, then Debian's package, without root.

Each source is a function that fills a folder of the caller's and returns where in it the four files
lie. What it brings is not to be trusted: `fetch` verifies it before anything is kept.
"""

import hashlib
import http.client
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ..torchvision_compat import import_torchvision
from .idx import MAX_FILE_BYTES, DataError

Source = tuple[str, Callable[[Path], Path]]

MIRROR_TIMEOUT = 8  # seconds without an answer
FILE_TIMEOUT = 300  # seconds for one file of a mirror that answers, but slowly
APT_TIMEOUT = 240  # seconds for each of the two steps
DEBIAN_PACKAGE = "dataset-fashion-mnist"

# Private state, so that neither root nor fresh system lists are needed; the machine's own sources,
# keys and proxies in /etc/apt hold. Its clean-up hooks would touch the system's caches: cleared.
_APT_CONFIG = """
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "{folder}/state";
Dir::State::status "{status}";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
Acquire::Retries "1";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"""


def from_torchvision(folder: Path) -> Path:
    """Download from the mirrors that torchvision names, checking its MD5 sums.

    Not through its own `download=True`, which waits without a limit for a mirror that hangs.

    Raises:
        DataError: No mirror gave all four files; with each mirror's reason.
    """
    try:
        source = import_torchvision("torchvision.datasets").FashionMNIST
    except (ImportError, RuntimeError) as error:
        raise DataError(f"torchvision cannot be imported ({error})") from error
    reasons = []
    for mirror in source.mirrors:
        try:
            for name, md5 in source.resources:
                _download(mirror + name, folder / name, md5)
            return folder
        except (OSError, http.client.HTTPException, DataError) as error:
            reasons.append(f"{mirror}: {getattr(error, 'reason', None) or error}")
    raise DataError("; ".join(reasons))


def _download(url: str, path: Path, md5: str) -> None:
    """Save `url` as `path`, reading no more than the largest file can have."""
    content = bytearray()
    deadline = time.monotonic() + FILE_TIMEOUT
    with urllib.request.urlopen(url, timeout=MIRROR_TIMEOUT) as response:
        while len(content) < MAX_FILE_BYTES and (chunk := response.read1(1 << 20)):
            content += chunk
            if time.monotonic() > deadline:
                raise DataError(f"{url} took longer than {FILE_TIMEOUT} s")
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path.name} came with MD5 {found}, torchvision expects {md5}")
    path.write_bytes(content)


def from_debian(folder: Path) -> Path:
    """Download Debian's package and unpack it in `folder`; installs nothing, needs no root.

    Raises:
        DataError: No apt-get here, no network, or no such package in this machine's sources.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DataError(f"{tool} is not on this machine")
    folder = folder.resolve()
    for part in ("state/lists/partial", "cache/archives/partial", "unpacked"):
        (folder / part).mkdir(parents=True)
    config = folder / "apt.conf"
    status = folder / "status"
    status.touch()  # the machine's installed packages do not matter, and may be unreadable
    config.write_text(_APT_CONFIG.format(folder=folder, status=status))
    # One source of several that cannot be reached fails the update but may not matter: go on.
    update = _run(["apt-get", "-qq", "-c", str(config), "update"], folder)
    fetched = _run(["apt-get", "-qq", "-c", str(config), "download", DEBIAN_PACKAGE], folder)
    packages = sorted(folder.glob("*.deb"))
    if fetched.returncode or not packages:
        raise DataError(f"apt-get: {_complaint(fetched, update)}")
    unpacked = _run(["dpkg-deb", "-x", str(packages[0]), str(folder / "unpacked")], folder)
    if unpacked.returncode:
        raise DataError(f"dpkg-deb: {_complaint(unpacked)}")
    return folder / "unpacked/usr/share/datasets/fashion-mnist"


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command quietly in `folder`, in plain English and within `APT_TIMEOUT`."""
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=APT_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{command[0]} failed ({error})") from error


def _complaint(*processes: subprocess.CompletedProcess[str]) -> str:
    """Return what the processes complained of, one line, shortened."""
    lines = [line for process in processes for line in process.stderr.splitlines() if line.strip()]
    return "; ".join(lines[:3])[:400] or f"exit status {processes[0].returncode}"


SOURCES: tuple[Source, ...] = (
    ("torchvision's download", from_torchvision),
    (f"Debian's package {DEBIAN_PACKAGE}", from_debian),
)
