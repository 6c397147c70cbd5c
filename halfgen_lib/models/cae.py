"""The convolutional autoencoder of the seed report.

M. Erkol, "CS554 Introduction to Machine Learning: Convolutional Auto Encoder", 2023, section 3.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from .. import settings
from . import patches
from .base import HALF_SHAPE, Completer

Positive = Annotated[int, Field(ge=1, le=4096)]
Pads = tuple[int, int, int, int]  # top, bottom, left, right


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


def encoder_shapes(config: CAESettings) -> tuple[list[tuple[int, int]], list[Pads]]:
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


class PaddedConv2d(nn.Conv2d):
    """A convolution whose padding may differ from side to side."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, pads: Pads):
        top, bottom, left, right = pads
        even = (min(top, bottom), min(left, right))
        super().__init__(inputs, outputs, kernel, stride, padding=even)
        self.extra = (left - even[1], right - even[1], top - even[0], bottom - even[0])

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, outputs, H', W')."""
        if patches.pay(x):
            (high, wide), (left, right, top, bottom) = self.padding, self.extra
            padded = F.pad(x, (wide + left, wide + right, high + top, high + bottom))
            return patches.conv2d(padded, self.weight, self.bias, self.stride[0])
        return super().forward(F.pad(x, self.extra) if any(self.extra) else x)


class CroppedConvTranspose2d(nn.ConvTranspose2d):
    """The mirror of a padded convolution: transposed, and cropped where that one was padded."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        stride: int,
        pads: Pads,
        size: tuple[int, int],
        output_size: tuple[int, int],
    ):
        top, bottom, left, right = pads
        even = (min(top, bottom), min(left, right))
        # a strided convolution may leave out the last pixels; they are given back here
        short = tuple(
            max(out + pad - ((n - 1) * stride + k), 0)
            for n, k, pad, out in zip(
                size, kernel, (top + bottom, left + right), output_size, strict=True
            )
        )
        super().__init__(inputs, outputs, kernel, stride, padding=even, output_padding=short)
        self.window = (top - even[0], left - even[1], *output_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H', W') to (N, outputs, H, W)."""
        top, left, height, width = self.window
        if patches.pay(x):
            whole = patches.conv_transpose2d(x, self.weight, self.stride[0], self._size(x))
            top, left = top + self.padding[0], left + self.padding[1]
            cropped = whole[:, :, top : top + height, left : left + width]
            return cropped + self.bias[:, None, None]
        return super().forward(x)[:, :, top : top + height, left : left + width]

    def _size(self, x: Tensor) -> tuple[int, int]:
        """Return the height and width before cropping."""
        return tuple(
            (n - 1) * self.stride[0] + kernel + short
            for n, kernel, short in zip(
                x.shape[2:], self.kernel_size, self.output_padding, strict=True
            )
        )


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
        sizes, pads = encoder_shapes(config)
        flat = (config.features[-1], *sizes[-1])
        self.encoder = nn.Sequential(
            *self._convolutions(pads),
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
            *self._transposed_convolutions(sizes, pads),
            nn.Sigmoid(),
        )

    def _after(self, features: int, last: bool) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(features)] if self.config.batch_norm and not last else []
        return [*norm, nn.LeakyReLU(self.config.negative_slope)]

    def _convolutions(self, pads: list[Pads]) -> list[nn.Module]:
        config, layers = self.config, []
        channels = (1, *config.features)
        for i, pad in enumerate(pads):
            layers.append(
                PaddedConv2d(channels[i], channels[i + 1], config.kernel_size, config.stride, pad)
            )
            layers += self._after(channels[i + 1], last=i == len(pads) - 1)
        return layers

    def _transposed_convolutions(self, sizes: list, pads: list[Pads]) -> list[nn.Module]:
        config, layers = self.config, []
        channels = (1, *config.features)
        for i in reversed(range(len(pads))):
            layers.append(
                CroppedConvTranspose2d(
                    channels[i + 1],
                    channels[i],
                    config.kernel_size,
                    config.stride,
                    pads[i],
                    sizes[i + 1],
                    sizes[i],
                )
            )
            layers += self._after(channels[i], last=False) if i else []
        return layers

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        return self.decoder(self.encoder(left))
