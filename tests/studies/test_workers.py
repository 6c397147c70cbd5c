"""A study on Dask: a real scheduler and real worker processes, on loopback."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

pytest.importorskip("distributed")

from distributed import Client

from halfgen_lib.files import project_root, read_json
from halfgen_lib.runs.provenance import command_line
from halfgen_lib.runs.record import read_results
from halfgen_lib.studies import workers
from halfgen_lib.studies.study import run_study, study_path
from halfgen_lib.studies.workers import (
    StudyError,
    study_runs_dir,
    train_here,
    train_on_cluster,
    train_task,
)

pytestmark = pytest.mark.usefixtures("results_dir")


def start(log, *command, **environment):
    """Start a part of a cluster in its own process."""
    # 0: the scheduler gives up a run with its first dead worker, so that the client has to retry
    settings = {"OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=file,
            stderr=file,
            env=os.environ | settings | environment,
        )


def wait_for(happened, what, seconds=300):
    """Return what ``happened()`` returns, as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.02)
    return found


class Grid:
    """A scheduler and workers, all on loopback, with no folder in common."""

    def __init__(self, folder, workers=2):
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes = [self.start_scheduler()]
        self.address = wait_for(self.read_address, "scheduler")
        self.workers = [self.start_worker(folder / f"worker{i}") for i in range(workers)]
        with Client(self.address) as client:  # runs that wait for a worker lose order
            if workers:
                client.wait_for_workers(workers, timeout=300)

    def start_scheduler(self):
        command = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        command += ["--no-dashboard", "--scheduler-file", str(self.file)]
        return start(self.folder / "scheduler.log", *command)

    def read_address(self):
        try:
            return json.loads(self.file.read_text())["address"]
        except (OSError, ValueError):
            return None

    def start_worker(self, folder, patch=""):
        """Start a worker whose halfgen is changed by a line of Python."""
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(patch)
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", ""), str(project_root())])
        command = ["distributed.cli.dask_worker", self.address, "--no-nanny", "--no-dashboard"]
        command += ["--host", "127.0.0.1", "--nthreads", "1", "--resources", "GPU=1"]
        command += ["--local-directory", str(folder)]
        process = start(
            folder / "log", *command, TMPDIR=str(folder), HALFGEN_RUNS="/nowhere", PYTHONPATH=path
        )
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture(params=[2])
def grid(tmp_path, request):
    parts = Grid(tmp_path, workers=request.param)
    yield parts
    parts.stop()


def kill_in_the_middle(grid, killed):
    """Kill a worker, hard, as soon as it has finished an epoch but not its run."""

    def in_the_middle():
        return next(iter(grid.folder.glob("worker*/**/halfgen-*/*/resume.pt")), None)

    run = wait_for(in_the_middle, "run").parent
    name = run.relative_to(grid.folder).parts[0]
    process = grid.workers[int(name.removeprefix("worker"))]
    process.kill()
    process.wait()
    killed.append(run)


def test_a_worker_killed_in_the_middle_of_a_run_costs_nothing_but_time(grid, tiny_config, capsys):
    configs = [tiny_config(epochs=6, seed=seed) for seed in range(4)]
    killed = []
    killer = threading.Thread(target=kill_in_the_middle, args=(grid, killed))
    killer.start()
    train = partial(train_on_cluster, scheduler=grid.address, resource="GPU")
    records = run_study(configs, train=train)
    killer.join()
    assert read_json(killed[0] / "status.json")["state"] == "running"  # it never came further
    assert killed[0].name in {config.run_id for config in configs}
    content = json.loads(study_path("sample").read_text())["records"]
    hashes = [record["config_hash"] for record in content]
    assert sorted(hashes) == sorted(config.hash() for config in configs)
    assert [record.seed for record in records] == [0, 1, 2, 3]
    assert all(record.origin.command == command_line() for record in records)
    assert not study_runs_dir().exists()  # all came over the wire
    out = capsys.readouterr().out
    assert f"{killed[0].name}: its worker died; sent again (1 of 3)" in out
    assert "Dask dashboard: " in out and "4/4 done, 0 left" in out
    run_study(configs, train=train)
    assert "4 runs: 4 finished, 0 to do" in capsys.readouterr().out


def test_a_process_killed_in_the_middle_of_a_run_costs_nothing_but_time(tiny_config, capsys):
    """With it dies its pool; the runs go on from their last whole epochs in another one."""
    configs = [tiny_config(epochs=6, seed=seed) for seed in range(3)]

    def kill():
        def in_the_middle():
            return next(iter(study_runs_dir().glob("*/resume.pt")), None)

        run = wait_for(in_the_middle, "run").parent
        os.kill(read_json(run / "status.json")["pid"], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    records = run_study(configs, train=partial(train_here, workers=2))
    killer.join()
    assert [record.seed for record in records] == [0, 1, 2]
    out = capsys.readouterr().out
    assert "its worker died; sent again (1 of 3)" in out and "3/3 done, 0 left" in out
    assert not list(study_runs_dir().glob("*/*.safetensors"))  # they are published


UNFIT = {
    "has no images: ": "from halfgen_lib.data import download; download.SAMPLE_FOLDER /= 'none'",
    "has halfgen .*, but the study halfgen ": (
        "from halfgen_lib import models; models.REVISIONS['cae'] = 'another'"
    ),
    "has not halfgen .*: import of ": (
        "import sys; sys.modules['halfgen_lib.studies.workers'] = None"
    ),
}


@pytest.mark.parametrize("grid", [0], indirect=True)
def test_a_worker_that_cannot_train_is_named_and_the_study_goes_on(grid, tiny_config, capsys):
    """With the only fit worker gone, it stops and says what to do."""
    for number, patch in enumerate(UNFIT.values()):
        grid.workers.append(grid.start_worker(grid.folder / f"unfit{number}", patch))
    with Client(grid.address) as client:
        client.wait_for_workers(len(UNFIT), timeout=300)
    configs = [tiny_config(epochs=1, train_size=50, seed=seed) for seed in range(4)]
    train = partial(train_on_cluster, scheduler=grid.address, resource="GPU")
    with pytest.raises(StudyError, match="no worker is left that can train: on each, install"):
        list(train(configs))
    out = capsys.readouterr().out
    for why in UNFIT:
        assert re.search(rf"worker tcp://\S+ {why}.*; it takes no further run\n", out), why
    assert out.count("no further run") == len(UNFIT)
    grid.workers.append(grid.start_worker(grid.folder / "unfit", UNFIT["has no images: "]))
    grid.workers.append(grid.start_worker(grid.folder / "fit"))
    with Client(grid.address) as client:
        client.wait_for_workers(2, timeout=300)
    assert [record.seed for record in run_study(configs, train=train)] == [0, 1, 2, 3]
    assert "has no images: " in capsys.readouterr().out


@pytest.mark.parametrize("grid", [1], indirect=True)
def test_a_scheduler_that_is_lost_ends_the_study_and_not_its_results(grid, tiny_config):
    configs = [tiny_config(epochs=1, train_size=50), tiny_config(epochs=500)]

    def kill():
        wait_for(lambda: len(read_results(study_path("sample"))), "record")
        grid.processes[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    train = partial(train_on_cluster, scheduler=grid.address)
    with pytest.raises(StudyError, match="the scheduler was lost"):
        run_study(configs, train=train)
    killer.join()
    assert len(read_results(study_path("sample"))) == 1
    with pytest.raises(StudyError, match="no Dask scheduler answers at tcp://127"):
        list(train(configs))


@pytest.fixture(autouse=True)
def no_long_wait(monkeypatch):
    monkeypatch.setattr(workers, "TIMEOUT", "5s")


def test_a_task_answers_with_a_record_or_with_the_reason(tiny_config, tmp_path):
    answer = train_task(tiny_config(epochs=1, train_size=50))
    assert answer.epochs == 1 and answer.origin.device
    assert "train_size is 9000" in train_task(tiny_config(train_size=9000))


def test_no_runs_need_no_cluster():
    assert list(train_on_cluster([], scheduler="tcp://127.0.0.1:1")) == []
    with pytest.raises(ValueError, match="workers is -1"):
        list(train_here([None], workers=-1))
    assert read_results(study_path("sample")) == {}
