"""What the bench measures of each contender: speed, memory, inference; and of the start-up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

from halfgen_lib.data import Splits, load, split
from halfgen_lib.progress import countdown

from .contenders import Contender, build, names, precision
from .machine import peak_memory, seconds_of, spread, timed
from .plan import Plan
from .work import Work

Values = dict[str, Any]


class BenchError(RuntimeError):
    """The bench cannot go on."""


IMPORTS = ("torch", "halfgen_lib", "halfgen_lib.training")


def cut(splits: Splits, plan: Plan) -> Splits:
    """Return the images of a measured epoch: the same share of train and validation."""
    if not plan.steps:
        return splits
    share = min(1.0, plan.steps * plan.batch_size / len(splits.train))
    train, validation = (
        images.select(torch.arange(round(share * len(images))))
        for images in (splits.train, splits.validation)
    )
    return Splits(train, validation, splits.test)


def epoch_floor(work: Work, plan: Plan, splits: Splits, machine: Values) -> Values:
    """Return the least seconds of an epoch, training and validation, on this machine.

    Returns:
        ``flops`` and ``bytes`` of the epoch, the seconds that they take at the measured peaks and
        those of one launch a step; ``seconds``: the largest of the three. The arithmetic's, and so
        the largest, are given for each type of number: "float32", "bfloat16".
    """
    train, validation = len(splits.train), len(splits.validation)
    steps = -(-train // plan.batch_size)
    flops = train * work.training_flops + validation * work.forward_flops
    traffic = train * work.training_bytes(plan.batch_size) + validation * work.forward_bytes
    arithmetic = {dtype: flops / peak for dtype, peak in machine["matmul_flops"].items()}
    others = {
        "bytes_seconds": traffic / machine["bandwidth"],
        "launch_seconds": steps * machine["launch_seconds"],
    }
    return {
        "steps": steps,
        "flops": flops,
        "bytes": traffic,
        "arithmetic_seconds": arithmetic,
        **others,
        "seconds": {t: max(seconds, *others.values()) for t, seconds in arithmetic.items()},
    }


def measure_speed(
    plan: Plan, splits: Splits, device: torch.device, floor: Values, say: Callable[[str], None]
) -> Values:
    """Measure epochs, training and validation, of all contenders in turns; tell of each round.

    Returns:
        contender -> ``first_epoch_seconds`` (not scaled up; with it what is compiled is compiled),
        ``epoch_seconds``, ``images_per_second`` (training images, validation's time included),
        ``over_floor``, and the shares of the machine's peaks that the floor's work amounts to.
    """
    few = cut(splits, plan)
    scale = len(splits.train) / len(few.train)
    built = {name: build(name, few, device, plan.batch_size) for name in names(device)}
    first = {name: timed(one.run_epoch, device)[0] for name, one in built.items()}
    seconds: dict[str, list[float]] = {name: [] for name in built}
    tell = countdown([1] * plan.rounds)
    for number in range(1, plan.rounds + 1):
        for name, contender in built.items():
            seconds[name].append(scale * timed(contender.run_epoch, device)[0])
        say(f"round {number}/{plan.rounds}; {tell()}")
    return {
        name: {
            "first_epoch_seconds": first[name],
            "epoch_seconds": spread(values),
            **_rates(spread(values)["median"], len(splits.train), floor, precision(name)),
        }
        for name, values in seconds.items()
    }


def _rates(seconds: float, images: int, floor: Values, precision: str) -> Values:
    return {
        "images_per_second": images / seconds,
        "over_floor": seconds / floor["seconds"][precision],
        "matmul_share": floor["arithmetic_seconds"][precision] / seconds,
        "bandwidth_share": floor["bytes_seconds"] / seconds,
    }


def measure_memory(name: str, plan: Plan, device: torch.device) -> Values:
    """Return the most memory that an epoch of a contender takes, in a new process.

    Returns:
        ``main``: bytes of main memory, libraries and images included; ``device``: bytes that
        torch held on a GPU, or None.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_memory_here, name, plan, str(device)).result()


def _memory_here(name: str, plan: Plan, device_name: str) -> Values:
    device = torch.device(device_name)
    splits = cut(split(load(plan.data), "holdout"), plan)
    build(name, splits, device, plan.batch_size).run_epoch()
    on_gpu = device.type == "cuda"
    return {
        "main": peak_memory(),
        "device": torch.cuda.max_memory_allocated(device) if on_gpu else None,
    }


def measure_inference(plan: Plan, splits: Splits, device: torch.device) -> Values:
    """Return the completions a second of plain loop and ours: batch size -> contender -> spread."""
    few = Splits(*(3 * [splits.validation.select(torch.arange(plan.batch_size))]))
    both = {name: build(name, few, device, plan.batch_size) for name in ("plain", "ours")}
    for contender in both.values():
        contender.network.eval()  # once: who completes one image after another does so, too
    left = splits.train.halves()[0].to(device)
    measured: Values = {}
    for size in plan.inference:
        rates: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(plan.rounds + 1):
            for name, contender in both.items():
                rates[name].append(_completions_a_second(contender, left[:size], device))
        measured[str(size)] = {name: spread(values[1:]) for name, values in rates.items()}
    return measured


def _completions_a_second(contender: Contender, left: torch.Tensor, device: torch.device) -> float:
    calls = max(1, 200 // len(left))

    def complete() -> None:
        for _ in range(calls):
            contender.complete(left)

    return calls * len(left) / timed(complete, device)[0]


def measure_startup(plan: Plan) -> Values:
    """Return the seconds until the library is imported, beside torch alone, and the images loaded.

    Raises:
        BenchError: if a child process fails.
    """
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(plan.rounds):
        for name in IMPORTS:
            seconds[name].append(import_seconds(name))
    cpu = torch.device("cpu")
    return {
        "import_seconds": {name: spread(values) for name, values in seconds.items()},
        "load_seconds": spread(seconds_of(lambda: load(plan.data), cpu, plan.rounds)),
    }


def import_seconds(module: str, clock: str = "perf_counter") -> float:
    """Return the seconds that a new Python takes to import ``module``, by a clock of ``time``.

    Raises:
        BenchError: if it fails.
    """
    code = f"from time import {clock} as now; start = now(); import {module}; print(now() - start)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if child.returncode:
        raise BenchError(f"import {module} failed:\n{child.stderr}")
    return float(child.stdout)
