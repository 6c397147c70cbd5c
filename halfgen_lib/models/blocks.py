"""The parts that the networks beyond the seed's share: residual blocks and a small U-Net.

Ronneberger, Fischer and Brox, "U-Net", 2015; He et al., "Identity mappings in deep residual
networks", 2016; Perez et al., "FiLM", 2018, for the modulation by a vector.
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from .base import HALF_SHAPE

GROUPS = 4  # of channels that are normalised together; every width is a multiple of it

# the settings that these networks share
Width = Annotated[int, Field(ge=GROUPS, le=1024, multiple_of=GROUPS)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=4)]
Blocks = Annotated[int, Field(ge=1, le=8)]
Patch = Annotated[
    Literal[1, 2], Field(description="the network's pixels have so many of the picture's a side")
]
Share = Annotated[float, Field(ge=0, lt=1)]
Norm = Literal["group", "batch"]
# A group's normalisation is each image's own and takes its brightness and contrast away; a batch's
# leaves them.
NORMS = {"group": partial(nn.GroupNorm, GROUPS), "batch": nn.BatchNorm2d}
conv3x3 = partial(nn.Conv2d, kernel_size=3, padding=1)


class ResidualBlock(nn.Module):
    """Add two 3x3 convolutions of the normalised input to the input.

    Between them a share ``dropout`` of the numbers is set to zero, and a vector of the length
    ``embedding``, if that is not 0, scales and shifts the channels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        dropout: float = 0.0,
        embedding: int = 0,
        norm: Norm = "group",
    ):
        super().__init__()
        self.before = nn.Sequential(NORMS[norm](inputs), nn.SiLU(), conv3x3(inputs, outputs))
        self.norm = NORMS[norm](outputs)
        self.modulation = nn.Linear(embedding, 2 * outputs) if embedding else None
        self.after = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), conv3x3(outputs, outputs))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W); ``embedded`` is (N, embedding)."""
        h = self.norm(self.before(x))
        if self.modulation is not None:
            scale, shift = self.modulation(embedded)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.skip(x) + self.after(h)


class Attention(nn.Module):
    """Let every place look at every other: self-attention with one head (Vaswani et al. 2017)."""

    def __init__(self, channels: int, norm: Norm = "group"):
        super().__init__()
        self.norm = NORMS[norm](channels)
        self.queries_keys_values = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        q, k, v = self.queries_keys_values(self.norm(x)).flatten(2).mT.chunk(3, dim=2)
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(seen.mT.unflatten(2, x.shape[2:]))


class UNet(nn.Module):
    """Halve the picture level by level, and build it up again with a skip from each level.

    Two channels of coordinates are added to the input: where a pixel lies matters here. The picture
    is cut into squares of ``patch`` pixels a side, whose pixels become channels; all work is done
    at this lower resolution. ``widths`` are the channels of each level, of which every one but the
    first has half the height and width; each has so many ``blocks`` on the way down and on the way
    up, with ``dropout``, ``embedding`` and ``norm`` as :class:`ResidualBlock` has them.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        patch: int = 1,
        dropout: float = 0.0,
        embedding: int = 0,
        blocks: int = 1,
        norm: Norm = "group",
    ):
        super().__init__()
        axes = (torch.linspace(-1, 1, size // patch) for size in HALF_SHAPE[1:])
        place = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        self.register_buffer("place", place, persistent=False)
        self.cut = nn.PixelUnshuffle(patch)
        self.first = conv3x3(inputs * patch**2 + 2, widths[0])
        options = dropout, embedding, norm

        def level(start: int, end: int) -> nn.ModuleList:
            channels = (start, *[end] * blocks)
            return nn.ModuleList(ResidualBlock(a, b, *options) for a, b in pairwise(channels))

        self.down = nn.ModuleList(level(a, b) for a, b in pairwise((widths[0], *widths)))
        self.halve = nn.ModuleList(conv3x3(w, w, stride=2) for w in widths[:-1])
        self.attention = Attention(widths[-1], norm)
        self.middle = ResidualBlock(widths[-1], widths[-1], *options)
        below = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(level(a + b, b) for a, b in zip(below, widths, strict=True))
        self.last = nn.Sequential(
            NORMS[norm](widths[0]), nn.SiLU(), conv3x3(widths[0], patch**2), nn.PixelShuffle(patch)
        )
        self.to(memory_format=torch.channels_last)  # faster, on a CPU too

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        """Map (N, inputs, 28, 14) to (N, 1, 28, 14)."""
        x = self.first(torch.cat((self.cut(x), self.place.expand(len(x), -1, -1, -1)), dim=1))
        skips = []
        for number, blocks in enumerate(self.down):
            x = self.halve[number - 1](x) if number else x
            for block in blocks:
                x = block(x, embedded)
            skips.append(x)
        x = self.middle(self.attention(x), embedded)
        for blocks, skip in zip(reversed(self.up), reversed(skips), strict=True):
            if x.shape[2:] != skip.shape[2:]:
                x = F.interpolate(x, size=skip.shape[2:])  # nearest
            x = torch.cat((x, skip), dim=1)
            for block in blocks:
                x = block(x, embedded)
        return self.last(x)


class Encoder(nn.Module):
    """Halve the picture level by level, as :class:`UNet` does, and give one vector."""

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int, patch: int = 1):
        super().__init__()
        layers: list[nn.Module] = [nn.PixelUnshuffle(patch), conv3x3(inputs * patch**2, widths[0])]
        for number, (a, b) in enumerate(pairwise((widths[0], *widths))):
            layers += [conv3x3(a, a, stride=2)] if number else []
            layers.append(ResidualBlock(a, b))
        scale = patch * 2 ** (len(widths) - 1)
        pixels = math.prod(math.ceil(size / scale) for size in HALF_SHAPE[1:])
        layers += [nn.GroupNorm(GROUPS, widths[-1]), nn.SiLU(), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1] * pixels, outputs))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, 28, 14) to (N, outputs)."""
        return self.layers(x)
