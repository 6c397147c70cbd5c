"""How the cost of an epoch grows with the number of images and with their size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from halfgen_lib.config import RunConfig
from halfgen_lib.data import Images, batches, halves, to_unit
from halfgen_lib.models import build_model
from halfgen_lib.models.cae import ConvAutoencoder
from halfgen_lib.models.side_by_side import side_by_side
from halfgen_lib.training import LOSSES, build_optimizer, train_epoch

from .machine import seconds_of, spread
from .work import count_work

Pairs = Iterable[tuple[Tensor, Tensor]]  # left and right halves, (B, 1, H, W) each

REPEATS = 3
STEPS = 4  # of a measured epoch of larger images


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the slope of the line through the logarithms: the exponent p of y ~ x**p."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def cost_of_images(
    counts: Sequence[int], batch_size: int, images: Images, device: torch.device
) -> dict[str, Any]:
    """Measure whole epochs of the default network on subsets of ``images``.

    Returns:
        ``slope``, and ``points``: one {images, epoch_seconds} for each of ``counts``.
    """
    model = build_model("cae", {}).to(device)
    train = default_epoch(model)
    points = []
    for count in counts:
        few = images.select(torch.arange(count)).to(device)
        values = seconds_of(partial(_shuffled_epoch, train, few, batch_size), device, REPEATS)
        points.append({"images": count, "epoch_seconds": spread(values)})
    seconds = [point["epoch_seconds"]["median"] for point in points]
    return {"slope": slope(counts, seconds), "points": points}


def cost_of_pixels(
    scales: Sequence[int], batch_size: int, images: Images, device: torch.device
) -> dict[str, Any]:
    """Measure a few steps of the same network for images whose sides are so many times as long.

    Layers, channels and kernels stay; maps grow with the images, and so do the two fully
    connected layers that meet them. The images are enlarged by repeating pixels.

    Returns:
        ``slope`` against the pixels; ``batch_size``, ``steps``; ``points``: for each of
        ``scales`` {scale, side, flops_per_image, parameters, seconds_per_image}.
    """
    left, right = (half.to(device) for half in halves(to_unit(images.images[: STEPS * batch_size])))
    points = []
    for scale in scales:
        pairs = list(
            zip(*(_enlarge(half, scale).split(batch_size) for half in (left, right)), strict=True)
        )
        model = side_by_side(ConvAutoencoder(shape=pairs[0][0].shape[1:])).to(device)
        work = count_work(model, pairs[0][0][:1])
        train = default_epoch(model)
        seconds = seconds_of(partial(train, pairs), device, REPEATS)
        points.append(
            {
                "scale": scale,
                "side": left.shape[2] * scale,
                "flops_per_image": work.training_flops,
                "parameters": model.parameter_count(),
                "seconds_per_image": spread([value / len(left) for value in seconds]),
            }
        )
    sides = [point["side"] ** 2 for point in points]
    seconds = [point["seconds_per_image"]["median"] for point in points]
    exponent = slope(sides, seconds)
    return {"slope": exponent, "batch_size": batch_size, "steps": STEPS, "points": points}


def default_epoch(model: ConvAutoencoder) -> Callable[[Pairs], float]:
    """Return the library's epoch over given pairs, with the default recipe."""
    config = RunConfig()
    optimizer = build_optimizer(config, model.parameters())
    loss_function = partial(model.loss, criterion=LOSSES[config.loss])
    return lambda pairs: train_epoch(model, pairs, loss_function, optimizer)


def _shuffled_epoch(train: Callable[[Pairs], float], images: Images, batch_size: int) -> float:
    return train(batches(images, batch_size, torch.Generator().manual_seed(0)))


def _enlarge(half: Tensor, scale: int) -> Tensor:
    """Return halves (N, 1, H, W) as (N, 1, scale * H, scale * W), every pixel repeated."""
    return half.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
