"""A conditional generative adversarial network whose noise is used.

The setting is that of Isola et al., "Image-to-image translation with conditional adversarial
networks" (pix2pix), 2017: a U-Net generator, a discriminator that judges patches, and an L1 term.
There the generator learns to ignore its noise, because L1 of a single draw rewards the median.
Here L1 is that of the mean of two draws, less a reward for their spread, weighted so that for a
Gaussian the best spread is the true one: Bendel, Ahmad and Schniter, "A regularized conditional
GAN for posterior sampling in image recovery problems", 2023.
"""

import math
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .. import settings
from .base import Criterion, Sampler
from .blocks import Patch, Share, UNet, Widths


class GANSettings(settings.Settings):
    """The size of both networks, and the weight of the judgement."""

    patch: Patch = 2
    widths: Widths = Field((16, 32, 64), description="channels of each level of the generator")
    judge_widths: Widths = Field((16, 32, 64), description="of the discriminator's layers")
    latent_dim: Annotated[int, Field(ge=1, le=1024)] = Field(32, description="of the noise")
    dropout: Share = 0.0
    adversarial: Annotated[float, Field(ge=0, le=100)] = Field(
        0.01, description="weight of the discriminator's judgement against the L1 term"
    )


class GANCompleter(Sampler):
    """Left half and noise -> generator -> right half, judged with its left half by patches."""

    Settings = GANSettings

    def __init__(self, config: GANSettings | None = None):
        super().__init__()
        self.config = config = config or GANSettings()
        # the noise comes twice: as a vector for the whole and as a map for the details
        self.generator = UNet(2, config.widths, config.patch, config.dropout, config.latent_dim)
        layers: list[nn.Module] = []
        for a, b in pairwise((1, *config.judge_widths)):
            layers += [spectral_norm(nn.Conv2d(a, b, 4, 2, padding=1)), nn.LeakyReLU(0.2)]
        last = nn.Conv2d(config.judge_widths[-1], 1, 3, padding=1, bias=False)
        self.judge = nn.Sequential(*layers, spectral_norm(last))

    def loss(self, left: Tensor, right: Tensor, criterion: Criterion) -> Tensor:
        """Return the sum of the generator's and the discriminator's losses.

        Each network sees only its own: the generator is judged with the discriminator's weights
        held, and the discriminator by draws through which no gradient flows. So one optimizer
        moves both at once.
        """
        first, second = (self._generate(left, *self._random(left)) for _ in range(2))
        generator_loss = l1_and_spread(first, second, right)
        held = {name: value.detach() for name, value in self.judge.state_dict().items()}
        judgement = torch.func.functional_call(self.judge, held, (_whole(left, first),))
        generator_loss = generator_loss - self.config.adversarial * judgement.mean()
        real, drawn = self.judge(_whole(left, right)), self.judge(_whole(left, first.detach()))
        return generator_loss + F.relu(1 - real).mean() + F.relu(1 + drawn).mean()  # hinge loss

    def draw(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """Draw noise and generate a right half from it; see :meth:`Sampler.draw`."""
        code = self.noise(left, (len(left), self.config.latent_dim), generator)
        return self._generate(left, code, self.noise(left, left.shape, generator))

    def _random(self, left: Tensor) -> tuple[Tensor, Tensor]:
        code = torch.randn(len(left), self.config.latent_dim, device=left.device)
        return code, torch.randn_like(left)

    def _generate(self, left: Tensor, code: Tensor, noise: Tensor) -> Tensor:
        """Return right halves (B, 1, 28, 14), in the mirrored pose of the U-Net until the end."""
        return torch.sigmoid(self.generator(torch.cat((left, noise), dim=1), code)).flip(-1)


def l1_and_spread(first: Tensor, second: Tensor, right: Tensor) -> Tensor:
    """Return mean |y - (a + b) / 2| - beta gamma (|a - m| + |b - m|), m the mean of a and b.

    For P = 2 draws (B, 1, 28, 14), beta = sqrt(2 / (pi P (P + 1))) and gamma = sqrt(pi / (2 P
    (P - 1))): if y is Gaussian, the minimum lies at draws with its mean and standard deviation.
    """
    beta, gamma = math.sqrt(1 / (3 * math.pi)), math.sqrt(math.pi / 4)
    distance = F.l1_loss((first + second) / 2, right)
    spread = gamma * (first - second).abs().mean()  # |a - m| = |b - m| = |a - b| / 2
    return distance - beta * spread


def _whole(left: Tensor, right: Tensor) -> Tensor:
    return torch.cat((left, right), dim=-1)
