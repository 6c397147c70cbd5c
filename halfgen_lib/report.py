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
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.metadata import requires, version
from pathlib import Path

from . import extra
from .config import TRAIN_IMAGES, RunConfig
from .files import environment, project_root, write_atomic
from .progress import steps
from .runs import CURRENT, current_run_id, default_runs_dir
from .runs.provenance import choose_device
from .runs.record import results_path

# what the report shows is drawn by these; the explorer, 08, only moves
NOTEBOOKS = (
    "01_data_exploration",
    "02_train",
    "03_reconstruction_grid",
    "04_loss_curves",
    "05_baselines",
    "06_variants",
    "07_generative",
    "09_claims",
)
TRAINING = "02_train"
EXAMPLE = Path(__file__).parent / "example"  # what a report of one's own begins with
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
        own = environment() | {"PYTHONUNBUFFERED": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        result = subprocess.run(command, env=own, stderr=subprocess.PIPE, text=True)
        if result.returncode:
            sys.stderr.write(result.stderr)
            raise PipelineError(f"{source.name} failed (papermill's exit code {result.returncode})")


def export(notebook: Path, kind: str, target: Path) -> None:
    """Render an executed notebook as ``"html"`` or ``"pdf"``.

    One that the exporter refuses, for a dangling reference, say, is a PipelineError.
    """
    with _replacing(target) as unfinished:
        command = [sys.executable, "-m", "nbconvert", "--to", FORMATS[kind]]
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
    papermill's, for the training notebook; the others show the run it chose. Wrong ones are an
    error before anything is touched. ``root`` is the checkout, by default this package's; results
    go to ``build``, by default its ``report/build``.
    """
    root = root or project_root()
    build = build or root / "report" / "build"
    text, paper = root / "report" / "report.ipynb", build / "report.ipynb"
    if not text.is_file():
        raise PipelineError(f"{root} holds no report/report.ipynb: run this in a checkout")
    notebooks = [root / "notebooks" / f"{name}.ipynb" for name in NOTEBOOKS]
    config = checked(root / "notebooks" / f"{TRAINING}.ipynb", arguments)
    shown = ["-p", "data", config.data, "-p", "given", config.given]
    own = {NOTEBOOKS[0]: shown, TRAINING: arguments}
    jobs = [(path, build / "notebooks" / path.name, own.get(path.stem, [])) for path in notebooks]
    jobs += [(text, paper, [])]
    jobs += [(paper, build / f"halfgen-report.{kind}", [kind]) for kind in FORMATS]
    work, bibliography = {}, root / "report" / "references.bib"
    for source, target, given in jobs:
        set_aside(target)  # all of it: what follows a step that fails is of an earlier call, too
        work[target.name] = partial(_step, source, target, given, bibliography, notebooks)
    dict(steps(work))
    return [target for source, target, _ in jobs if source == paper]


def checked(source: Path, arguments: list[str]) -> RunConfig:
    """Return the settings that papermill's arguments give the training notebook; runs nothing.

    Whatever the arguments, a parameter or its value have wrong is a PipelineError or a ValueError.
    """
    from papermill.cli import papermill

    from .paper import read_parameters

    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch, source.name)
        silent = ["--prepare-only", "--no-progress-bar", "--log-level", "ERROR"]
        try:
            papermill([str(source), str(prepared), *silent, *arguments], standalone_mode=False)
            cells = json.loads(prepared.read_bytes())["cells"]
        except Exception as error:  # click's, YAML's and papermill's own have no common base
            why = " ".join(getattr(error, "message", str(error)).split())
            raise PipelineError(f"papermill cannot take {' '.join(arguments)}: {why}") from None
    tags = {"parameters", "injected-parameters"}
    ran = ["".join(c["source"]) for c in cells if tags & {*c["metadata"].get("tags", ())}]
    config = read_parameters(RunConfig, {"In": [*ran, "read_parameters("]}).with_variant()
    choose_device(config.device)
    if config.train_size > (most := TRAIN_IMAGES[config.data, config.split]):
        where = f"at most {most} on the {config.data} data with split {config.split!r}"
        raise PipelineError(f"train_size = {config.train_size}: there are {where}")
    return config


def _step(
    source: Path,
    target: Path,
    arguments: list[str],
    bibliography: Path,
    notebooks: list[Path],
) -> None:
    """Run or export a notebook unless the result would come out again.

    A paper cites the bibliography and embeds what the notebooks show, which their inputs decide.
    """
    is_paper = target.suffix != source.suffix
    more = [bibliography, *notebooks] if is_paper else []
    mark = fingerprint(source, arguments, [*more, *_inputs()])
    if source.stem != TRAINING and take_back(target, mark):  # 02 chooses the run: always
        print(f"{target.name} is up to date", flush=True)
        return
    print(f"making {target.name}", flush=True)
    if is_paper:
        shutil.copy(bibliography, source.parent)
        export(source, *arguments, target)
    else:
        run_notebook(source, target, arguments)
    set_current(target, mark)


def make_paper(notebook: Path) -> list[Path]:
    """Run a notebook of one's own and render it beside itself; return the HTML and the PDF.

    The executed notebook is kept as ``<name>.executed.ipynb``. A PipelineError says what fails.
    """
    notebook = notebook.expanduser().absolute()
    if not notebook.is_file() or notebook.suffix != ".ipynb":
        raise PipelineError(f"{notebook} is no notebook: name a file that ends in .ipynb")
    executed = notebook.with_suffix(".executed.ipynb")
    documents = {kind: notebook.with_suffix(f".{kind}") for kind in FORMATS}
    work = {executed.name: partial(run_notebook, notebook, executed, [])}
    work |= {target.name: partial(export, executed, k, target) for k, target in documents.items()}
    dict(steps(work))
    return list(documents.values())


def new_report(folder: Path) -> list[Path]:
    """Write a small report and what belongs to it; FileExistsError if a file of it is there."""
    pairs = [(file, folder / file.name) for file in sorted(EXAMPLE.iterdir())]
    for _, target in pairs:
        if target.exists():
            raise FileExistsError(
                f"{target} is there already and stays as it is: name a new folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(*pair)) for pair in pairs]


def _inputs() -> list[Path]:
    """Return the files by which a notebook's inputs are known: the chosen run's and the results."""
    runs = default_runs_dir()
    pointer = runs / f"{CURRENT}.json"
    run = runs / current_run_id(runs) if pointer.exists() else runs
    chosen = [run / name for name in ("config.json", "history.csv", "metrics.json", "status.json")]
    return [pointer, *chosen, *sorted(results_path("any").parent.glob("*.json"))]
