"""Run the notebooks headless and make the report of what they found."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from .provenance import project_root
from .results import results_path
from .runs import CURRENT, default_runs_dir, read_json

# the core experiment; the longer studies show published results
NOTEBOOKS = ("01_data_exploration", "02_train", "03_reconstruction_grid", "04_loss_curves")
TRAINING = "02_train"
FORMATS = {"html": "halfgen-html", "pdf": "halfgen-pdf"}


class PipelineError(RuntimeError):
    """A step of the pipeline failed; nothing after it was done."""


def run_notebook(source: Path, target: Path, arguments: list[str]) -> None:
    """Run a notebook with papermill, show what it prints, and put the result at ``target``.

    The result takes its place only when every cell has run: papermill itself would leave a
    half-run notebook there whose metadata says "completed".

    Args:
        source: the notebook; it runs in its own folder.
        target: where the executed copy goes.
        arguments: papermill's own, such as ``["-p", "epochs", "3"]``.

    Raises:
        PipelineError: if papermill fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.stem}.unfinished.ipynb")
    command = [sys.executable, "-m", "papermill", str(source), str(unfinished)]
    command += ["--cwd", str(source.parent), "--no-progress-bar", "--log-level", "ERROR"]
    command += ["--stdout-file", "-", *arguments]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    result = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
    if result.returncode:
        target.unlink(missing_ok=True)  # what lies there belongs to other parameters or code
        sys.stderr.write(result.stderr)
        raise PipelineError(
            f"{source.name} failed (papermill's exit code {result.returncode}); "
            f"how far it came is in {unfinished}"
        )
    os.replace(unfinished, target)


def fingerprint(source: Path, arguments: list[str], inputs: Iterable[Path]) -> str:
    """Return a hash of all that a step's result depends on.

    Args:
        source: the notebook.
        arguments: papermill's.
        inputs: files that it reads, besides the library's own.
    """
    library = sorted(f for f in Path(__file__).parent.rglob("*") if f.suffix not in ("", ".pyc"))
    packages = sorted(f"{d.name} {d.version}" for d in distributions())
    digest = hashlib.sha256("\n".join([sys.version, *packages, *arguments]).encode())
    for file in (source, *library, *inputs):
        digest.update(file.name.encode() + (file.read_bytes() if file.is_file() else b""))
    return digest.hexdigest()


def is_current(target: Path, mark: str) -> bool:
    """Tell whether ``target`` was made from just this; :func:`set_current` remembers it."""
    stamp = target.with_name(f".{target.name}.stamp")
    return target.is_file() and stamp.is_file() and stamp.read_text() == mark


def set_current(target: Path, mark: str) -> None:
    """Remember what ``target`` was made from."""
    target.with_name(f".{target.name}.stamp").write_text(mark)


def export(notebook: Path, kind: str, target: Path) -> None:
    """Render an executed notebook.

    Args:
        notebook: the executed notebook.
        kind: ``"html"`` or ``"pdf"``.
        target: the file to write.

    Raises:
        PipelineError: if the exporter refuses the notebook: a dangling reference, say.
    """
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", FORMATS[kind]]
    command += ["--log-level", "ERROR", "--output-dir", str(target.parent)]
    command += ["--output", target.stem, str(notebook)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode or not target.is_file():
        raise PipelineError(f"{target.name} could not be made:\n{result.stderr[-3000:]}")


def make_report(
    arguments: list[str], root: Path | None = None, build: Path | None = None
) -> list[Path]:
    """Run all notebooks and the report on one run; return the rendered files.

    Args:
        arguments: papermill's, for the training notebook; the others show the run it chose.
        root: the checkout; by default the one this package is in.
        build: where executed notebooks and rendered files go; ``report/build`` if not given.

    Raises:
        PipelineError: if there is no checkout or a step fails.
    """
    root = root or project_root()
    if not (root / "report" / "report.ipynb").is_file():
        raise PipelineError(f"{root} holds no report/report.ipynb: run this in a checkout")
    build = build or root / "report" / "build"
    steps = [(root / "notebooks" / f"{name}.ipynb", build / "notebooks") for name in NOTEBOOKS]
    steps.append((root / "report" / "report.ipynb", build))
    for number, (source, folder) in enumerate(steps, 1):
        start, target = time.perf_counter(), folder / source.name
        print(f"[{number}/{len(steps)}] {source.relative_to(root)}", flush=True)
        given = arguments if source.stem == TRAINING else data_arguments(source, arguments)
        mark = fingerprint(source, given, _inputs())
        if source.stem != TRAINING and is_current(target, mark):  # 02 chooses the run: always
            print("      up to date", flush=True)
            continue
        run_notebook(source, target, given)
        set_current(target, mark)
        print(f"      {time.perf_counter() - start:.0f} s", flush=True)
    bibliography = shutil.copy(root / "report" / "references.bib", build)
    targets = [build / f"halfgen-report.{kind}" for kind in FORMATS]
    for kind, target in zip(FORMATS, targets, strict=True):
        mark = fingerprint(build / "report.ipynb", [kind], [Path(bibliography)])
        if not is_current(target, mark):
            export(build / "report.ipynb", kind, target)
            set_current(target, mark)
    return targets


def _inputs() -> list[Path]:
    """Return the files by which a notebook's inputs are known: the chosen run's and the results."""
    runs = default_runs_dir()
    pointer = runs / f"{CURRENT}.json"
    run = runs / read_json(pointer)["run_id"] if pointer.exists() else runs
    chosen = [run / name for name in ("config.json", "history.csv", "metrics.json", "status.json")]
    return [pointer, *chosen, *sorted(results_path("any").parent.glob("*.json"))]


def data_arguments(source: Path, arguments: list[str]) -> list[str]:
    """Return those of the training notebook's arguments that the data notebook takes too."""
    if source.stem != "01_data_exploration":
        return []
    found = []
    for i, flag in enumerate(arguments[:-2]):
        if flag in ("-p", "-r", "--parameters") and arguments[i + 1] in ("data", "given"):
            found += arguments[i : i + 3]
    return found
