"""Processes to kill: forked from the tests' own, which has imported all, so each starts at once."""

import multiprocessing
import os
import signal
from dataclasses import replace

import torch

from halfgen_lib import training
from halfgen_lib.data import load
from halfgen_lib.runs import Run

CONTEXT = multiprocessing.get_context("fork")

SAMPLE = load("sample")
SMALL = replace(
    SAMPLE,
    train=SAMPLE.train.select(torch.arange(200)),
    test=SAMPLE.test.select(torch.arange(100)),
)


def start(function, *arguments):
    """Run a function of a module in a process of its own, and return that process."""
    process = CONTEXT.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def end(process, seconds=60):
    """Wait for a process, which has to end by itself; return its exit code: -9 if it was killed."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        raise AssertionError("the process does not end")
    code = process.exitcode
    process.close()
    return code


def die_at(point, count):
    """Make this process end by kill -9 at the ``count``-th visit of a point.

    ``step``: after a batch's forward pass; ``half-written``: with half of a file's bytes;
    ``written``: with all of them, beside its place; ``moved``: with the file in its place.
    """
    visits = 0

    def visit():
        nonlocal visits
        visits += 1
        if visits == count:
            os.kill(os.getpid(), signal.SIGKILL)

    fsync, move = os.fsync, os.replace

    def half_written(handle):
        if visits == count - 1:
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
        visit()
        fsync(handle)

    def written(source, target):
        visit()
        move(source, target)

    def moved(source, target):
        move(source, target)
        visit()

    def loss(completed, right):
        visit()
        return torch.nn.functional.mse_loss(completed, right)

    if point == "step":
        training.LOSSES = {**training.LOSSES, "mse": loss}
    elif point == "half-written":
        os.fsync = half_written
    else:
        os.replace = {"written": written, "moved": moved}[point]


def train(config, runs_dir, point=None, count=0, started=None):
    """Train on a tenth of the sample; with a point, never come to the end."""
    if point:
        die_at(point, count)
    if started:
        started.set()
    training.fit(config, SMALL, runs_dir=runs_dir, quiet=True)


def outcome(run: Run):
    """Return all that a run computed: the history without its seconds, and the bytes of the rest.

    The scores' file is an archive that holds the time: of it, the arrays.
    """
    lines = (run.directory / "history.csv").read_text().splitlines()
    names = ("model.safetensors", "last.safetensors", "metrics.json")
    whole = [(run.directory / name).read_bytes() for name in names]
    arrays = {name: values.tobytes() for name, values in run.scores.items()}
    return [line.rsplit(",", 1)[0] for line in lines], whole, arrays
