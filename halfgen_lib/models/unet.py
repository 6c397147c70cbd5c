"""A U-Net that predicts the right half: as near to its mean as squared error can bring it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from .. import settings
from .base import Completer
from .blocks import GROUPS, Norm, UNet

Width = Annotated[int, Field(ge=GROUPS, le=1024, multiple_of=GROUPS)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=4)]
Blocks = Annotated[int, Field(ge=1, le=8)]
Patch = Literal[1, 2]
Share = Annotated[float, Field(ge=0, lt=1)]


class UNetSettings(settings.Settings):
    """The size of the network and what keeps it from learning by heart."""

    later: ClassVar[frozenset[str]] = frozenset({"norm"})

    widths: Widths = Field((32, 64, 128), description="channels of each level")
    blocks: Blocks = Field(1, description="residual blocks of a level")
    patch: Patch = Field(2, description="the network's pixels have so many of the picture's a side")
    dropout: Share = 0.05
    norm: Norm = Field("group", description="what a channel is normalised over")
    mirrored: bool = Field(
        True, description="build the right half in the left one's mirror image, and turn it over"
    )


class UNetCompleter(Completer):
    """Left half -> U-Net -> right half.

    A garment's right half is much like the mirror image of its left one. So the network builds
    the mirror image of the right half, where each skip brings the pixels that lie opposite, and
    where the seam is on the same side in input and output; the result is turned over at the end.
    """

    Settings = UNetSettings

    def __init__(self, config: UNetSettings | None = None):
        super().__init__()
        self.config = config = config or UNetSettings()
        self.network = UNet(
            1,
            1,
            config.widths,
            config.blocks,
            config.patch,
            config.dropout,
            norm=config.norm,
        )

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        completed = torch.sigmoid(self.network(left))
        return completed.flip(-1) if self.config.mirrored else completed
