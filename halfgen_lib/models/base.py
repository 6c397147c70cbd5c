"""What every network that completes images has in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..settings import Settings

HALF_SHAPE = (1, 28, 14)
Criterion = Callable[[Tensor, Tensor], Tensor]  # completed and true right halves -> a scalar


def check_left(left: Tensor) -> None:
    """Raise a TypeError or a ValueError for all but (N, 1, 28, 14) floating-point in [0, 1]."""
    if not isinstance(left, Tensor):
        raise TypeError(f"left is a {type(left).__name__}; a float tensor (N, 1, 28, 14) is needed")
    if not left.is_floating_point():
        raise TypeError(f"left has dtype {left.dtype}; a floating-point tensor in [0, 1] is needed")
    if left.ndim != 4 or left.shape[1:] != HALF_SHAPE:
        raise ValueError(f"left has shape {tuple(left.shape)}; (N, 1, 28, 14) is needed")
    low, high = map(Tensor.item, left.aminmax()) if left.numel() else (0, 1)  # of NaN: NaN, NaN
    if not 0 <= low <= high <= 1:
        found = f"left has values from {low:g} to {high:g}"
        raise ValueError(f"{found}; all must lie in [0, 1], no NaN")


class Completer(nn.Module):
    """A network from left halves (N, 1, 28, 14) to right halves (N, 1, 28, 14), both in [0, 1]."""

    Settings: ClassVar[type[Settings]]

    def loss(self, left: Tensor, right: Tensor, criterion: Criterion) -> Tensor:
        """Complete left halves (B, 1, 28, 14) and return what a gradient step lowers: a scalar.

        ``criterion`` is for the models that can be trained with any; the others bring their own.
        """
        return criterion(self(left), right)

    @torch.inference_mode()
    def predict(self, left: Tensor, *, batch_size: int = 2000) -> Tensor:
        """Complete left halves with the network in evaluation mode, in batches to bound memory.

        (N, 1, 28, 14) in [0, 1], N may be 0, to the same shape and range on the device of ``left``.
        What :func:`check_left` refuses is an error.
        """
        check_left(left)
        if not len(left):
            return torch.empty_like(left)
        with self.evaluating() as weight:
            done = [self(part.to(weight)).to(left) for part in left.split(batch_size)]
        return torch.cat(done) if len(done) > 1 else done[0]

    @contextmanager
    def evaluating(self) -> Iterator[Tensor]:
        """Hold the network in evaluation mode; give a weight, to see device and type."""
        weight, was_training = next(self.parameters()), self.training
        if was_training:  # a look at every layer takes a third of a single completion's time
            self.eval()
        try:
            yield weight
        finally:
            if was_training:
                self.train()

    def parameter_count(self) -> int:
        """Return the number of trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


class Sampler(Completer):
    """A network that draws right halves: many plausible ones for the same left half.

    Its completion, where one is asked for, is the mean of a few draws: the best guess under a
    squared error. The draws of :meth:`forward` are always the same.
    """

    mean_of: ClassVar[int] = 8  # draws that a completion averages; 0: it has a mean

    def draw(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a right half for each left half: (B, 1, 28, 14) in [0, 1] to the same.

        The generator is on the CPU, where :meth:`noise` draws.
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
        """Draw n right halves for each left half, with the network in evaluation mode.

        (N, 1, 28, 14) in [0, 1] to (n, N, 1, 28, 14) in [0, 1]; the same state of the generator,
        which is on the CPU, gives the same draws. Errors as in :meth:`predict`, and for n < 1.
        """
        check_left(left)
        if n < 1:
            raise ValueError(f"n is {n}, allowed: 1 draw or more")
        if not len(left):
            return left.new_empty(n, *left.shape)
        with self.evaluating() as weight:
            parts = [part.to(weight.device, weight.dtype) for part in left.split(batch_size)]
            draws = [torch.cat([self.draw(p, generator).to(left) for p in parts]) for _ in range(n)]
        return torch.stack(draws)
