"""A conditional variational autoencoder.

Sohn, Lee and Yan, "Learning structured output representation using deep conditional generative
models", 2015: a latent code z says what the left half x leaves open about the right half y.
Three networks: the prior p(z | x), the recognition q(z | x, y), and the generation p(y | x, z),
a Gaussian with one standard deviation for all pixels, which is learned (Rybkin, Daniilidis and
Levine, "Simple and effective VAE training with calibrated decoders", 2021).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from .. import settings
from .base import Criterion, Sampler
from .blocks import Encoder, Patch, Share, UNet, Widths


class CVAESettings(settings.Settings):
    """The size of the three networks, and how the code is brought into use."""

    patch: Patch = 2
    widths: Widths = Field((24, 48, 96), description="channels of each level of the generation")
    encoder_widths: Widths = Field((16, 32, 64), description="of the prior and the recognition")
    latent_dim: Annotated[int, Field(ge=1, le=1024)] = 32
    dropout: Share = 0.05
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        1000, description="gradient steps over which the weight of the KL term rises to one"
    )


class CVAECompleter(Sampler):
    """Left half -> prior -> code; code and left half -> generation -> right half."""

    Settings = CVAESettings

    def __init__(self, config: CVAESettings | None = None):
        super().__init__()
        self.config = config = config or CVAESettings()
        code = 2 * config.latent_dim  # means and logarithms of the scales
        self.prior = Encoder(1, config.encoder_widths, code, config.patch)
        self.recognition = Encoder(2, config.encoder_widths, code, config.patch)
        self.generation = UNet(1, config.widths, config.patch, config.dropout, config.latent_dim)
        self.log_sigma = nn.Parameter(torch.tensor(-1.0))
        self.register_buffer("steps_taken", torch.zeros(()))

    def loss(self, left: Tensor, right: Tensor, criterion: Criterion) -> Tensor:
        """Return the negative evidence lower bound, in nats a pixel.

        -log p(y | x, z) + w KL(q(z | x, y) || p(z | x)), with z drawn from q; the weight w rises
        from 0 to 1 during the warm-up.
        """
        prior, posterior = self._prior(left), self._posterior(left, right)
        log_likelihood = self._log_likelihood(left, posterior.rsample(), right)
        kl = torch.distributions.kl_divergence(posterior, prior).sum(1)
        weight = 1.0
        if self.training and self.config.warmup_steps:
            self.steps_taken += 1
            weight = (self.steps_taken / self.config.warmup_steps).clamp(max=1)
        return (weight * kl - log_likelihood).mean() / right[0].numel()

    def draw(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a code from the prior and generate its mean right half; see :meth:`Sampler.draw`.

        The Gaussian noise of p(y | x, z) is left out: it is no part of a picture.
        """
        prior = self._prior(left)
        noise = self.noise(left, prior.mean.shape, generator)
        return self._generate(left, prior.mean + prior.stddev * noise)

    def _prior(self, left: Tensor) -> torch.distributions.Normal:
        return _normal(self.prior(left))

    def _posterior(self, left: Tensor, right: Tensor) -> torch.distributions.Normal:
        return _normal(self.recognition(torch.cat((left, right.flip(-1)), dim=1)))

    def _generate(self, left: Tensor, code: Tensor) -> Tensor:
        return torch.sigmoid(self.generation(left, code)).flip(-1)

    def _log_likelihood(self, left: Tensor, code: Tensor, right: Tensor) -> Tensor:
        """Return log p(y | x, z) of each image, summed over its pixels: (B,)."""
        pixels = torch.distributions.Normal(self._generate(left, code), self.log_sigma.exp())
        return pixels.log_prob(right).flatten(1).sum(1)


def _normal(parameters: Tensor) -> torch.distributions.Normal:
    mean, log_scale = parameters.chunk(2, dim=1)
    # the range keeps a step in the wrong direction from becoming an overflow
    return torch.distributions.Normal(mean, log_scale.clamp(-7, 3).exp())
