"""Where a result comes from: versions, commit, device, data."""

import platform
import subprocess
import sys
import timeit
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import torch

from ..files import project_root

PACKAGES = ("halfgen", "torch", "torchvision", "numpy", "scikit-learn", "torchmetrics")


def now() -> str:
    """Return the time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def choose_device(name: str = "auto") -> torch.device:
    """Return the device, or a GPU if there is one for ``auto``; ValueError if it is not there."""
    backends = {"cuda": torch.cuda, "mps": torch.backends.mps, "cpu": torch.cpu}
    kinds = [kind for kind, backend in backends.items() if backend.is_available()]
    if name not in ("auto", *kinds):
        raise ValueError(f"device {name!r} is not there; this machine has: {', '.join(kinds)}")
    return torch.device(kinds[0] if name == "auto" else name)


def device_name(device: torch.device) -> str:
    """Return what a person calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    cpu = f"CPU ({platform.machine()}, {threads} thread{'s' * (threads > 1)})"
    return cpu if device.type == "cpu" else device.type


def bfloat16_pays(device: torch.device) -> bool:
    """Tell whether a matrix product in bfloat16 is the faster one, by some milliseconds of both.

    A CPU without such instructions takes many times as long for it as in float32.
    """

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(256, 256, dtype=dtype, device=device)
        # item() waits for the device
        return min(timeit.repeat(lambda: (matrix @ matrix)[0, 0].item(), number=1, repeat=3))

    return seconds(torch.bfloat16) < seconds(torch.float32)


def git_commit() -> str:
    """Return the checkout's commit, with ``+changes`` if files differ from it, or ``unknown``.

    What is published does not count: a study that writes it would taint all its later runs.
    """

    def git(command: str) -> str:
        options = {"cwd": project_root(), "capture_output": True, "text": True, "check": True}
        return subprocess.run(["git", *command.split()], **options).stdout.strip()

    published = (f":(exclude)report/{name}" for name in ("results", "networks", "published"))
    try:
        changed = git(f"status --porcelain --untracked-files=no -- . {' '.join(published)}")
        return git("rev-parse HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def command_line() -> str:
    """Return the command that runs, without its program's folder, at most 1,000 characters."""
    program = Path(sys.argv[0])
    name = program.name.replace("__main__.py", f"python -m {program.parent.name}")
    return " ".join([name, *sys.argv[1:]])[:1000]


def provenance(device: torch.device, data_sha256: dict[str, str]) -> dict[str, Any]:
    """Return what a result's record says besides its settings."""
    versions = {p: version(p) for p in PACKAGES if any(distributions(name=p))}  # some are extras'
    return {
        "created": now(),
        "command": command_line(),
        "git_commit": git_commit(),
        "device": device_name(device),
        "platform": platform.platform(),
        "versions": {"python": platform.python_version()} | versions,
        "data_sha256": data_sha256,
    }
