"""What of an error could be avoided, on images whose noise is known."""

import numpy as np
import pytest
import torch

from halfgen_lib.analysis import floor
from halfgen_lib.analysis.distances import flat_rows, neighbours

DIRECTIONS, WRONG = 10, 0.03


def noisy(count, seed):
    """Halves that are dense in the middle, with noise that grows outwards; the noise's variance."""
    random = np.random.default_rng(seed)
    place = random.standard_normal((count, DIRECTIONS))
    place *= np.exp(random.standard_normal((count, 1)) / 2)  # some lie far out
    sd = 0.05 * np.sqrt(np.square(place).mean(1).clip(max=8) + 0.1)
    map_ = np.random.default_rng(0).standard_normal((DIRECTIONS, 392)) / DIRECTIONS**0.5
    rows = place @ map_, np.tanh(place @ map_) + sd[:, None] * random.standard_normal((count, 392))
    left, right = (torch.from_numpy(half).float().view(-1, 1, 28, 14) for half in rows)
    return (left, right), float(np.square(sd).mean())


def predict(left):
    """The mean of right halves given left ones, but for a constant error."""
    return left.tanh() + WRONG


@pytest.fixture(scope="module")
def parts():
    (images, noise), (pool, _) = noisy(3000, 1), noisy(3000, 2)
    return images, pool, noise


def test_noise_that_depends_on_the_place_is_told_from_error(parts):
    images, pool, noise = parts
    found = floor.avoidable(predict, images, pool)
    assert found["floor"].low < noise < found["floor"].high
    assert found["shared"].low < WRONG**2 < found["shared"].high
    assert found["mse"].mean == pytest.approx(found["floor"].mean + found["shared"].mean)


def test_half_the_squared_difference_of_neighbours_is_no_such_estimate(parts):
    """It sees the noise of images where these are dense: here the noise is small there."""
    images, pool, noise = parts
    (left, error), (pool_left, pool_error) = (
        (flat_rows(left), flat_rows(right - predict(left))) for left, right in (images, pool)
    )
    nearest = neighbours(left, pool_left, 1)[1][:, 0]
    half = np.square(error - pool_error[nearest]).mean() / 2
    assert half < 0.92 * noise


def test_an_error_that_neighbours_do_not_share_is_not_seen(parts, generator):
    images, pool, noise = parts
    size = noise**0.5 / 4

    def restless(left):
        sign = torch.randint(2, (len(left), 1, 1, 1), generator=generator) * 2 - 1
        return predict(left) + size * sign

    found = floor.avoidable(restless, images, pool)
    assert found["floor"].mean == pytest.approx(noise + size**2, rel=0.02)
    assert found["shared"].high < found["mse"].mean - noise


def test_ensemble_splits_noise_from_disagreement(generator):
    left = torch.rand(200, 1, 28, 14, generator=generator)
    right = left + 0.05 * torch.randn(left.shape, generator=generator)
    wrong = 0.02 * torch.randn(5, *left.shape, generator=generator)
    found = floor.ensemble_error([each.add for each in wrong], (left, right))
    assert found.pop("count") == 5
    means = {key: value.mean for key, value in found.items()}
    assert means["disagreement"] == pytest.approx(0.0004, rel=0.02)
    assert means["infinite"] == pytest.approx(0.0025, rel=0.02)
    assert means["one"] == pytest.approx(means["infinite"] + means["disagreement"])
    assert means["all"] == pytest.approx(means["infinite"] + means["disagreement"] / 5)
