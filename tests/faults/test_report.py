"""``make report`` when a step fails, is killed or stopped: a small checkout, with real training."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest

from halfgen_lib import report as pipeline
from halfgen_lib.files import project_root
from halfgen_lib.paper.parameters import ParameterError
from halfgen_lib.report import PipelineError
from halfgen_lib.runs import Run, RunError, find_run
from notebooks import (
    KILLED,
    SUBJECT,
    check_folder,
    check_that_no_paper_is_made_of,
    contents,
    write_notebook,
)

TINY = [
    "-y",
    "model_settings: {features: [4], hidden_dim: 8, latent_dim: 2}",
    "-p",
    "device",
    "cpu",
]
GOOD = ["-p", "data", "sample", "-p", "epochs", "1", *TINY]
LONG = ["-p", "data", "sample", "-p", "epochs", "10000", *TINY, "--execution-timeout", "600"]


def command(root, arguments):
    code = (
        "import sys; from pathlib import Path; from halfgen_lib import cli, report as pipeline\n"
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
    (root / "report" / "references.bib").write_text("% nothing is cited\n")
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


def wait_for(condition, seconds=500):
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

    def kill_the_kernel():
        os.kill(wait_for(lambda: training_process(root, chosen)), signal.SIGKILL)

    with fault(SUBJECT):
        killer = threading.Thread(target=kill_the_kernel)
        killer.start()
        with pytest.raises(PipelineError, match=r"02_train\.ipynb failed .*exit code 138"):
            pipeline.make_report(LONG, root=root)
        killer.join()
        check_report(root, good, chosen)
        check_that_no_paper_is_made_of(root / "report/build/notebooks/.02_train.unfinished.ipynb")


FAILURES = {
    "a time-out": [*LONG, "--execution-timeout", "10"],
    "an unknown kernel": [*LONG, "-k", "nosuch"],
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_report_that_fails(name, report, fault):
    root, good, chosen = report
    with fault(SUBJECT):
        with pytest.raises(PipelineError, match=r"02_train\.ipynb failed .*exit code 1.*kept as"):
            pipeline.make_report(FAILURES[name], root=root)
        check_report(root, good, chosen)


def test_a_report_of_a_bad_parameter(report, tmp_path, fault):
    """Nothing is touched: what was made keeps its names. In a copy, as it makes a report anew."""
    good, root = report[1], shutil.copytree(report[0], tmp_path / "checkout")
    pipeline.make_report(GOOD, root=root)
    before = contents(root / "report" / "build")
    with fault(SUBJECT):
        with pytest.raises(ParameterError, match="unknown parameter 'epoch' = 3"):
            pipeline.make_report([*LONG, "-p", "epoch", "3"], root=root)
        assert contents(root / "report" / "build") == before and before.keys() == good.keys()


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_a_report_that_is_stopped(kind, report, fault):
    """Ctrl-C reaches every process of the terminal; a kill, the one that it names."""
    root, good, chosen = report
    with fault(SUBJECT):
        call = subprocess.Popen(
            command(root, LONG),
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
            # what a script starts in the background inherits deaf ears for Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        wait_for(lambda: training_process(root, chosen))
        (os.killpg if kind == "SIGINT" else os.kill)(call.pid, signal.Signals[kind])
        call.communicate(timeout=60)
        assert call.returncode == 128 + signal.Signals[kind]
        check_report(root, good, chosen)
        run = next(Run(d) for d in (root / "runs").glob("cae-*") if d != chosen.directory)
        wait_for(lambda: is_free(run))  # nobody goes on training


@pytest.mark.parametrize("written", ["", '{"cells": [{"cell'])
def test_a_report_that_is_stopped_while_a_notebook_is_written(written, report, monkeypatch, fault):
    root, good, chosen = report

    def stopped(command, **_):
        Path(command[4]).write_text(written)  # where papermill writes
        raise KeyboardInterrupt

    with fault(SUBJECT):
        monkeypatch.setattr(pipeline.subprocess, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            pipeline.make_report(LONG, root=root)
        assert not list(root.rglob(".*.unfinished.ipynb"))
        assert (
            find_run() == chosen
            and good["02_train.ipynb"] in contents(root / "report" / "build").values()
        )


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
    shutil.copytree(folder, kept, ignore=shutil.ignore_patterns(".*.unfinished.*"))
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
        assert "os.kill" not in place.read_text()
        assert all(c.execution_count for c in nbformat.read(place, 4).cells if "outputs" in c)
        assert contents(root / "report/build")["halfgen-report.pdf"] == good["halfgen-report.pdf"]
