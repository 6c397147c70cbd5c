"""Flow matching of what a mean leaves open: draws are a U-Net's mean and a drawn residual.

Most of a right half is decided by the left one: background stays background. A flow of whole right
halves spends its capacity on that; here a U-Net learns the mean m(left) = E[right | left], a small
network the spread s(left), and the flow only the standardised residual z = (right - m) / s, which
is of one size everywhere. A draw is m + s z. Mardani et al., "Residual corrective diffusion
modeling", 2025, draw residuals of a mean; that they are divided by a learned spread is our own.
"""

import math
from typing import Annotated, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from .base import Completer, Criterion
from .blocks import Share, UNet, Widths
from .flow import FlowCompleter, FlowSettings
from .unet import AdditiveUNet, UNetSettings

SMALLEST = 0.02  # spread: that of a pixel which is known but for its noise
TYPICAL = 0.13  # spread: scales it for the network that reads it
GAUSSIAN = math.sqrt(math.pi / 2)  # a Gaussian's standard deviation over its mean deviation


class ResidualFlowSettings(FlowSettings):
    """The size of the three networks, and how the flow's paths are followed."""

    later: ClassVar[frozenset[str]] = frozenset({"stretch", "black_below"})

    # These two decide draws, not training. They were chosen on validation images, see `draw`.
    stretch: Annotated[float, Field(gt=0, le=10, description="of the drawn residuals")] = 1.1
    black_below: Share = Field(0.04, description="lower grey values are drawn as black, 0")
    mean_widths: Widths = Field((16, 32, 64, 128), description="channels of the mean's levels")
    spread_widths: Widths = Field((16, 32), description="channels of the spread's levels")


class ResidualFlowCompleter(FlowCompleter):
    """Left half -> mean and spread; noise and all three -> residual -> right half."""

    Settings = ResidualFlowSettings
    inputs = 4  # where the flow is; left half, mean, spread
    mean_of = 0

    def __init__(self, config: ResidualFlowSettings | None = None):
        config = config or ResidualFlowSettings()
        super().__init__(config)
        self.mean = AdditiveUNet(config.mean_widths, 1, 0.0, 1, norm="batch")
        self.deviation = UNet(2, config.spread_widths, config.patch)

    def take_mean(self, teacher: Completer) -> None:
        """Take a trained U-Net for the mean, which then stays as it is.

        A ValueError names its settings if they are not those of this network's mean.
        """
        sizes = {"widths": self.config.mean_widths, "patch": 1, "dropout": 0.0}
        needed = UNetSettings(**sizes, norm="batch", skips="added")
        if (found := getattr(teacher, "config", None)) != needed:
            kind = type(teacher).__name__
            raise ValueError(f"the mean is a U-Net of {needed}; the teacher, a {kind}, of {found}")
        self.mean.load_state_dict(teacher.network.state_dict())
        self.mean.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Put the network in training mode, but not a mean that was taken."""
        super().train(mode)
        self.mean.train(mode and next(self.mean.parameters()).requires_grad)
        return self

    def expect(self, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, mean deviation, and what the velocity is told: (B, 1 or 3, 28, 14).

        In the pose of :meth:`velocity`. Gradients reach the mean through the first and the
        deviation through the second alone: no network helps another one to a lower loss.
        """
        mean = torch.sigmoid(self.mean(left))
        seen = torch.cat((2 * left - 1, 2 * mean.detach() - 1), dim=1)
        deviation = F.softplus(self.deviation(seen) - 3)  # small at first
        spread = self._spread(deviation.detach())
        return mean, deviation, torch.cat((seen, spread / TYPICAL - 1), dim=1)

    def loss(self, left: Tensor, right: Tensor, criterion: Criterion) -> Tensor:
        """Return the sum of the three networks' losses.

        The squared errors of mean and mean deviation; and of the velocity of z, weighted by the
        spread, in whose proportion it is seen in the picture. A mean that was taken stays.
        """
        end = right.flip(-1)
        mean, deviation, known = self.expect(left)
        residual, spread = end - mean.detach(), self._spread(deviation.detach())
        learned, true = self.on_a_path(residual / spread, known)
        flow = (spread * (learned - true).square()).mean() / spread.mean()
        return F.mse_loss(mean, end) + F.mse_loss(deviation, residual.abs()) + flow

    def forward(self, left: Tensor) -> Tensor:
        """Return the mean right half; see :meth:`Completer.forward`."""
        return torch.sigmoid(self.mean(left)).flip(-1)

    def draw(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a residual and add it to the mean; see :meth:`Sampler.draw`.

        A mean knows the images that it was fitted to, and errs more by others: drawn residuals,
        learned from those of training images, are stretched. Almost half of the true pixels are
        exactly black: no density has that, and dark pixels are made so.
        """
        mean, deviation, known = self.expect(left)
        start = self.noise(left, left.shape, generator)
        z = self.config.stretch * self.follow(start, known)
        drawn = (mean + self._spread(deviation) * z).clamp(0, 1).flip(-1)
        return drawn.where(drawn >= self.config.black_below, 0)

    @staticmethod
    def _spread(deviation: Tensor) -> Tensor:
        return SMALLEST + GAUSSIAN * deviation
