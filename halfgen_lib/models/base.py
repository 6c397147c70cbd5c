"""What every network that completes images has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..settings import Settings

HALF_SHAPE = (1, 28, 14)


def check_left(left: Tensor) -> None:
    """Refuse anything that is not a batch of left halves.

    Args:
        left: expected to be floating point, (N, 1, 28, 14), N >= 0, every value in [0, 1].

    Raises:
        TypeError: if it is no tensor or not of a floating-point type.
        ValueError: if its shape or a value is not allowed.
    """
    if not isinstance(left, Tensor):
        raise TypeError(f"left is a {type(left).__name__}; a float tensor (N, 1, 28, 14) is needed")
    if not left.is_floating_point():
        raise TypeError(f"left has dtype {left.dtype}; a floating-point tensor in [0, 1] is needed")
    if left.ndim != 4 or tuple(left.shape[1:]) != HALF_SHAPE:
        raise ValueError(f"left has shape {tuple(left.shape)}; (N, 1, 28, 14) is needed")
    if left.numel() and not bool(((left >= 0) & (left <= 1)).all()):
        low, high = left.min().item(), left.max().item()
        raise ValueError(
            f"left has values from {low:g} to {high:g}; all must lie in [0, 1], no NaN"
        )


@dataclass(frozen=True)
class LayerRow:
    """One line of a layer table: what the layer is, its output shape (without N), parameters."""

    kind: str
    details: str
    output_shape: tuple[int, ...]
    parameters: int


def layer_row(layer: nn.Module, output: Tensor) -> LayerRow:
    """Return the line of a layer table for ``layer``, which gave ``output`` (N, ...)."""
    kind, details = type(layer).__name__, ""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        kind = "convolution" if isinstance(layer, nn.Conv2d) else "transposed convolution"
        details = f"{layer.kernel_size[0]} × {layer.kernel_size[1]}, stride {layer.stride[0]}"
    elif isinstance(layer, nn.Linear):
        kind = "fully connected"
    elif isinstance(layer, nn.LeakyReLU):
        details = f"slope {layer.negative_slope:g}"
    elif isinstance(layer, nn.BatchNorm2d):
        kind = "batch normalisation"
    elif isinstance(layer, nn.Flatten | nn.Unflatten):
        kind = "reshape"
    return LayerRow(
        kind, details, tuple(output.shape[1:]), sum(p.numel() for p in layer.parameters())
    )


def stages(rows: list[LayerRow]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the kind and output shape of each layer that changes the shape, the input first."""
    found = [("left half", HALF_SHAPE)]
    for row in rows:
        if row.output_shape != found[-1][1]:
            found.append((row.kind, row.output_shape))
    return found


class Completer(nn.Module):
    """A network from left halves (N, 1, 28, 14) to right halves (N, 1, 28, 14), both in [0, 1]."""

    Settings: ClassVar[type[Settings]]

    def loss(
        self, left: Tensor, right: Tensor, criterion: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Complete a batch and return what its gradient step lowers.

        Args:
            left, right: (B, 1, 28, 14) in [0, 1].
            criterion: a loss between completed and true right halves, for the models that can
                be trained with any; the others bring their own.

        Returns:
            A scalar, the mean over the batch.
        """
        completed = self(left)
        return criterion(completed, right)

    @torch.inference_mode()
    def predict(self, left: Tensor, *, batch_size: int = 2000) -> Tensor:
        """Complete left halves with the network in evaluation mode, in batches to bound memory.

        Args:
            left: (N, 1, 28, 14), floating point in [0, 1]; N may be 0.
            batch_size: images at a time.

        Returns:
            (N, 1, 28, 14) in [0, 1], on the device of ``left``.

        Raises:
            TypeError, ValueError: as :func:`check_left`.
        """
        check_left(left)
        with self._evaluating() as weight:
            parts = [
                self(part.to(weight.device, weight.dtype)).to(left)
                for part in left.split(batch_size)
                if len(part)
            ]
        return torch.cat(parts) if parts else torch.empty_like(left)

    @contextmanager
    def _evaluating(self) -> Iterator[Tensor]:
        """Hold the network in evaluation mode; give a weight, to see device and type."""
        was_training = self.training
        self.eval()
        try:
            yield next(self.parameters())
        finally:
            self.train(was_training)

    def parameter_count(self) -> int:
        """Return the number of trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @torch.no_grad()
    def layer_table(self) -> list[LayerRow]:
        """Return the leaf layers in the order in which one left half passes them."""
        rows: list[LayerRow] = []
        leaves = [m for m in self.modules() if not any(m.children())]
        handles = [
            leaf.register_forward_hook(lambda m, _, output: rows.append(layer_row(m, output)))
            for leaf in leaves
        ]
        try:
            with self._evaluating() as weight:
                self(torch.zeros(1, *HALF_SHAPE, device=weight.device))
        finally:
            for handle in handles:
                handle.remove()
        return rows


class Sampler(Completer):
    """A network that draws right halves: many plausible ones for the same left half.

    Its completion, where one is asked for, is the mean of a few draws: the best guess under a
    squared error. The draws of :meth:`forward` are always the same.
    """

    mean_of: ClassVar[int] = 8  # draws that a completion averages

    def draw(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one right half for each left half.

        Args:
            left: (B, 1, 28, 14) in [0, 1].
            generator: on the CPU, where :meth:`noise` draws.

        Returns:
            (B, 1, 28, 14) in [0, 1].
        """
        raise NotImplementedError

    @staticmethod
    def noise(left: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw standard normal numbers on the CPU, for the same draws on every device."""
        return torch.randn(shape, generator=generator).to(left.device, left.dtype)

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        generator = torch.Generator().manual_seed(0)
        return torch.stack([self.draw(left, generator) for _ in range(self.mean_of)]).mean(0)

    @torch.inference_mode()
    def sample(
        self, left: Tensor, n: int, generator: torch.Generator, *, batch_size: int = 2000
    ) -> Tensor:
        """Draw right halves with the network in evaluation mode.

        Args:
            left: (N, 1, 28, 14), floating point in [0, 1]; N may be 0.
            n: draws of each, at least 1.
            generator: on the CPU; the same state gives the same draws.
            batch_size: images at a time, to bound memory.

        Returns:
            (n, N, 1, 28, 14) in [0, 1], on the device of ``left``.

        Raises:
            TypeError, ValueError: as :func:`check_left`, or for n < 1.
        """
        check_left(left)
        if n < 1:
            raise ValueError(f"n is {n}, allowed: 1 draw or more")
        if not len(left):
            return left.new_empty(n, *left.shape)
        with self._evaluating() as weight:
            parts = [part.to(weight.device, weight.dtype) for part in left.split(batch_size)]
            draws = [torch.cat([self.draw(p, generator).to(left) for p in parts]) for _ in range(n)]
        return torch.stack(draws)
