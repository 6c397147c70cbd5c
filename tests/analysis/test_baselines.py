import numpy as np
import pytest
import torch
from sklearn import linear_model

from halfgen_lib.analysis import baselines
from halfgen_lib.analysis.baselines import (
    BASELINES,
    LowRankRidge,
    Mirror,
    NearestNeighbours,
    Ridge,
    TrainMean,
    fit_baselines,
)
from halfgen_lib.evaluation import mse_per_image, score_images

every = pytest.mark.parametrize("kind", BASELINES.values(), ids=BASELINES)


@pytest.fixture(scope="module")
def affine_pairs():
    """500 left halves, and right halves that an affine map of rank 5 makes of them."""
    generator = torch.Generator().manual_seed(0)
    left = torch.rand(500, 1, 28, 14, generator=generator)
    down = torch.rand(392, 5, generator=generator) / 392
    up = torch.rand(5, 392, generator=generator) / 5
    return left, (0.1 + left.flatten(1) @ down @ up).view_as(left)


def rows(half):
    return half.flatten(1).double().numpy()


def low_rank(rank, halves):
    """The coefficients of a map of that rank."""
    baseline = LowRankRidge(*halves)
    baseline.rank = rank
    return baseline.coefficients


# --- identities ----------------------------------------------------------------------------------


def test_train_mean_is_the_mean(train, test):
    completed = TrainMean(*train).predict(test[0])
    assert torch.allclose(completed, train[1].mean(0, keepdim=True).expand_as(completed), atol=1e-6)


def test_mirror_has_no_error_on_a_symmetric_image(train, test):
    left = test[0]
    assert mse_per_image(Mirror(*train).predict(left), left.flip(-1)).max() == 0


def test_one_nearest_neighbour_of_a_training_half_is_itself(train):
    completed = NearestNeighbours(*train, 1).predict(train[0][:20])
    assert torch.equal(completed, train[1][:20])


def test_all_neighbours_together_are_the_train_mean(train, test):
    everyone = NearestNeighbours(*train, len(train[0])).predict(test[0])
    assert torch.allclose(everyone, TrainMean(*train).predict(test[0]), atol=1e-5)


def test_ridge_without_a_penalty_recovers_an_affine_map(affine_pairs):
    left, right = affine_pairs
    baseline = Ridge(left[:450], right[:450], 1e-9)
    assert torch.allclose(baseline.predict(left[450:]), right[450:], atol=1e-4)


def test_ridge_agrees_with_scikit_learn_on_the_images_themselves(train):
    whole = linear_model.Ridge(alpha=10.0).fit(rows(train[0]), rows(train[1]))
    baseline = Ridge(*train, 10.0)
    assert np.allclose(baseline.coefficients(10.0), whole.coef_, atol=1e-8)
    expected = whole.predict(rows(train[0])).clip(0, 1)
    assert np.allclose(rows(baseline.predict(train[0])), expected, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 7, 64])
def test_a_rank_cut_has_that_rank(train, rank):
    cut = low_rank(rank, train)(10.0)
    assert np.linalg.matrix_rank(cut, tol=1e-8) == rank


def test_a_rank_cut_that_cuts_nothing_is_ridge(train, affine_pairs):
    full = Ridge(*train, 10.0).coefficients(10.0)
    assert np.allclose(low_rank(392, train)(10.0), full)
    linear = Ridge(*affine_pairs, 1e-6).coefficients(1e-6)
    cut = low_rank(5, affine_pairs)(1e-6)
    assert np.allclose(cut, linear, atol=1e-6)


def test_no_other_map_of_its_rank_has_a_lower_ridge_objective(train):
    """The cut is a minimum: neither ridge's own best rank-r approximation nor a nudge beats it."""
    x, y = (rows(half) - rows(half).mean(0) for half in train)

    def objective(coefficients):
        return ((y - x @ coefficients.T) ** 2).sum() + 10 * (coefficients**2).sum()

    best = low_rank(8, train)(10.0)
    u, s, vt = np.linalg.svd(Ridge(*train, 10.0).coefficients(10.0))
    assert objective(best) < objective((u[:, :8] * s[:8]) @ vt[:8])
    random = np.random.default_rng(0)
    for _ in range(5):
        nudge = np.eye(392) + 1e-3 * random.standard_normal((392, 392))
        assert objective(best) < objective(nudge @ best)


# --- the contract --------------------------------------------------------------------------------


@every
def test_predict_keeps_the_contract_of_a_network(kind, train, test):
    baseline = kind(*train)
    completed = baseline.predict(test[0])
    assert completed.shape == test[0].shape and completed.dtype == test[0].dtype
    assert completed.min() >= 0 and completed.max() <= 1
    assert torch.equal(completed, baseline.predict(test[0]))
    assert torch.equal(completed, kind(*train).predict(test[0]))
    assert torch.allclose(completed[:1], baseline.predict(test[0][:1]), atol=1e-5)
    assert baseline.predict(test[0][:0]).shape == (0, 1, 28, 14)
    assert baseline.predict(test[0].double()).dtype == torch.float64


@every
def test_predict_refuses_what_is_no_left_half(kind, train):
    baseline = kind(*train)
    with pytest.raises(TypeError, match="floating"):
        baseline.predict(torch.zeros(2, 1, 28, 14, dtype=torch.uint8))
    for bad in (torch.zeros(2, 1, 28, 28), torch.full((2, 1, 28, 14), float("nan"))):
        with pytest.raises(ValueError, match="left has"):
            baseline.predict(bad)


# --- choices -------------------------------------------------------------------------------------


@every
def test_the_choice_is_the_argmin_of_the_declared_grid(kind, train, test):
    baseline = kind(*train).choose(*test)
    errors = baseline.validation_mse
    assert errors[baseline.value] == min(errors.values())
    assert tuple(errors) == kind.grid
    for value in {kind.grid[0], kind.grid[-1]}:
        alone = mse_per_image(kind(*train, value).predict(test[0]), test[1])
        assert alone.mean().item() == pytest.approx(errors[value], rel=1e-4)


def test_few_training_images_narrow_the_grid(sample):
    train = sample.train.select(torch.arange(10))
    fitted = fit_baselines(train, sample.test)
    assert max(fitted["nearest"].validation_mse) == 10


def test_fitting_sees_training_images_and_choosing_validation_images(sample, monkeypatch):
    """Each image is counted where it is used; the test set has no way in."""
    seen = {"fit": [], "choose": []}

    class Spy(TrainMean):
        def __init__(self, left, right):
            seen["fit"].append(right)
            super().__init__(left, right)

        def choose(self, left, right):
            seen["choose"].append(right)
            return super().choose(left, right)

    monkeypatch.setattr(baselines, "BASELINES", {"spy": Spy})
    validation = sample.train.select(torch.arange(150, 200))
    train = sample.train.select(torch.arange(150))
    fit_baselines(train, validation, "top")
    assert torch.equal(seen["fit"][0], train.halves("top")[1])
    assert torch.equal(seen["choose"][0], validation.halves("top")[1])


def test_scores_come_in_the_table_s_order(sample):
    train, validation = (sample.train.select(torch.arange(*r)) for r in ((150,), (150, 200)))
    fitted = fit_baselines(train, validation)
    scores = {
        name: score_images(each.predict, sample.test, "left") for name, each in fitted.items()
    }
    assert list(fitted) == list(BASELINES)
    mse = {name: each["mse"].mean() for name, each in scores.items()}
    assert mse["train_mean"] > mse["mirror"] > mse["nearest"]
    assert scores["mirror"]["seam"].max() == 0
