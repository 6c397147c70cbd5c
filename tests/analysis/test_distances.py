"""Distances between sets of images, copies and donors: known answers."""

import math

import numpy as np
import pytest
import torch

from halfgen_lib.analysis import distances
from halfgen_lib.analysis.baselines import Donor
from halfgen_lib.analysis.distances import nearest_rms


@pytest.fixture
def normal(generator):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


# --- Frechet distance ----------------------------------------------------------------------------


def test_frechet_distance_of_two_gaussians_is_its_closed_form(normal):
    """Sets with exact moments: |m - m'|² + the sum of (s - s')² where covariances commute."""
    rows = normal(500, 4)
    white = rows - rows.mean(0)
    white = white @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(white.T)).T)
    scale, shift = torch.tensor([1.0, 2.0, 0.5, 3.0]).double(), torch.arange(4).double()
    expected = shift.square().sum() + (scale - 1).square().sum()
    distance = distances.frechet_distance(white, white * scale + shift)
    assert distance == pytest.approx(expected.item(), rel=1e-9)
    assert distances.frechet_distance(white, white) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_where_covariances_do_not_commute(normal):
    a, b = normal(300, 3), normal(400, 3) @ normal(3, 3)
    first, second = torch.cov(a.T), torch.cov(b.T)
    value, vectors = torch.linalg.eigh(first)
    root = vectors @ value.sqrt().diag() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ second @ root).sqrt().sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross
    assert distances.frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-9)


def test_frechet_interval_holds_its_estimate_and_narrows(normal):
    shift = 0.3
    few, many = (
        distances.frechet_interval(normal(n, 4), normal(2, n, 4) + shift, resamples=100)
        for n in (100, 2500)
    )
    for found in (few, many):
        assert found.low < found.mean < found.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert many.mean == pytest.approx(4 * shift**2, abs=many.high - many.low)


# --- precision, recall, copies -------------------------------------------------------------------


def test_precision_and_recall_of_a_collapsed_and_of_a_foreign_set(normal):
    real = normal(400, 2)
    collapsed = real[:1] + 0.01 * normal(400, 2)
    assert distances.within(collapsed, real).mean() == 1
    assert distances.within(real, collapsed).mean() < 0.05
    assert not distances.within(real + 100, real).any()
    assert distances.within(real, real).all()


def test_a_ball_reaches_to_the_third_neighbour():
    support = torch.tensor([[0.0], [1.0], [2.0], [3.0], [100.0]]).double()
    points = torch.tensor([[-3.0], [-3.1], [6.0], [50.0]]).double()
    # the ball around 0 reaches to -3, that around 3 to 6; that around 100 to its third, 99 away
    assert distances.within(points, support).tolist() == [True, False, True, True]


def test_nearest_distance_is_0_for_copies_and_exact_for_others():
    pool = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).view(2, 1, 1, 2)
    images = torch.tensor([[1.0, 1.0], [0.3, 0.4]]).view(2, 1, 1, 2)
    assert np.allclose(nearest_rms(images, pool), [0, math.sqrt(0.125)])


# --- donors --------------------------------------------------------------------------------------


def test_donors_draw_copies_of_near_training_halves(train, test, generator):
    donor = Donor(*train, 3)
    drawn = donor.sample(test[0], 200, generator)
    assert drawn.shape == (200, *test[0].shape)
    assert not nearest_rms(drawn[0], train[1]).any()
    assert len(drawn[:, 0].unique(dim=0)) == 3
    assert torch.allclose(drawn.mean(0), donor.predict(test[0]), atol=0.2)


def test_one_donor_of_a_training_half_is_itself(train, generator):
    drawn = Donor(*train, 1).sample(train[0][:20], 2, generator)
    assert torch.equal(drawn, train[1][:20].expand(2, -1, -1, -1, -1))


def test_donors_are_drawn_by_the_generator(train, test):
    donor = Donor(*train, 5)
    first, same, other = (
        donor.sample(test[0], 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert donor.sample(test[0][:0], 2, torch.Generator()).shape == (2, 0, 1, 28, 14)


def test_donors_refuse_bad_input(train, generator):
    donor = Donor(*train, 1)
    with pytest.raises(ValueError, match="n is 0, allowed: 1 or more"):
        donor.sample(train[0], 0, generator)
    with pytest.raises(ValueError, match="shape"):
        donor.sample(train[0][0], 1, generator)
