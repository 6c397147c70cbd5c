"""The bench: how fast we train and complete, beside the loop that a user would otherwise write.

Everything is measured in one run, the contenders in turns, so that what else the machine does
touches them alike. The result is plain JSON values, published with their origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from halfgen_lib.data import Splits, load, split
from halfgen_lib.files import write_json
from halfgen_lib.models import build_model
from halfgen_lib.progress import steps
from halfgen_lib.runs.provenance import provenance
from halfgen_lib.runs.record import results_path

from .machine import describe
from .measures import epoch_floor, measure_inference, measure_memory, measure_speed, measure_startup
from .plan import Plan
from .scaling import cost_of_images, cost_of_pixels, default_epoch
from .speedrun import RACES, run_race
from .tables import told
from .work import count_launches, count_work

Values = dict[str, Any]


def run_bench(plan: Plan, device: torch.device, say: Callable[[str], None] = print) -> Values:
    """Measure everything that ``plan`` names.

    Raises:
        BenchError: if this is no checkout, or a child process fails.
        DataError: if the images cannot be had.
    """
    dataset = load(plan.data)
    splits = split(dataset, "holdout")
    images = dataset.train
    raced = replace(
        dataset, train=images.select(torch.arange(min(plan.target_images, len(images))))
    )
    made: Values = {}

    def measure_memories() -> None:
        with ThreadPoolExecutor(2) as pool:  # each is of its own process
            memories = pool.map(lambda name: measure_memory(name, plan, device), made["speed"])
            for speed, memory in zip(made["speed"].values(), memories, strict=True):
                speed["peak_memory"] = memory

    work = {
        "machine": lambda: describe(device, plan.matmul_share),
        "floor": lambda: count_floor(plan, splits, device, made["machine"]),
        "speed": lambda: measure_speed(plan, splits, device, made["floor"], say),
        "memory": measure_memories,
        "inference": lambda: measure_inference(plan, splits, device),
        "cost": lambda: {
            "images": cost_of_images(plan.image_counts, plan.batch_size, images, device),
            "pixels": cost_of_pixels(plan.scales, plan.batch_size // 2, images, device),
        },
        "startup": lambda: measure_startup(plan),
        "races": lambda: {
            name: run_race(race, plan.epoch_limit, raced, device, say)
            for name, race in RACES.items()
        },
    }
    for name, values in steps(work):
        made[name] = values
    del made["memory"]  # it is told beside the speed
    origin = provenance(device, dataset.sha256)
    return {"data": plan.data, "plan": asdict(plan), **made, "origin": origin}


def count_floor(plan: Plan, splits: Splits, device: torch.device, machine: Values) -> Values:
    """Return :func:`measures.epoch_floor` of the default network, and what makes it up.

    Returns:
        the same with ``macs``: multiply-adds of one image's forward pass; and ``launches`` of one
        step as PyTorch makes them one by one, to set beside the floor's one launch a step.
    """
    model = build_model("cae", {}).to(device)
    few = splits.train.select(torch.arange(min(plan.batch_size, len(splits.train)))).to(device)
    pair = few.halves()
    work = count_work(model, pair[0][:1])
    train = default_epoch(model)
    return {
        "macs": work.forward_flops // 2,
        "launches": count_launches(lambda: train([pair]), device),
        **epoch_floor(work, plan, splits, machine),
    }


def bench_path(device: torch.device, data: str = "full") -> Path:
    """Return where the bench of this kind of device is published."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    name = "-".join(["bench", *re.findall(r"[a-z0-9]+", kind.lower())])
    return results_path(name if data == "full" else f"{name}-{data}")


def bench(path: Path | None, plan: Plan, device: torch.device) -> Path:
    """Run the bench and write its values to ``path``, or to where they are published."""
    path = path or bench_path(device, plan.data)
    values = run_bench(plan, device)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, values | told(values, bench_path(device).stem))
    return path
