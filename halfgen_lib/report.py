"""Run the notebooks headless and make the report of what they found.

A step's result takes its place only when it is whole; the result before it is set aside until then,
and one that was made from just the same is taken back.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import requires, version
from pathlib import Path

from . import extra
from .files import project_root, write_atomic
from .runs import CURRENT, current_run_id, default_runs_dir
from .runs.record import results_path

# the core experiment; the longer studies show published results
NOTEBOOKS = ("01_data_exploration", "02_train", "03_reconstruction_grid", "04_loss_curves")
TRAINING = "02_train"
FORMATS = {"html": "halfgen-html", "pdf": "halfgen-pdf"}


class PipelineError(RuntimeError):
    """A step of the pipeline failed; nothing after it was done."""


def run_notebook(source: Path, target: Path, arguments: list[str]) -> None:
    """Run a notebook with papermill, show what it prints, and put the result at ``target``.

    It takes its place only when every cell has run: papermill itself would leave a half-run
    notebook there whose metadata says "completed", or an empty file. The notebook runs in its own
    folder; ``arguments`` are papermill's, such as ``["-p", "epochs", "3"]``. Where it fails, a
    PipelineError says what is left and where.
    """
    with _replacing(target) as unfinished:
        command = [sys.executable, "-m", "papermill", str(source), str(unfinished)]
        command += ["--cwd", str(source.parent), "--no-progress-bar", "--log-level", "ERROR"]
        command += ["--stdout-file", "-", *arguments]
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        result = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
        if result.returncode:
            sys.stderr.write(result.stderr)
            raise PipelineError(f"{source.name} failed (papermill's exit code {result.returncode})")


def export(notebook: Path, kind: str, target: Path) -> None:
    """Render an executed notebook as ``"html"`` or ``"pdf"``.

    One that the exporter refuses, for a dangling reference, say, is a PipelineError.
    """
    with _replacing(target) as unfinished:
        command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", FORMATS[kind]]
        command += ["--log-level", "ERROR", "--output-dir", str(target.parent)]
        command += ["--output", unfinished.stem, str(notebook)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode or not unfinished.is_file():
            raise PipelineError(f"{target.name} could not be made:\n{result.stderr[-3000:]}")


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give a place to make a result at; it takes that of ``target`` when the block has ended well.

    A PipelineError of the block is told what the block has left and what was kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    earlier = set_aside(target)
    unfinished = target.with_name(f".{target.stem}.unfinished{target.suffix}")
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
    except BaseException as error:  # we may be stopped, and papermill killed as it was writing
        _drop_if_cut_off(unfinished)
        if not isinstance(error, PipelineError):
            raise
        came = f"; how far it came is in {unfinished}" if unfinished.is_file() else ""
        kept = f"; the result before it was kept as {earlier}" if earlier.is_file() else ""
        raise PipelineError(f"{error}{came}{kept}") from None
    os.replace(unfinished, target)
    earlier.unlink(missing_ok=True)


def set_aside(target: Path) -> Path:
    """Move an earlier result from ``target`` to ``<stem>.earlier<suffix>``; return that path.

    However a step then ends, by kill -9 even, the earlier result is not lost, and nothing made
    with other parameters or code lies where a reader expects the new one.
    """
    earlier = target.with_name(f"{target.stem}.earlier{target.suffix}")
    with contextlib.suppress(FileNotFoundError):
        os.replace(target, earlier)
    return earlier


def _drop_if_cut_off(unfinished: Path) -> None:
    """Remove what is no whole notebook: its writing ended midway, and it says nothing."""
    try:
        json.loads(unfinished.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        unfinished.unlink(missing_ok=True)


def fingerprint(source: Path, arguments: list[str], inputs: Iterable[Path]) -> str:
    """Return a hash of all that a step's result depends on.

    That is the notebook, papermill's arguments, the files that it reads, the library, and the
    versions of the libraries that notebooks and paper need; what else is installed has no part.
    """
    library = sorted(f for f in Path(__file__).parent.rglob("*") if f.suffix not in ("", ".pyc"))
    others = re.compile(r"extra == .(explore|study|test)\b")
    asked = (line for line in requires("halfgen") if not others.search(line))
    needed = {re.match(r"[\w.-]+", line)[0] for line in asked}
    packages = sorted(f"{name} {version(name)}" for name in needed)
    digest = hashlib.sha256("\n".join([sys.version, *packages, *arguments]).encode())
    for file in (source, *library, *inputs):
        digest.update(file.name.encode() + (file.read_bytes() if file.is_file() else b""))
    return digest.hexdigest()


def take_back(target: Path, mark: str) -> bool:
    """Put what was set aside back if it was made from just this, and is whole; tell whether.

    A file that came there in another way, from a plain papermill that was killed, say, is not.
    """
    earlier, stamp = set_aside(target), _stamp(target)
    if not earlier.is_file() or not stamp.is_file():
        return False
    remembered = stamp.read_text()
    if remembered == mark + _sha256(earlier):
        os.replace(earlier, target)
        return True
    if remembered.startswith(mark):
        print(f"      {target.name} was changed since it was made here: not used", flush=True)
    return False


def set_current(target: Path, mark: str) -> None:
    """Remember what ``target`` was made from, and its content."""
    write_atomic(_stamp(target), (mark + _sha256(target)).encode())


def _stamp(target: Path) -> Path:
    return target.with_name(f".{target.name}.stamp")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@extra("notebooks", "papermill", "matplotlib", "sklearn")
@extra("paper", "nbconvert", "pypandoc", "typst")
def make_report(
    arguments: list[str], root: Path | None = None, build: Path | None = None
) -> list[Path]:
    """Run all notebooks and the report on one run; return the rendered files.

    What an earlier call has made and this one would make again is kept; the rest of it is set
    aside, and stays so where a step fails, which is a PipelineError. The ``arguments`` are
    papermill's, for the training notebook; the others show the run it chose. ``root`` is the
    checkout, by default this package's; results go to ``build``, by default its ``report/build``.
    """
    root = root or project_root()
    build = build or root / "report" / "build"
    text, paper = root / "report" / "report.ipynb", build / "report.ipynb"
    if not text.is_file():
        raise PipelineError(f"{root} holds no report/report.ipynb: run this in a checkout")
    notebooks = [root / "notebooks" / f"{name}.ipynb" for name in NOTEBOOKS]
    steps = {path: build / "notebooks" / path.name for path in notebooks} | {text: paper}
    documents = {kind: build / f"halfgen-report.{kind}" for kind in FORMATS}
    for target in (*steps.values(), *documents.values()):
        set_aside(target)  # all of it: what follows a step that fails is of an earlier call, too
    for number, (source, target) in enumerate(steps.items(), 1):
        start = time.perf_counter()
        print(f"[{number}/{len(steps)}] {source.relative_to(root)}", flush=True)
        given = arguments if source.stem == TRAINING else data_arguments(source, arguments)
        done = _step(source, target, given, _inputs())
        print(f"      {done} ({time.perf_counter() - start:.0f} s)", flush=True)
    bibliography = Path(shutil.copy(root / "report" / "references.bib", build))
    for kind, target in documents.items():
        _step(paper, target, [kind], [bibliography])
    return list(documents.values())


def _step(source: Path, target: Path, arguments: list[str], inputs: list[Path]) -> str:
    """Run or export a notebook unless the result would come out again; say which it was."""
    mark = fingerprint(source, arguments, inputs)
    if source.stem != TRAINING and take_back(target, mark):  # 02 chooses the run: always
        return "up to date"
    if target.suffix == source.suffix:
        run_notebook(source, target, arguments)
    else:
        export(source, *arguments, target)
    set_current(target, mark)
    return "done"


def _inputs() -> list[Path]:
    """Return the files by which a notebook's inputs are known: the chosen run's and the results."""
    runs = default_runs_dir()
    pointer = runs / f"{CURRENT}.json"
    run = runs / current_run_id(runs) if pointer.exists() else runs
    chosen = [run / name for name in ("config.json", "history.csv", "metrics.json", "status.json")]
    return [pointer, *chosen, *sorted(results_path("any").parent.glob("*.json"))]


def data_arguments(source: Path, arguments: list[str]) -> list[str]:
    """Return those of the training notebook's arguments that the data notebook takes too."""
    if source.stem != NOTEBOOKS[0]:
        return []
    triples = zip(arguments, arguments[1:], arguments[2:], strict=False)
    flags, names = ("-p", "-r", "--parameters"), ("data", "given")
    return [
        word for triple in triples if triple[0] in flags and triple[1] in names for word in triple
    ]
