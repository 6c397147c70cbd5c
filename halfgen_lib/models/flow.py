"""Conditional flow matching: right halves are drawn by following a learned velocity field.

Lipman et al., "Flow matching for generative modeling", 2023, with straight paths: noise x0 ~
N(0, I) and a right half x1, scaled to [-1, 1], are joined by x_t = (1 - t) x0 + t x1, and the
network learns the velocity v(x_t, t, left) = E[x1 - x0 | x_t, left]. A draw starts at noise and
follows dx/dt = v from t = 0 to t = 1.

At t = 0 the noise tells nothing about the right half, so that x0 + v(x0, 0, left) = E[x1 | left]:
the same network gives the mean in one step.
"""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from .. import settings
from .base import Criterion, Sampler
from .blocks import Blocks, Patch, Share, UNet, Widths


class FlowSettings(settings.Settings):
    """The size of the velocity field's network, and how its paths are followed."""

    widths: Widths = Field((24, 48, 96), description="channels of each level")
    blocks: Blocks = Field(1, description="residual blocks of a level")
    patch: Patch = 2
    dropout: Share = 0.05
    embedding: Annotated[int, Field(ge=8, le=1024, multiple_of=8)] = Field(
        64, description="length of the vector that tells the time"
    )
    solver: Literal["euler", "heun"] = "heun"
    steps: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="of the solver")


class FlowCompleter(Sampler):
    """Noise and left half -> velocity field, followed in time -> right half."""

    Settings = FlowSettings
    mean_of = 2  # one-step means: they differ little
    inputs = 2  # maps that the velocity depends on: where it is, and what is known

    def __init__(self, config: FlowSettings | None = None):
        super().__init__()
        self.config = config = config or FlowSettings()
        length, size = config.embedding, (config.widths, config.patch, config.dropout)
        self.embed = nn.Sequential(nn.Linear(length, length), nn.SiLU(), nn.Linear(length, length))
        self.network = UNet(self.inputs, *size, length, config.blocks)

    def velocity(self, x: Tensor, time: Tensor, known: Tensor) -> Tensor:
        """Return v(x, t, left): (B, 1, 28, 14).

        ``x`` (B, 1, 28, 14) is a place on the way, ``time`` (B,) in [0, 1], and ``known``
        (B, C, 28, 14), about in [-1, 1], what the left half tells. All are in the pose of
        :class:`unet.UNetCompleter`: the right half's mirror image lies on the left half.
        """
        exponents = torch.linspace(0, math.log(1000), self.config.embedding // 2, device=x.device)
        angles = time[:, None] * exponents.exp()
        embedded = self.embed(torch.cat((angles.sin(), angles.cos()), dim=1))
        return self.network(torch.cat((x, known), dim=1), embedded)

    def on_a_path(self, end: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return the learned and the true velocity at a random time of a random path to ``end``."""
        start = torch.randn_like(end)
        time = torch.rand(len(end), device=end.device)
        at = torch.lerp(start, end, time[:, None, None, None])
        return self.velocity(at, time, known), end - start

    def follow(self, x: Tensor, known: Tensor) -> Tensor:
        """Follow the velocity from noise at t = 0 to t = 1.

        Heun's last step is Euler's, as Karras et al. (2022) have it: from there the velocity leads
        to the mean of what is still possible, and its error at t = 1 stays out of the picture.
        """
        step = 1 / self.config.steps
        for number in range(self.config.steps):
            time = x.new_full((len(x),), number * step)
            slope = self.velocity(x, time, known)
            if self.config.solver == "heun" and number < self.config.steps - 1:
                # the mean of the slopes at both ends of the step
                slope = (slope + self.velocity(x + step * slope, time + step, known)) / 2
            x = x + step * slope
        return x

    def loss(self, left: Tensor, right: Tensor, criterion: Criterion) -> Tensor:
        """Return the mean squared error of the velocity at random times on random paths."""
        return F.mse_loss(*self.on_a_path(2 * right.flip(-1) - 1, 2 * left - 1))

    def forward(self, left: Tensor) -> Tensor:
        """Return the mean right half, by one step from each of a few noises."""
        generator = torch.Generator().manual_seed(0)
        means = []
        for _ in range(self.mean_of):
            start = self.noise(left, left.shape, generator)
            means.append(start + self.velocity(start, left.new_zeros(len(left)), 2 * left - 1))
        return self._picture(torch.stack(means).mean(0))

    def draw(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """Follow the velocity from noise to a right half; see :meth:`Sampler.draw`."""
        start = self.noise(left, left.shape, generator)
        return self._picture(self.follow(start, 2 * left - 1))

    @staticmethod
    def _picture(x: Tensor) -> Tensor:
        return ((x + 1) / 2).clamp(0, 1).flip(-1)
