"""The convolutional autoencoder of the seed report.

M. Erkol, "CS554 Introduction to Machine Learning: Convolutional Auto Encoder", 2023, section 3.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal, NamedTuple

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from .. import settings
from . import strips
from .base import HALF_SHAPE, Completer
from .strips import Pads, Size

Positive = Annotated[int, Field(ge=1, le=4096)]


class CAESettings(settings.Settings):
    """The seed's hyperparameters; the defaults are those of its text."""

    features: tuple[Positive, ...] = Field((32, 64, 128), min_length=1, max_length=4)
    kernel_size: tuple[Positive, Positive] = (4, 2)
    stride: Positive = 2
    padding: Literal["same"] | tuple[Annotated[int, Field(ge=0, le=8)], ...] = Field(
        "same", description="'same', or the pixels added on every side, one number a convolution"
    )
    hidden_dim: Positive = 256
    latent_dim: Positive = 64
    negative_slope: float = Field(0.01, ge=0, le=1, description="LeakyReLU's alpha; 1: identity")
    batch_norm: bool = True

    @model_validator(mode="after")
    def _shapes_fit(self) -> CAESettings:
        if self.padding != "same" and len(self.padding) != len(self.features):
            raise ValueError(
                f"padding {self.padding} has {len(self.padding)} numbers for"
                f" {len(self.features)} convolutions; give one for each, or 'same'"
            )
        encoder_shapes(self)
        return self


def conv_output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return O = floor((W - K + P) / S) + 1, the seed's equation (1) with P the total padding."""
    return (size - kernel + padding) // stride + 1


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the pixels to add before and after so that the output has ceil(size / stride).

    The total is max((ceil(size / stride) - 1) * stride + kernel - size, 0) and an odd pixel goes
    to the end, as in TensorFlow's ``padding="SAME"``.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def encoder_shapes(config: CAESettings) -> tuple[list[Size], list[Pads]]:
    """Return the (height, width) before each convolution and after the last, and the paddings.

    Raises:
        ValueError: if a convolution would have no output.
    """
    sizes, pads = [HALF_SHAPE[1:]], []
    for layer in range(len(config.features)):
        if config.padding == "same":
            both = [
                same_padding(size, kernel, config.stride)
                for size, kernel in zip(sizes[-1], config.kernel_size, strict=True)
            ]
        else:
            both = [(config.padding[layer],) * 2] * 2
        after = tuple(
            conv_output_size(size, kernel, config.stride, sum(pad))
            for size, kernel, pad in zip(sizes[-1], config.kernel_size, both, strict=True)
        )
        if min(after) < 1:
            raise ValueError(
                f"convolution {layer + 1} has kernel {config.kernel_size} on a map of"
                f" {sizes[-1][0]}x{sizes[-1][1]}: no output is left; use fewer or smaller ones"
            )
        pads.append((*both[0], *both[1]))
        sizes.append(after)
    return sizes, pads


class Geometry(NamedTuple):
    """The shapes of a convolution, and of its mirror, which reads them from the other end.

    Attributes:
        kernel: (height, width).
        stride: in both directions.
        pads: pixels to add on each side of an image before the convolution.
        size, output_size: (height, width) of an image before the convolution, and after.
    """

    kernel: Size
    stride: int
    pads: Pads
    size: Size
    output_size: Size

    @property
    def even(self) -> Size:
        """Pixels of padding that both sides have: vertical, horizontal."""
        top, bottom, left, right = self.pads
        return min(top, bottom), min(left, right)


class PaddedConv2d(nn.Conv2d):
    """A convolution whose padding may differ from side to side.

    Args:
        inputs, outputs: channels.
        geometry: its shapes.
        last: of the stack; where it works on strips it gives images one by one.
    """

    def __init__(self, inputs: int, outputs: int, geometry: Geometry, last: bool = False):
        even = geometry.even
        super().__init__(inputs, outputs, geometry.kernel, geometry.stride, padding=even)
        top, bottom, left, right = self.pads = geometry.pads
        self.extra = (left - even[1], right - even[1], top - even[0], bottom - even[0])
        self.width, self.output_width = geometry.size[1], geometry.output_size[1]
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, outputs, H', W'), both as images or as strips of them."""
        x = strips.lay_where_it_pays(x, self)
        if x.shape[3] == self.width:
            return super().forward(F.pad(x, self.extra) if any(self.extra) else x)
        maps = strips.conv2d(x, self.weight, self.bias, self.pads, self.width)
        return strips.part(maps, self.output_width) if self.last else maps


class CroppedConvTranspose2d(nn.ConvTranspose2d):
    """The mirror of a padded convolution: transposed, and cropped where that one was padded.

    Args:
        inputs, outputs: channels.
        geometry: the shapes of that convolution.
        last: of the stack; where it works on strips it gives images one by one.
    """

    def __init__(self, inputs: int, outputs: int, geometry: Geometry, last: bool = False):
        (kernel, stride, pads, image, maps), even = geometry, geometry.even
        top, bottom, left, right = self.pads = pads
        # a strided convolution may leave out the last pixels; they are given back here
        short = tuple(
            max(out + pad - ((n - 1) * stride + k), 0)
            for n, k, pad, out in zip(
                maps, kernel, (top + bottom, left + right), image, strict=True
            )
        )
        super().__init__(inputs, outputs, kernel, stride, padding=even, output_padding=short)
        self.window = (top - even[0], left - even[1], *image)
        self.width, self.output_size, self.last = maps[1], image, last

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H', W') to (N, outputs, H, W), both as images or as strips of them."""
        x = strips.lay_where_it_pays(x, self)
        if x.shape[3] == self.width:
            top, left, height, width = self.window
            return super().forward(x)[:, :, top : top + height, left : left + width]
        maps = strips.conv_transpose2d(x, self.weight, self.bias, self.pads, self.output_size)
        return strips.part(maps, self.output_size[1]) if self.last else maps


class ConvAutoencoder(Completer):
    """Left half -> strided convolutions -> 256 -> latent 64 -> the mirror image -> right half.

    LeakyReLU follows every convolutional and fully connected layer but two: the latent code is
    linear, and the last layer ends in a sigmoid, which keeps the output in [0, 1]. Batch
    normalisation stands where the seed has it: after the first two convolutions, and after the
    first two transposed ones (all but the last, at other depths).
    """

    Settings = CAESettings

    def __init__(self, config: CAESettings | None = None):
        super().__init__()
        self.config = config = config or CAESettings()
        self.shape = HALF_SHAPE
        sizes, pads = encoder_shapes(config)
        shapes = [
            Geometry(config.kernel_size, config.stride, pad, before, after)
            for pad, before, after in zip(pads, sizes[:-1], sizes[1:], strict=True)
        ]
        flat = (config.features[-1], *sizes[-1])
        self.encoder = nn.Sequential(
            *self._convolutions(shapes),
            nn.Flatten(),
            nn.Linear(prod(flat), config.hidden_dim),
            nn.LeakyReLU(config.negative_slope),
            nn.Linear(config.hidden_dim, config.latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(config.latent_dim, config.hidden_dim),
            nn.LeakyReLU(config.negative_slope),
            nn.Linear(config.hidden_dim, prod(flat)),
            nn.LeakyReLU(config.negative_slope),
            nn.Unflatten(1, flat),
            *self._transposed_convolutions(shapes),
            nn.Sigmoid(),
        )

    def _after(self, features: int, last: bool) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(features)] if self.config.batch_norm and not last else []
        return [*norm, nn.LeakyReLU(self.config.negative_slope)]

    def _convolutions(self, shapes: list[Geometry]) -> list[nn.Module]:
        channels, layers = (1, *self.config.features), []
        for i, geometry in enumerate(shapes):
            last = i == len(shapes) - 1
            layers.append(PaddedConv2d(channels[i], channels[i + 1], geometry, last))
            layers += self._after(channels[i + 1], last)
        return layers

    def _transposed_convolutions(self, shapes: list[Geometry]) -> list[nn.Module]:
        channels, layers = (1, *self.config.features), []
        for i in reversed(range(len(shapes))):
            last = not i
            layers.append(CroppedConvTranspose2d(channels[i + 1], channels[i], shapes[i], last))
            layers += self._after(channels[i], last=False) if i else []
        return layers

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1].

        Raises:
            ValueError: for images of another shape, which could pass for strips.
        """
        if left.shape[1:] != self.shape:
            allowed = ", ".join(map(str, self.shape))
            raise ValueError(f"left has shape {tuple(left.shape)}; (N, {allowed}) is needed")
        return self.decoder(self.encoder(left))
