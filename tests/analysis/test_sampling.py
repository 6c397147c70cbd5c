"""Scores of draws: known answers, identities, and what they refuse."""

import math

import numpy as np
import pytest
import torch

from halfgen_lib.analysis import sampling

K, N = 19, 60
SHAPE = (N, 1, 28, 14)


@pytest.fixture
def draws(generator):
    return torch.rand(K, *SHAPE, generator=generator)


@pytest.fixture
def right(generator):
    return torch.rand(SHAPE, generator=generator)


def gaussian(count, generator, *, scale=0.05):
    """Draws of a Gaussian narrow enough never to leave [0, 1]."""
    return 0.5 + scale * torch.randn(count, *SHAPE, generator=generator)


# --- means ---------------------------------------------------------------------------------------


def test_a_mean_of_one_is_one_draw_and_of_all_the_mean_of_all(draws, right):
    one, every = sampling.mse_of_means(draws, right, [1, K])
    assert np.allclose(one, sampling.draw_mse(draws, right).mean(0))
    assert np.allclose(every, sampling.draw_mse(draws.double().mean(0)[None], right)[0])


def test_error_of_an_infinite_mean_does_not_depend_on_the_number_of_draws(generator):
    right, many = torch.full(SHAPE, 0.6), gaussian(200, generator)
    for count in (2, 5, 200):
        estimate = sampling.mse_of_means(many[:count], right, [math.inf])[0].mean()
        assert estimate == pytest.approx(0.01, rel=0.02)
    assert sampling.spread(many).mean() == pytest.approx(0.05**2, rel=0.01)


# --- proper scores -------------------------------------------------------------------------------


def test_crps_of_a_gaussian_is_its_closed_form(generator):
    """Gneiting and Raftery (2007), section 4.2: s (z (2Φ(z) - 1) + 2φ(z) - 1/√π)."""
    truth, scale = 0.56, 0.05
    z = (truth - 0.5) / scale
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    closed = scale * (z * math.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
    right = torch.full(SHAPE, truth)
    for count in (2, 5, 19):  # a fair score does not depend on the number of draws
        score = sampling.crps(gaussian(count, generator), right).mean()
        assert score == pytest.approx(closed, rel=0.02)


def test_scores_of_a_point_are_its_distances(draws, right):
    point = draws[:1]
    difference = (point[0] - right).double().flatten(1)
    assert np.allclose(sampling.crps(point, right), difference.abs().mean(1))
    assert np.allclose(sampling.energy_score(point, right), difference.square().mean(1).sqrt())
    assert not sampling.diversity(point).any() and not sampling.spread(point).any()


def test_equal_draws_score_as_their_point(draws, right):
    equal = draws[:1].expand(K, *SHAPE)
    for measure in (sampling.crps, sampling.energy_score):
        assert np.allclose(measure(equal, right), measure(draws[:1], right))
    assert not sampling.diversity(equal).any() and sampling.spread(equal).max() < 1e-30


def test_energy_score_is_distance_less_half_the_diversity(draws, right):
    distance = np.sqrt(sampling.draw_mse(draws, right)).mean(0)
    expected = distance - sampling.diversity(draws) / 2
    assert np.allclose(sampling.energy_score(draws, right), expected)


def test_only_the_energy_score_sees_pixels_that_do_not_fit(generator):
    """Halves of one random grey, and draws of the same law for each pixel but independent."""
    grey = torch.rand(K + 1, N, 1, 1, 1, generator=generator).expand(K + 1, *SHAPE)
    apart = torch.rand(K, *SHAPE, generator=generator)
    crps = [sampling.crps(d, grey[0]).mean() for d in (grey[1:], apart)]
    energy = [sampling.energy_score(d, grey[0]).mean() for d in (grey[1:], apart)]
    assert crps == pytest.approx([1 / 6, 1 / 6], abs=0.01)
    assert energy[0] == pytest.approx(crps[0]) and energy[1] > energy[0] + 0.02


# --- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [lambda u: u, lambda u: (u - 0.7).clip(0)])
def test_an_exact_sampler_covers_what_it_says(generator, law):
    """Also where most pixels are black and tie: 23,520 pixels, standard errors 0.2 and 0.3 %."""
    values = law(torch.rand(K + 1, *SHAPE, generator=generator))
    inside = sampling.covered(values[1:], values[0], (0.5, 0.9), generator)
    assert inside.shape == (2, N, 392)
    assert inside.mean((1, 2)) == pytest.approx([0.5, 0.9], abs=0.012)


def test_too_narrow_a_sampler_covers_too_little(generator):
    right, draws = gaussian(1, generator)[0], gaussian(K, generator, scale=0.02)
    half, most = sampling.covered(draws, right, (0.5, 0.9), generator).mean((1, 2))
    assert half < 0.3 and most < 0.6
