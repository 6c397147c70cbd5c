"""A fully connected network: what convolution is worth, other things equal."""

from itertools import pairwise
from math import prod
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ..settings import Settings
from .base import HALF_SHAPE, Completer


class MLPSettings(Settings):
    """The hyperparameters."""

    hidden_dims: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (768, 768), max_length=4, description="numbers in each hidden layer"
    )


class MLPCompleter(Completer):
    """392 pixels, hidden layers with ReLU, 392 pixels through a sigmoid: no pixel has a place."""

    Settings = MLPSettings

    def __init__(self, config: MLPSettings):
        super().__init__()
        layers, widths = [nn.Flatten()], (prod(HALF_SHAPE), *config.hidden_dims)
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        last = nn.Linear(widths[-1], widths[0])
        self.layers = nn.Sequential(*layers, last, nn.Sigmoid(), nn.Unflatten(1, HALF_SHAPE))

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        return self.layers(left)
