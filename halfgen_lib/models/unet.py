"""A U-Net that predicts the right half: as near to its mean as squared error can bring it."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from .. import settings
from .base import HALF_SHAPE, Completer
from .blocks import NORMS, Blocks, Norm, Patch, ResidualBlock, Share, UNet, Widths, conv3x3

Skips = Literal["concatenated", "added"]
VECTOR = 256  # numbers that stand for the whole picture


class UNetSettings(settings.Settings):
    """The size of the network and what keeps it from learning by heart."""

    later: ClassVar[frozenset[str]] = frozenset({"norm", "skips"})

    widths: Widths = Field((32, 64, 128), description="channels of each level")
    blocks: Blocks = Field(1, description="residual blocks of a level")
    patch: Patch = 2
    dropout: Share = 0.05
    norm: Norm = Field("group", description="what a channel is normalised over")
    skips: Skips = Field("concatenated", description="how they join the way up")
    mirrored: bool = Field(
        True, description="build the right half in the left one's mirror image, and turn it over"
    )


class AdditiveUNet(nn.Module):
    """A U-Net whose skips are added, and whose lowest level sees the picture as one vector.

    A sum keeps a level's width, where a concatenation makes its first convolution several times
    as dear; and from the picture to the output there is a path of sums, as in a residual network
    (He et al. 2016). ``blocks.UNet``, which tells the options, is the one of concatenated skips.
    """

    def __init__(self, widths: Sequence[int], patch: int, dropout: float, blocks: int, norm: Norm):
        super().__init__()

        def level(width: int) -> nn.Sequential:
            made = (ResidualBlock(width, width, dropout, norm=norm) for _ in range(blocks))
            return nn.Sequential(*made)

        def activated(width: int) -> tuple[nn.Module, nn.Module]:
            return NORMS[norm](width), nn.SiLU()

        steps = list(pairwise(widths))
        self.first = nn.Sequential(nn.PixelUnshuffle(patch), conv3x3(patch**2, widths[0]))
        self.down = nn.ModuleList(level(width) for width in widths)
        self.halve = nn.ModuleList(
            nn.Sequential(*activated(a), conv3x3(a, b, stride=2)) for a, b in steps
        )
        scale = patch * 2 ** len(steps)
        lowest = (widths[-1], *(math.ceil(size / scale) for size in HALF_SHAPE[1:]))
        self.whole = nn.Sequential(
            *activated(widths[-1]),
            nn.Flatten(),
            nn.Linear(math.prod(lowest), VECTOR),
            nn.SiLU(),
            nn.Linear(VECTOR, math.prod(lowest)),
            nn.Unflatten(1, lowest),
        )
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps)
        self.skip = nn.ModuleList(nn.Conv2d(a, a, 1) for a, _ in steps)
        self.up = nn.ModuleList(level(width) for width in widths)
        self.last = nn.Sequential(
            *activated(widths[0]), conv3x3(widths[0], patch**2), nn.PixelShuffle(patch)
        )
        self.to(memory_format=torch.channels_last)  # faster, on a CPU too

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 1, 28, 14) to (N, 1, 28, 14)."""
        x = self.down[0](self.first(x))
        skips = []
        for halve, level in zip(self.halve, self.down[1:], strict=True):
            skips.append(x)
            x = level(halve(x))
        x = self.up[-1](x + self.whole(x))
        for number, skip in reversed(list(enumerate(skips))):
            above = F.interpolate(self.narrow[number](x), size=skip.shape[2:])  # nearest
            x = self.up[number](above + self.skip[number](skip))
        return self.last(x)


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
        size = (config.widths, config.patch, config.dropout)
        if config.skips == "added":
            self.network: nn.Module = AdditiveUNet(*size, config.blocks, config.norm)
        else:
            self.network = UNet(1, *size, blocks=config.blocks, norm=config.norm)

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        completed = torch.sigmoid(self.network(left))
        return completed.flip(-1) if self.config.mirrored else completed
