"""A fully connected network: what convolution is worth, other things equal."""

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
        pixels, layers = HALF_SHAPE[1] * HALF_SHAPE[2], [nn.Flatten()]
        width = pixels
        for hidden in config.hidden_dims:
            layers += [nn.Linear(width, hidden), nn.ReLU()]
            width = hidden
        layers += [nn.Linear(width, pixels), nn.Sigmoid(), nn.Unflatten(1, HALF_SHAPE)]
        self.layers = nn.Sequential(*layers)

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        return self.layers(left)
