"""Where a result comes from: versions, commit, device, data."""

from __future__ import annotations

import ast
import hashlib
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from .models import MODELS

# Hashes of older code -> of the newer code that computes the same. The residual flow's temperature
# and stretch have no part in training: two epochs on the sample gave the same bytes with others.
# The autoencoder's convolutions on a CPU lay images side by side now, and add in another order:
# twenty steps in float64 give the same losses to ten digits, and nine published runs that were
# repeated err as before, to less than the standard deviation over seeds.
SAME_CODE = {
    "694cac91fe": "b4c1a8f2c9",
    "a08703bc74": "b4c1a8f2c9",
    "ccc1688b33": "b4c1a8f2c9",
    "8d75e17ed4": "b4c1a8f2c9",
    "7a891eb887": "5836b681a9",  # residual flow
}

PACKAGES = ("halfgen", "torch", "torchvision", "numpy", "scikit-learn", "torchmetrics")


def project_root() -> Path:
    """Return the checkout that holds this package, or else the working directory."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


def now() -> str:
    """Return the time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def device_name(device: torch.device) -> str:
    """Return what a person calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
    return device.type


def git_commit() -> str:
    """Return the checkout's commit, with ``+changes`` if files differ from it, or ``unknown``.

    What is published does not count: a study that writes it would taint all its later runs.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project_root()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        published = ("results", "weights", "published")
        files = (".", *(f":(exclude)report/{name}" for name in published))
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *files)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def code_hash(model: str) -> str:
    """Return 10 hexadecimal digits of the code that decides what a run of ``model`` computes.

    Docstrings and lines of comment do not count: no result depends on them.
    """
    package = Path(__file__).parent
    own = MODELS[model].partition(":")[0].rpartition(".")[2]
    files = _model_files(package / "models", own)
    files += [package / f"{name}.py" for name in ("training", "objectives", "data", "evaluation")]
    content = "".join(map(_statements, files))
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def is_current(recorded: str, model: str) -> bool:
    """Tell whether code that was recorded by its hash computes what the present code does."""
    return SAME_CODE.get(recorded, recorded) == code_hash(model)


def _model_files(folder: Path, own: str) -> list[Path]:
    """Return the file of a model and those beside it that it imports, directly or not."""
    found, waiting = [], [own]
    while waiting:
        file = folder / f"{waiting.pop(0)}.py"
        if file in found or not file.exists():  # a model may live outside the package
            continue
        found.append(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                waiting += [node.module] if node.module else [name.name for name in node.names]
    return sorted(found)


def _statements(file: Path) -> str:
    """Return a module's source without docstrings, comment lines and blank lines.

    Text and not a syntax tree, whose form changes from one Python to the next.
    """
    text = file.read_text(encoding="utf-8")
    lines = dict(enumerate(text.splitlines(), 1))
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            for number in range(first.lineno, first.end_lineno + 1):
                lines.pop(number, None)
    kept = (line.rstrip() for line in lines.values())
    return "\n".join(line for line in kept if line and not line.lstrip().startswith("#"))


def command_line() -> str:
    """Return the command that runs, without its program's folder, at most 1,000 characters."""
    program = Path(sys.argv[0])
    name = program.name
    if name == "__main__.py":
        name = f"python -m {program.parent.name}"
    return " ".join([name, *sys.argv[1:]])[:1000]


def provenance(device: torch.device, data_sha256: dict[str, str]) -> dict[str, Any]:
    """Return what a result's record says besides its settings."""
    return {
        "created": now(),
        "command": command_line(),
        "git_commit": git_commit(),
        "device": device_name(device),
        "platform": platform.platform(),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "data_sha256": data_sha256,
    }
