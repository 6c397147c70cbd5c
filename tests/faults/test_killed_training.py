"""kill -9 of a training run, wherever it is: nothing half-written is read, nothing is lost."""

import os
import random
import time

import processes
import pytest
import torch

from halfgen_lib.runs import Run, RunError, find_run
from halfgen_lib.training import fit

RANDOM_MOMENTS = 20
SUBJECT = "training: kill -9"
WRITES = {"half-written", "written", "moved"}


@pytest.fixture
def config(tiny_config):
    """Two epochs of four steps, the learning rate and the best weights changing on the way."""
    return tiny_config(epochs=2, batch_size=48, plateau_epochs=1)


@pytest.fixture
def whole(config, tmp_path):
    """What the run computes if nobody disturbs it."""
    return processes.outcome(fit(config, processes.SMALL, runs_dir=tmp_path / "whole", quiet=True))


def check_that_nothing_lies(run, whole):
    """A run that was killed is read as what it is, and what it holds is whole."""
    if run.is_finished:
        assert processes.outcome(run) == whole
        return
    with pytest.raises(RunError, match="not finished"):
        find_run(run.run_id, run.directory.parent)
    epochs = 0
    if (run.directory / "resume.pt").exists():
        state = torch.load(run.directory / "resume.pt", weights_only=True)
        epochs = len(state["history"])
    lines = whole[0][1:]
    read = len(run.history["epoch"])
    assert read <= epochs <= len(lines)
    assert run.history["val_loss"].tolist() == [float(x.split(",")[2]) for x in lines[:read]]


def resume(config, runs_dir, whole):
    run = fit(config, processes.SMALL, runs_dir=runs_dir, quiet=True)
    assert run.is_finished and processes.outcome(run) == whole
    left = {path.name for path in run.directory.iterdir()}
    assert not [name for name in left if name.startswith(".")]  # what the killed one was writing


def count_writes(config, runs_dir, monkeypatch):
    calls, move = [], os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append(paths), move(*paths)))
    fit(config, processes.SMALL, runs_dir=runs_dir, quiet=True)
    monkeypatch.undo()
    return len(calls)


@pytest.mark.parametrize("point", ["step", *sorted(WRITES)])
def test_killed_at_every_point(point, config, whole, tmp_path, monkeypatch, fault):
    """In every step, and at each of the three moments of every write."""
    visits = 8 if point == "step" else count_writes(config, tmp_path / "counted", monkeypatch)
    assert visits == 8 if point == "step" else visits >= 14
    for count in range(1, visits + 1):
        with fault(SUBJECT):
            runs_dir = tmp_path / f"{count}"
            killed = processes.start(processes.train, config, runs_dir, point, count)
            assert processes.end(killed) == -9
            check_that_nothing_lies(Run(runs_dir / config.run_id), whole)
            resume(config, runs_dir, whole)


def test_killed_at_random_moments_again_and_again(tiny_config, tmp_path, fault):
    """One run after another, each killed after a time drawn at random, until it is through."""
    config = tiny_config(epochs=12, batch_size=16)
    whole = processes.outcome(fit(config, processes.SMALL, runs_dir=tmp_path / "whole", quiet=True))
    start = time.perf_counter()
    assert processes.end(processes.start(processes.train, config, tmp_path / "timed")) == 0
    duration = time.perf_counter() - start
    draw, injected, states = random.Random(0), 0, set()
    while injected < RANDOM_MOMENTS:
        runs_dir = tmp_path / f"{injected}-{draw.random()}"
        run = Run(runs_dir / config.run_id)
        for _ in range(3):  # a run that was killed may be killed again
            started = processes.CONTEXT.Event()
            process = processes.start(processes.train, config, runs_dir, None, 0, started)
            assert started.wait(60)
            time.sleep(draw.uniform(0, 0.6 * duration))
            process.kill()
            if processes.end(process) != -9:
                break  # it was through: no fault
            with fault(SUBJECT):
                states.add((run.status["state"], len(run.history["epoch"])))
                check_that_nothing_lies(run, whole)
            injected += 1
        resume(config, runs_dir, whole)
    assert len(states) > 5  # the moments did differ
