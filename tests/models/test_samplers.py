"""The mathematics of the networks that draw: each where its exact answer is known."""

import math

import pytest
import torch
from conftest import SMALL
from torch.distributions import Normal, kl_divergence

from halfgen_lib.models import build_model
from halfgen_lib.models.gan import l1_and_spread

MEAN, SPREAD = 0.2, 0.1  # of a Gaussian right half, pixels in [-1, 1]


def built(name, **settings):
    torch.manual_seed(0)
    return build_model(name, SMALL[name] | settings).eval()


@pytest.fixture
def left():
    return torch.rand(4, 1, 28, 14, generator=torch.Generator().manual_seed(0))


def gaussian_velocity(x, time, left):
    """E[x1 - x0 | x_t = x] for x0 ~ N(0, 1) and x1 ~ N(MEAN, SPREAD²), joined by straight paths."""
    t = time[:, None, None, None]
    variance = (1 - t) ** 2 + (t * SPREAD) ** 2
    return MEAN + (t * SPREAD**2 - (1 - t)) / variance * (x - t * MEAN)


@pytest.mark.parametrize(("solver", "steps", "error"), [("heun", 100, 2e-3), ("euler", 1000, 1e-2)])
def test_flow_carries_noise_to_the_distribution(solver, steps, error, left, monkeypatch):
    """On the exact velocity of a Gaussian, the noise z ends at MEAN + SPREAD z."""
    model = built("flow", solver=solver, steps=steps)
    monkeypatch.setattr(model, "velocity", gaussian_velocity)
    drawn = model.draw(left, torch.Generator().manual_seed(1))
    noise = torch.randn(left.shape, generator=torch.Generator().manual_seed(1))
    expected = (MEAN + SPREAD * noise + 1) / 2  # in [0, 1], and out of the mirrored pose
    assert torch.allclose(drawn, expected.flip(-1).clamp(0, 1), atol=error)


def test_flow_gives_the_mean_in_one_step(left, monkeypatch):
    model = built("flow")
    monkeypatch.setattr(model, "velocity", gaussian_velocity)
    assert torch.allclose(model.predict(left), torch.full_like(left, (MEAN + 1) / 2), atol=1e-6)


def test_flow_loses_nothing_where_the_right_half_is_known(left, monkeypatch):
    """With one right half for each left half x1 - x0 = (x1 - x_t) / (1 - t)."""
    model, end = built("flow"), 2 * left.flip(-1) - 1

    def velocity(x, time, _):
        return (end - x) / (1 - time[:, None, None, None])

    monkeypatch.setattr(model, "velocity", velocity)
    assert model.loss(left, left, None).item() == pytest.approx(0, abs=1e-6)
    monkeypatch.setattr(model, "velocity", lambda *given: velocity(*given) + 0.5)
    assert model.loss(left, left, None).item() == pytest.approx(0.25, rel=1e-4)


def test_residual_flow_draws_from_a_gaussian_of_its_mean_and_spread(left, monkeypatch):
    """On the exact velocity of standard noise, E[x1 - x0 | x_t] = (2 t - 1) x / ((1 - t)² + t²)."""
    model = built("residual_flow", steps=100, stretch=1.5, black_below=0.45)

    def velocity(x, time, known):
        assert known.shape[1] == 3
        t = time[:, None, None, None]
        return (2 * t - 1) / ((1 - t) ** 2 + t**2) * x

    monkeypatch.setattr(model, "velocity", velocity)
    drawn = model.draw(left, torch.Generator().manual_seed(1))
    noise = torch.randn(left.shape, generator=torch.Generator().manual_seed(1))
    mean, deviation, _ = model.expect(left)
    spread = 1.5 * (0.02 + math.sqrt(math.pi / 2) * deviation)
    expected = (mean + spread * noise).clamp(0, 1).flip(-1)
    clear = (expected - 0.45).abs() > 2e-3  # neither side of what is black is within the tolerance
    assert 0.1 < (drawn == 0).float().mean() < 0.9 and clear.float().mean() > 0.9
    assert torch.allclose(drawn[clear], expected.where(expected >= 0.45, 0)[clear], atol=2e-3)
    assert torch.equal(model.predict(left), mean.flip(-1))


def test_each_of_the_residual_flows_networks_learns_from_its_own_loss(left):
    model, right = built("residual_flow"), left.roll(1, 0)
    torch.manual_seed(1)
    model.loss(left, right, None).backward()
    mean, deviation, _ = model.expect(left)
    residual = right.flip(-1) - mean
    losses = {
        model.mean: residual.square().mean(),
        model.deviation: (deviation - residual.detach().abs()).square().mean(),
    }
    for network, loss in losses.items():
        weights = list(network.parameters())
        own = torch.autograd.grad(loss, weights, retain_graph=True)
        for weight, gradient in zip(weights, own, strict=True):
            assert torch.allclose(weight.grad, gradient, rtol=1e-4, atol=1e-7)
    assert all(weight.grad is not None for weight in model.network.parameters())


def test_cvaes_likelihood_is_that_of_one_gaussian_a_pixel(left, monkeypatch):
    model = built("cvae")
    monkeypatch.setattr(model, "_generate", lambda left, _: left.flip(-1))
    right = left.roll(1, 0)
    density = Normal(left.flip(-1), model.log_sigma.exp()).log_prob(right).flatten(1).sum(1)
    assert torch.allclose(model._log_likelihood(left, None, right), density, rtol=1e-5)


def test_cvae_brings_its_code_into_use_step_by_step(left):
    """The loss of one step is -log p + w KL, in nats a pixel, w = steps / warm-up."""
    model = built("cvae", warmup_steps=4, dropout=0.0).train()
    right = left.flip(-1)
    prior, posterior = model._prior(left), model._posterior(left, right)
    kl = kl_divergence(posterior, prior).sum(1)
    for step in range(1, 7):
        torch.manual_seed(step)
        loss = model.loss(left, right, None)
        torch.manual_seed(step)
        fit = model._log_likelihood(left, posterior.rsample(), right)
        weight = min(step / 4, 1)
        assert loss.item() == pytest.approx(((weight * kl - fit).mean() / 392).item(), rel=1e-4)


def test_the_gans_reward_is_highest_at_the_truths_own_spread():
    """For a Gaussian truth the loss is lowest for draws of its mean and standard deviation."""
    generator = torch.Generator().manual_seed(0)
    truth, first, second = torch.randn(3, 200_000, generator=generator)

    def loss(scale, mean=0.0):
        return l1_and_spread(mean + scale * first, mean + scale * second, truth).item()

    scales = torch.linspace(0.4, 1.6, 13).tolist()
    assert min(scales, key=loss) == pytest.approx(1.0, abs=0.051)
    assert loss(1.0, mean=0.3) > loss(1.0) and loss(1.0, mean=-0.3) > loss(1.0)
    # in closed form: E|y - (a + b) / 2| = sqrt(2 / pi * 1.5), E|a - b| = 2 / sqrt(pi)
    exact = math.sqrt(3 / math.pi) - math.sqrt(1 / (3 * math.pi)) * math.sqrt(math.pi / 4) * (
        2 / math.sqrt(math.pi)
    )
    assert loss(1.0) == pytest.approx(exact, abs=5e-3)


def test_each_of_the_gans_networks_learns_from_its_own_loss(left):
    model, right = built("gan", adversarial=0.5), left.flip(-1)  # in eval mode nothing else moves

    def judge(half):
        return model.judge(torch.cat((left, half), dim=-1))

    torch.manual_seed(1)
    model.loss(left, right, None).backward()
    torch.manual_seed(1)
    first, second = (model._generate(left, *model._random(left)) for _ in range(2))
    hinge = (1 - judge(right)).relu().mean() + (1 + judge(first.detach())).relu().mean()
    fooled = l1_and_spread(first, second, right) - 0.5 * judge(first).mean()
    for network, loss in ((model.judge, hinge), (model.generator, fooled)):
        weights = list(network.parameters())
        own = torch.autograd.grad(loss, weights, retain_graph=True)
        for weight, gradient in zip(weights, own, strict=True):
            assert torch.allclose(weight.grad, gradient, rtol=1e-4, atol=1e-7)
