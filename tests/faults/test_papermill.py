"""What papermill leaves when things go wrong is refused with a reason; the good result is kept."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from halfgen_lib import pipeline
from halfgen_lib.export import PaperHTMLExporter, PaperPDFExporter
from halfgen_lib.paper import PaperError
from halfgen_lib.pipeline import PipelineError
from halfgen_lib.provenance import project_root
from halfgen_lib.runs import Run, RunError, find_run

SUBJECT = "papermill and make report"
TINY = [
    "-y",
    "model_settings: {features: [4], hidden_dim: 8, latent_dim: 2}",
    "-p",
    "device",
    "cpu",
]
GOOD = ["-p", "data", "sample", "-p", "epochs", "1", *TINY]
LONG = ["-p", "data", "sample", "-p", "epochs", "10000", *TINY]  # nobody waits for its end


def write_notebook(path, *cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, cells)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def contents(folder):
    """Every file below a folder that is not about how it was made, by its name."""
    files = [f for f in folder.rglob("*") if f.is_file() and not f.name.startswith(".")]
    return {file.name: file.read_bytes() for file in files}


def check_folder(build, good, made_again=()):
    """Each good file is there byte for byte, but not in the place of what was to be made."""
    found = contents(build)
    for name, content in good.items():
        stem, _, suffix = name.rpartition(".")
        if name not in made_again:
            assert found[f"{stem}.earlier.{suffix}"] == content
            assert name not in found
    assert all(found.values())  # no empty file
    assert not [f for f in build.rglob("*.ipynb") if not f.stat().st_size]


def check_that_no_paper_is_made_of(notebook):
    """Both exporters refuse it with the reason, though its metadata says that all is well."""
    cells = [c for c in nbformat.read(notebook, 4).cells if "papermill" in c.metadata]
    assert {c.metadata.papermill.status for c in cells if c.cell_type == "code"} == {"completed"}
    for exporter in (PaperHTMLExporter(), PaperPDFExporter()):
        with pytest.raises(PaperError, match=r"was cut off|has not run|KeyboardInterrupt"):
            exporter.from_filename(str(notebook))


# ---- one notebook

KILLED = "import os\nos.kill(os.getpid(), 9)"
SLOW = "import time\ntime.sleep(600)"
ALONE = {
    "a killed kernel": ([KILLED, "b = 2"], [], "exit code 138"),
    "a killed kernel in the last cell": ([KILLED], [], "exit code 138"),
    "a time-out": ([SLOW, "b = 2"], ["--execution-timeout", "1"], "exit code 1"),
    "a time-out in the last cell": ([SLOW], ["--execution-timeout", "1"], "exit code 1"),
    "an unknown kernel": (["b = 2"], ["-k", "nosuch"], "exit code 1"),
    "an error": (["1 / 0", "b = 2"], [], "exit code 1"),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_notebook_that_fails_leaves_the_good_one(name, tmp_path, capfd, fault):
    cells, arguments, message = ALONE[name]
    source = write_notebook(tmp_path / "in" / "n.ipynb", "a = 1", *cells)
    target = tmp_path / "build" / "n.ipynb"
    target.parent.mkdir()
    target.write_text("the good one")
    with fault(SUBJECT):
        with pytest.raises(PipelineError, match=message) as caught:
            pipeline.run_notebook(source, target, arguments)
        earlier, left = tmp_path / "build/n.earlier.ipynb", tmp_path / "build/.n.unfinished.ipynb"
        assert str(earlier) in str(caught.value) and str(left) in str(caught.value)
        assert capfd.readouterr().err  # papermill's own words
        check_folder(target.parent, {"n.ipynb": b"the good one"})
        if name == "an error":
            with pytest.raises(PaperError, match="ended with ZeroDivisionError"):
                PaperHTMLExporter().from_filename(str(left))
        else:
            check_that_no_paper_is_made_of(left)
        with pytest.raises(PipelineError):  # a second failure does not cost what the first kept
            pipeline.run_notebook(source, target, ["-k", "nosuch"])
        check_folder(target.parent, {"n.ipynb": b"the good one"})


# ---- make report, on a small checkout


def command(root, arguments):
    code = (
        "import sys; from pathlib import Path; from halfgen_lib import cli, pipeline\n"
        "pipeline.project_root = lambda: Path(sys.argv[1])\n"
        "sys.exit(cli.main(['report', *sys.argv[2:]]))"
    )
    return [sys.executable, "-c", code, str(root), *arguments]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with the real training notebook, reported on once; everything else is short."""
    root = tmp_path_factory.mktemp("checkout")
    for name in pipeline.NOTEBOOKS:
        write_notebook(root / "notebooks" / f"{name}.ipynb", "a = 1")
    training = f"{pipeline.TRAINING}.ipynb"
    shutil.copy(project_root() / "notebooks" / training, root / "notebooks" / training)
    show = "from halfgen_lib.runs import find_run\nfind_run().run_id"
    write_notebook(root / "report" / "report.ipynb", show)
    (root / "report" / "references.bib").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALFGEN_RUNS", str(root / "runs"))
        pipeline.make_report(GOOD, root=root)
        return root, contents(root / "report" / "build"), find_run()


@pytest.fixture
def report(checkout, monkeypatch):
    """The checkout, its good report and its good run, with nothing else in it."""
    root, _, chosen = checkout
    monkeypatch.setenv("HALFGEN_RUNS", str(root / "runs"))
    yield checkout
    for directory in (root / "runs").glob("cae-*"):
        if directory != chosen.directory:
            shutil.rmtree(directory)


def wait_for(condition, seconds=180):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("it does not happen")


def training_process(root, chosen):
    """Return the pid of the kernel that trains, as soon as it has saved an epoch."""
    for directory in (root / "runs").glob("cae-*"):
        status = Run(directory).status
        if directory != chosen.directory and status["state"] == "running" and status["epoch"]:
            return status["pid"]
    return None


def check_report(root, good, chosen):
    """After a failure the earlier report is kept, and nothing passes for the new one."""
    check_folder(root / "report" / "build", good, {"01_data_exploration.ipynb", "references.bib"})
    assert find_run() == chosen  # what the notebooks show is what was finished
    for directory in (root / "runs").glob("cae-*"):
        if directory != chosen.directory:
            with pytest.raises(RunError, match="not finished"):
                find_run(directory.name)


def test_a_kernel_killed_in_training(report, fault):
    root, good, chosen = report
    kill = lambda: os.kill(wait_for(lambda: training_process(root, chosen)), signal.SIGKILL)  # noqa: E731
    with fault(SUBJECT):
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(PipelineError, match=r"02_train\.ipynb failed .*exit code 138"):
            pipeline.make_report(LONG, root=root)
        killer.join()
        check_report(root, good, chosen)
        check_that_no_paper_is_made_of(root / "report/build/notebooks/.02_train.unfinished.ipynb")


FAILURES = {
    "a time-out": [*LONG, "--execution-timeout", "10"],
    "an unknown kernel": [*LONG, "-k", "nosuch"],
    "a bad parameter": [*LONG, "-p", "epoch", "3"],
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_report_that_fails(name, report, fault):
    root, good, chosen = report
    with fault(SUBJECT):
        with pytest.raises(PipelineError, match=r"02_train\.ipynb failed .*exit code 1.*kept as"):
            pipeline.make_report(FAILURES[name], root=root)
        check_report(root, good, chosen)


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_a_report_that_is_stopped(kind, report, fault):
    """Ctrl-C reaches every process of the terminal; a kill, the one that it names."""
    root, good, chosen = report
    with fault(SUBJECT):
        call = subprocess.Popen(
            command(root, LONG), start_new_session=True, stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: training_process(root, chosen))
        (os.killpg if kind == "SIGINT" else os.kill)(call.pid, signal.Signals[kind])
        call.communicate(timeout=60)
        assert call.returncode == 128 + signal.Signals[kind]
        check_report(root, good, chosen)
        run = next(Run(d) for d in (root / "runs").glob("cae-*") if d != chosen.directory)
        wait_for(lambda: is_free(run))  # nobody goes on training


def is_free(run):
    try:
        with run.locked():
            return True
    except RunError:
        return False


@contextmanager
def full_disk(folder):
    """Make a folder a disk of 8 MB with what it holds; yield a function that fills it."""
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder]).returncode:
        shutil.rmtree(kept)
        pytest.skip("mounting a small disk needs root")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield lambda: fill(folder / ".filler")
    finally:
        subprocess.run(["umount", folder], check=True)
        shutil.rmtree(kept)


def fill(path):
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_a_full_disk(report, fault):
    root, good, chosen = report
    build = root / "report" / "build"
    with full_disk(build) as use_up, fault(SUBJECT):
        use_up()
        with pytest.raises(PipelineError, match=r"01_data\S* failed .*exit code 1|02_train"):
            pipeline.make_report(GOOD, root=root)
        check_report(root, good, chosen)
        for kind in pipeline.FORMATS:
            name = f"halfgen-report.{kind}"
            notebook = build / "report.earlier.ipynb"
            with pytest.raises(PipelineError, match=f"{name} could not be made"):
                pipeline.export(notebook, kind, build / name)
        check_report(root, good, chosen)


def test_a_disk_that_takes_no_more_of_a_file(tmp_path, fault):
    """The system itself cuts the write short; this needs no root."""
    source = write_notebook(tmp_path / "in" / "n.ipynb", "'x' * 100_000")
    target = tmp_path / "build" / "n.ipynb"
    target.parent.mkdir()
    target.write_text("the good one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with fault(SUBJECT):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            with pytest.raises(PipelineError, match="exit code 1"):
                pipeline.run_notebook(source, target, [])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        check_folder(target.parent, {"n.ipynb": b"the good one"})


def test_what_a_killed_papermill_left_is_not_taken_for_the_report(report, capfd, fault):
    """A plain papermill over the good notebook, its kernel killed in the last cell."""
    root, good, _ = report
    pipeline.make_report(GOOD, root=root)
    assert contents(root / "report/build").keys() == good.keys()
    place = root / "report/build/notebooks/03_reconstruction_grid.ipynb"
    assert place.read_bytes() == good[place.name]  # taken back, after all those failures
    bad = write_notebook(root / "bad.ipynb", KILLED)
    with fault(SUBJECT):
        plain = [sys.executable, "-m", "papermill", str(bad), str(place), "--no-progress-bar"]
        assert subprocess.run(plain, capture_output=True).returncode == 138
        check_that_no_paper_is_made_of(place)
        capfd.readouterr()
        pipeline.make_report(GOOD, root=root)
        said = capfd.readouterr().out
        assert f"{place.name} was changed since it was made here: not used" in said
        assert KILLED not in json.dumps(nbformat.read(place, 4))
        assert all(c.execution_count for c in nbformat.read(place, 4).cells if "outputs" in c)
        assert contents(root / "report/build")["halfgen-report.pdf"] == good["halfgen-report.pdf"]
