"""How much the bench measures."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        data: "full" or "sample".
        batch_size: of both contenders.
        steps: gradient steps of a measured epoch; the images of train and validation are cut to
            the share that they are, and the seconds scaled up. 0: the whole epoch.
        rounds: measurements of everything that is measured in turns.
        epoch_limit: epochs after which a recipe is given up that has not reached a race's error.
        image_counts: training images of the epochs that show how cost grows with them.
        scales: of the images' sides, for the same.
        inference: batch sizes.
        target_images: images of the training file that the recipes are raced on.
        matmul_share: the sides of the matrices that show the machine's peak are divided by it.
    """

    data: str = "full"
    batch_size: int = 512
    steps: int = 20
    rounds: int = 5
    epoch_limit: int = 30
    image_counts: tuple[int, ...] = (1_000, 3_000, 10_000, 30_000, 60_000)
    scales: tuple[int, ...] = (1, 2, 4)
    inference: tuple[int, ...] = (1, 64, 4096)
    target_images: int = 60_000
    matmul_share: int = 1


# tries every part out in seconds; its numbers say nothing
QUICK = Plan("sample", 32, 2, 1, 1, (50, 100), (1, 2), (1, 64), 120, 8)


def plan_for(device: torch.device, quick: bool = False) -> Plan:
    """Return what is measured on a device: whole epochs where they take seconds at most."""
    if quick:
        return QUICK
    return Plan(steps=20 if device.type == "cpu" else 0)
