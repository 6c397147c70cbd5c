"""What is left of a network without nonlinearities: an affine map under its sigmoid.

The seed's public code writes ``nn.LeakyReLU(True)``, where the first argument is the slope: all
before the sigmoid is affine then, of a rank no larger than the latent code's.
"""

from typing import Self

import torch
from torch import Tensor, nn

from .base import HALF_SHAPE, Completer

PIXELS = 28 * 14
CODE = "encoder.1.weight"  # a map's weights from the left half to the code, as a file names them


class AffineMap(Completer):
    """Left half -> a code of ``rank`` numbers -> right half, both steps affine, then a sigmoid."""

    def __init__(self, rank: int):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, rank, bias=False))
        last = nn.Sigmoid(), nn.Unflatten(1, HALF_SHAPE)
        self.decoder = nn.Sequential(nn.Linear(rank, PIXELS), *last)

    @classmethod
    @torch.no_grad()
    def of(cls, model: nn.Module, rank: int) -> Self:
        """Return the map that a network is, cut to a rank by its singular values."""
        matrix, bias = affine_probe(model)
        u, s, v = torch.linalg.svd(matrix)
        root, found = s[:rank].sqrt(), cls(rank)
        found.encoder[1].weight.copy_(root[:, None] * v[:rank])
        found.decoder[0].weight.copy_(u[:, :rank] * root)
        found.decoder[0].bias.copy_(bias)
        return found.eval()

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        return self.decoder(self.encoder(left))


@torch.no_grad()
def affine_probe(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return A (392, 392) and b (392,) with logit(model(x)) = A x + b if the model is affine.

    The network is probed, not read: b is its answer to black, and the columns of A are its answers
    to single white pixels, less b. All in float64, which the model is left in, and evaluation mode.
    """
    model, black = model.double().eval(), torch.zeros(1, *HALF_SHAPE, dtype=torch.float64)
    white = torch.eye(black.numel(), dtype=torch.float64).view(-1, *HALF_SHAPE)
    bias = torch.logit(model(black)).flatten()
    return (torch.logit(model(white)).flatten(1) - bias).T, bias
