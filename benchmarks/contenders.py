"""Who runs in the bench: the plain loop of ``benchmarks/`` and our own, behind one small face.

A contender trains on its own subset of the images, one epoch at a time, by the very code that a
user of it would call: :meth:`training.Trainer.run_epoch` here, ``plain_loop.PlainTraining`` there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from halfgen_lib.config import RunConfig
from halfgen_lib.data import Images, Splits
from halfgen_lib.training import Trainer

# The network and its recipe are the seed's; ours differ in how they are computed.
OURS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, bfloat16": {"precision": "bfloat16"},
    "ours, compiled, bfloat16": {"compile": True, "precision": "bfloat16"},
}
ON_CPU = ("ours", "ours, bfloat16")  # there compiling takes longer than it saves


@dataclass
class Contender:
    """A network in training.

    Attributes:
        run_epoch: trains for an epoch and validates; returns ``val_loss`` and more.
        network: what is trained; in evaluation mode it completes left halves.
    """

    run_epoch: Callable[[], dict[str, float]]
    network: nn.Module

    @torch.inference_mode()
    def complete(self, left: Tensor) -> Tensor:
        """Return right halves as this contender's user would compute them, in evaluation mode."""
        if hasattr(self.network, "predict"):
            return self.network.predict(left, batch_size=len(left))
        return self.network(left)


def plain(
    splits: Splits, device: torch.device, recipe: str = "default", seed: int = 0, **changes: Any
) -> Contender:
    """Return the plain loop with one of its recipes, changed where ``changes`` says so."""
    from . import plain_loop  # its torchvision is no part of our memory

    chosen = replace(plain_loop.RECIPES[recipe], **changes)
    parts = (part.images[:, 0].cpu().numpy() for part in (splits.train, splits.validation))
    training = plain_loop.PlainTraining(chosen, *parts, device, seed)
    rows: Iterator[dict[str, float]] = training.epochs()
    return Contender(lambda: next(rows), training.network)


def ours(splits: Splits, device: torch.device, **settings: Any) -> Contender:
    """Return our own training with these settings of :class:`RunConfig`."""
    trainer = Trainer(RunConfig(**settings), splits, device)
    return Contender(trainer.run_epoch, trainer.model)


def build(name: str, splits: Splits, device: torch.device, batch_size: int = 512) -> Contender:
    """Return a contender by its name: ``plain``, or one of ``OURS``."""
    if name == "plain":
        return plain(splits, device, batch_size=batch_size)
    return ours(splits, device, batch_size=batch_size, **OURS[name])


def precision(name: str) -> str:
    """Return the type of number that a contender computes its products in."""
    return OURS.get(name, {}).get("precision", "float32")


def names(device: torch.device) -> list[str]:
    """Return who can run on a device."""
    return ["plain", *(ON_CPU if device.type == "cpu" else OURS)]


def part(images: Images, count: int) -> Images:
    """Return the first ``count`` images."""
    return images.select(torch.arange(min(count, len(images))))
