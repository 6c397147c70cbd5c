"""The convolutional autoencoder of the seed report.

M. Erkol, "CS554 Introduction to Machine Learning: Convolutional Auto Encoder", 2023, section 3.
"""

from collections.abc import Iterable
from itertools import pairwise
from math import prod
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from ..settings import Settings
from .base import HALF_SHAPE, Completer
from .padding import PaddedConv2d, PaddedConvTranspose2d, Pads, Size, conv_output_size, same_padding

Positive = Annotated[int, Field(ge=1, le=4096)]


class CAESettings(Settings):
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
    def _shapes_fit(self) -> Self:
        if self.padding != "same" and len(self.padding) != len(self.features):
            raise ValueError(
                f"padding {self.padding} has {len(self.padding)} numbers for"
                f" {len(self.features)} convolutions; give one for each, or 'same'"
            )
        encoder_shapes(self)
        return self


def encoder_shapes(
    config: CAESettings, size: Size = HALF_SHAPE[1:]
) -> tuple[list[Size], list[Pads]]:
    """Return the (height, width) before each convolution and after the last, and the paddings."""
    sizes, pads, strides = [size], [], (config.stride, config.stride)
    for layer in range(len(config.features)):
        rows = columns = (config.padding[layer],) * 2
        if config.padding == "same":
            rows, columns = map(same_padding, sizes[-1], config.kernel_size, strides)
        added = sum(rows), sum(columns)
        after = tuple(map(conv_output_size, sizes[-1], config.kernel_size, strides, added))
        if min(after) < 1:
            raise ValueError(
                f"convolution {layer + 1} has kernel {config.kernel_size} on a map of"
                f" {sizes[-1][0]}x{sizes[-1][1]}: no output is left; use fewer or smaller ones"
            )
        pads.append((rows, columns))
        sizes.append(after)
    return sizes, pads


class ConvAutoencoder(Completer):
    """Left half -> strided convolutions -> 256 -> latent 64 -> the mirror image -> right half.

    LeakyReLU follows every convolutional and fully connected layer but two: the latent code is
    linear, and the last layer ends in a sigmoid, which keeps the output in [0, 1]. Batch
    normalisation stands where the seed has it: between convolutions. ``shape`` is a half's.
    """

    Settings = CAESettings

    def __init__(self, config: CAESettings | None = None, shape: tuple[int, ...] = HALF_SHAPE):
        super().__init__()
        self.config = config = config or CAESettings()
        self.shape, slope = shape, config.negative_slope
        channels = (shape[0], *config.features)
        sizes, pads = encoder_shapes(config, shape[1:])
        flat = (channels[-1], *sizes[-1])
        convolutions = [
            PaddedConv2d(inputs, outputs, config.kernel_size, config.stride, size, pad)
            for (inputs, outputs), size, pad in zip(pairwise(channels), sizes, pads, strict=False)
        ]
        self.encoder = nn.Sequential(
            *self._join(convolutions),
            nn.LeakyReLU(slope),
            nn.Flatten(),
            nn.Linear(prod(flat), config.hidden_dim),
            nn.LeakyReLU(slope),
            nn.Linear(config.hidden_dim, config.latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(config.latent_dim, config.hidden_dim),
            nn.LeakyReLU(slope),
            nn.Linear(config.hidden_dim, prod(flat)),
            nn.LeakyReLU(slope),
            nn.Unflatten(1, flat),
            *self._join(PaddedConvTranspose2d(each) for each in reversed(convolutions)),
            nn.Sigmoid(),
        )

    def _join(self, convolutions: Iterable[nn.Module]) -> list[nn.Module]:
        """Put batch normalisation and LeakyReLU between the convolutions."""
        layers: list[nn.Module] = []
        for convolution in convolutions:
            if layers and self.config.batch_norm:
                layers.append(nn.BatchNorm2d(convolution.in_channels))
            if layers:
                layers.append(nn.LeakyReLU(self.config.negative_slope))
            layers.append(convolution)
        return layers

    def forward(self, left: Tensor) -> Tensor:
        """Complete a batch: (N, 1, 28, 14) in [0, 1] to (N, 1, 28, 14) in [0, 1]."""
        if left.shape[1:] != self.shape:
            allowed = ", ".join(map(str, self.shape))
            raise ValueError(f"left has shape {tuple(left.shape)}; (N, {allowed}) is needed")
        return self.decoder(self.encoder(left))
