"""What a machine can do at most: its fastest matrix product, its copies, its shortest call."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
import torch.nn.functional as F

from halfgen_lib.runs.provenance import device_name

Result = TypeVar("Result")

MATMUL_SIZE = {"cpu": 2048, "cuda": 8192, "mps": 4096}
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30, "mps": 2**28}  # far more than a cache holds


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(work: Callable[[], Result], device: torch.device) -> tuple[float, Result]:
    """Return the seconds that ``work`` takes on ``device``, and what it returns."""
    wait_for(device)
    start = time.perf_counter()
    result = work()
    wait_for(device)
    return time.perf_counter() - start, result


def seconds_of(work: Callable[[], object], device: torch.device, repeats: int = 5) -> list[float]:
    """Return the seconds that ``work`` takes on ``device``, ``repeats`` times after a warm-up."""
    work()
    return [timed(work, device)[0] for _ in range(repeats)]


def spread(values: list[float]) -> dict[str, Any]:
    """Return the median of measurements, the lowest, the highest, and all of them."""
    return {"median": median(values), "low": min(values), "high": max(values), "values": values}


def matmul_peak(device: torch.device, dtype: torch.dtype = torch.float32, share: int = 1) -> float:
    """Return the floating-point operations a second of a large square matrix product.

    On a CPU of the product as a convolution of single pixels as well, if that is faster: another
    library makes it. The matrices' sides are divided by ``share``.
    """
    size = MATMUL_SIZE[device.type] // share
    a = torch.ones(size, size, device=device, dtype=dtype)
    out = torch.empty_like(a)
    seconds = seconds_of(lambda: torch.mm(a, a, out=out), device)
    if device.type == "cpu":
        pixels = a[None, :, None].permute(0, 3, 1, 2)
        seconds += seconds_of(lambda: F.conv2d(pixels, a[..., None, None]), device)
    return 2 * size**3 / min(seconds)


def bandwidth(device: torch.device) -> float:
    """Return the bytes a second of a copy too large for the caches: those read and those written.

    The highest of a few measurements, as in :func:`matmul_peak`: a machine's peak.
    """
    source = torch.ones(COPY_BYTES[device.type] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPY_BYTES[device.type] / min(seconds_of(lambda: target.copy_(source), device))


def launch_seconds(device: torch.device, calls: int = 1000) -> float:
    """Return the seconds that one call of the least operation takes, one after the other."""
    number = torch.zeros(1, device=device)

    def work() -> None:
        for _ in range(calls):
            number.add_(1)

    return min(seconds_of(work, device)) / calls


def cpu_model() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe(device: torch.device, matmul_share: int = 1) -> dict[str, Any]:
    """Return what the machine is and what it can do at most, measured now: see `matmul_peak`."""
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    peaks = {name: matmul_peak(device, dtype, matmul_share) for name, dtype in types.items()}
    return {
        "device": device_name(device),
        "type": device.type,
        "cpu": cpu_model(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "matmul_flops": peaks,
        "bandwidth": bandwidth(device),
        "launch_seconds": launch_seconds(device),
    }


def peak_memory() -> int:
    """Return the most bytes of main memory that this process has held at once.

    On Linux the kernel's ``ru_maxrss`` of a new process begins at its parent's, so that the
    high-water mark of the process's own memory is read instead.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
