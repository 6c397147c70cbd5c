"""Full disks, folders that cannot be written, locks: clear errors, and nothing is lost."""

import errno
import os
import shutil
import subprocess

import processes
import pytest

from halfgen_lib import cli
from halfgen_lib.runs import Run, RunError, find_run
from halfgen_lib.runs.record import add_record, read_results, record_of
from halfgen_lib.training import fit

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
FULL = r"No space left on device: '.*cae-default-seed0"


@pytest.fixture
def config(tiny_config):
    return tiny_config(epochs=2, batch_size=48)


@pytest.fixture
def whole(config, tmp_path):
    return processes.outcome(fit(config, processes.SMALL, runs_dir=tmp_path / "whole", quiet=True))


def check_and_resume(config, runs_dir, whole):
    """After a failed write: no empty file, no half one, and the run can be brought to its end."""
    run = Run(runs_dir / config.run_id)
    files = [path for path in run.directory.iterdir() if path.name != "lock"]
    assert all(path.stat().st_size for path in files)
    assert not [path.name for path in files if path.name.startswith(".")]
    if not run.is_finished:
        with pytest.raises(RunError, match="not finished"):
            find_run(run.run_id, runs_dir)
    again = fit(config, processes.SMALL, runs_dir=runs_dir, quiet=True)
    assert again.is_finished and processes.outcome(again) == whole


def test_every_write_fails_once(config, whole, tmp_path, monkeypatch, fault):
    """The system says that the disk is full, at one write after another."""
    sync, writes, failing = os.fsync, 0, 0

    def full(handle):
        nonlocal writes
        writes += 1
        if writes == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    fit(config, processes.SMALL, runs_dir=tmp_path / "counted", quiet=True)
    total = writes
    assert total >= 14
    for failing in range(1, total + 1):
        writes, runs_dir = 0, tmp_path / str(failing)
        with fault("disk: full"):
            with pytest.raises(OSError, match=FULL):
                fit(config, processes.SMALL, runs_dir=runs_dir, quiet=True)
            writes = total  # the disk has room again
            check_and_resume(config, runs_dir, whole)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_small_disk_is_full(config, whole, small_disk, fault):
    """A real one: what is left holds the first files, or some more, but not the run."""
    for free in range(4, 100, 8):
        with fault("disk: full"):
            room = shutil.disk_usage(small_disk).free
            (small_disk / "filler").write_bytes(bytes(room - free * 1024))
            with pytest.raises(OSError, match=FULL):
                fit(config, processes.SMALL, runs_dir=small_disk / "runs", quiet=True)
            (small_disk / "filler").unlink()
            check_and_resume(config, small_disk / "runs", whole)
            shutil.rmtree(small_disk / "runs")


def test_published_results_survive_a_full_disk(config, whole, small_disk, tmp_path, fault):
    run = Run(tmp_path / "whole" / config.run_id)
    path = small_disk / "study.json"
    record = record_of(run)
    add_record(path, record)
    before = path.read_bytes()
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with fault("disk: full"):
        with pytest.raises(OSError, match=r"No space left on device: '.*study\.json'"):
            add_record(path, record)
        assert path.read_bytes() == before and len(read_results(path)) == 1
        assert sorted(p.name for p in small_disk.iterdir()) == ["filler", "study.json"]


def without_rights(act, *arguments):
    """Run a function as a user who owns nothing; end with 0 if it is refused and names a file."""
    if IS_ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        act(*arguments)
    except PermissionError as error:
        os._exit(0 if error.filename else 3)
    os._exit(1)


def test_a_read_only_folder(config, tmp_path, fault):
    record = record_of(fit(config, processes.SMALL, runs_dir=tmp_path / "whole", quiet=True))
    folder = tmp_path / "mine"
    processes.train(config.model_copy(update={"seed": 1}), folder)
    add_record(folder / "study.json", record)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o055 != 0o055:  # pytest's own are for one user
            path.chmod(path.stat().st_mode | 0o055)
    folder.chmod(0o555)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    acts = [
        (processes.train, config, folder),
        (processes.train, config, folder / "new"),
        (add_record, folder / "study.json", record),
        (add_record, folder / "new" / "study.json", record),
    ]
    for act, *arguments in acts:
        with fault("disk: read-only folders"):
            process = processes.start(without_rights, act, *arguments)
            assert processes.end(process) == 0
            assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_command_line_says_which_file(tmp_path, monkeypatch, capsys, fault):
    """A folder of runs that is a file: one line, and no traceback."""
    (tmp_path / "runs").write_text("mine")
    words = ["train", "--data", "sample", "--epochs", "1", "--train-size", "10"]
    with fault("disk: read-only folders"):
        assert cli.main(words) == 1
        said = capsys.readouterr().err
        assert str(tmp_path / "runs") in said and "Traceback" not in said
        assert (tmp_path / "runs").read_text() == "mine"


# ---- locks


def hold(runs_dir, config, held, release):
    with Run(runs_dir / config.run_id).locked():
        held.set()
        release.wait(60)


def test_a_run_that_another_process_trains(config, whole, tmp_path, fault):
    with fault("locks"):
        held, release = processes.CONTEXT.Event(), processes.CONTEXT.Event()
        holder = processes.start(hold, tmp_path / "runs", config, held, release)
        assert held.wait(60)
        with pytest.raises(RunError, match=f"by process {holder.pid}; wait for it, or end it"):
            fit(config, processes.SMALL, runs_dir=tmp_path / "runs", quiet=True)
        assert os.listdir(tmp_path / "runs" / config.run_id) == ["lock"]
        release.set()
        assert processes.end(holder) == 0
        check_and_resume(config, tmp_path / "runs", whole)


@pytest.mark.parametrize("content", ["", "1\n", "999999\n", "no number", "x" * 100_000])
def test_a_stale_lock_stops_nobody(content, config, whole, tmp_path, fault):
    """A lock is the system's, not the file's: one whose holder has died is free."""
    with fault("locks"):
        directory = tmp_path / "runs" / config.run_id
        directory.mkdir(parents=True)
        (directory / "lock").write_text(content)
        check_and_resume(config, tmp_path / "runs", whole)


def test_the_lock_of_a_killed_process_is_free(config, whole, tmp_path, fault):
    with fault("locks"):
        held, release = processes.CONTEXT.Event(), processes.CONTEXT.Event()
        holder = processes.start(hold, tmp_path / "runs", config, held, release)
        assert held.wait(60)
        holder.kill()
        assert processes.end(holder) == -9
        check_and_resume(config, tmp_path / "runs", whole)


def train_at_once(config, runs_dir, barrier):
    barrier.wait(60)
    try:
        processes.train(config, runs_dir)
    except RunError as error:
        os._exit(7 if "is being trained by process" in str(error) else 1)


@pytest.mark.parametrize("number", range(5))
def test_two_runs_of_one_config_at_once(number, config, whole, tmp_path, fault):
    """One trains; the other says who does, or comes so late that it takes what is finished."""
    with fault("locks"):
        barrier = processes.CONTEXT.Barrier(2)
        both = [
            processes.start(train_at_once, config, tmp_path / "runs", barrier) for _ in range(2)
        ]
        assert sorted(processes.end(process) for process in both) in ([0, 7], [0, 0])
        check_and_resume(config, tmp_path / "runs", whole)


def test_a_run_finished_between_the_look_and_the_lock(config, monkeypatch, fault):
    """Another process came first: what it finished is used, not trained over."""
    with fault("locks"):
        run = fit(config, processes.SMALL, quiet=True)
        before = {p: p.stat().st_mtime_ns for p in run.directory.iterdir() if p.name != "lock"}
        looks, truth = [], Run.is_finished.fget

        def look(run):
            looks.append(run)
            return len(looks) > 1 and truth(run)

        monkeypatch.setattr(Run, "is_finished", property(look))
        assert fit(config, processes.SMALL, quiet=True) == run and len(looks) > 1
        assert {p: p.stat().st_mtime_ns for p in before} == before
        assert len(list(run.directory.iterdir())) == len(before) + 1
