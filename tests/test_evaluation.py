import numpy as np
import pytest
import torch
import torch.nn.functional as F

from halfgen_lib.evaluation import (
    best_median_worst,
    bootstrap,
    first_of_each_class,
    mse_per_image,
    psnr,
    score_images,
    seam_step,
    ssim_per_image,
    summarise,
)


@pytest.fixture
def halves_(generator):
    return torch.rand(2, 6, 1, 28, 14, generator=generator)


def test_mse_and_psnr_of_a_known_error(halves_):
    right = halves_[1] * 0.5
    mse = mse_per_image(right + 0.1, right)
    assert torch.allclose(mse, torch.full((6,), 0.01), atol=1e-6)
    assert psnr(0.01) == pytest.approx(20.0)
    assert psnr(0.0) == float("inf")


def test_shapes_that_differ_are_refused(halves_):
    with pytest.raises(ValueError, match="must be equal"):
        mse_per_image(halves_[0][:1], halves_[1])


def test_ssim_is_one_for_the_truth_and_falls_with_noise(halves_, generator):
    left, right = halves_
    assert torch.allclose(ssim_per_image(left, right, right), torch.ones(6), atol=1e-5)
    noisy = (right + 0.3 * torch.randn(right.shape, generator=generator)).clamp(0, 1)
    assert ssim_per_image(left, noisy, right).max() < 0.95
    assert ssim_per_image(left[:0], right[:0], right[:0]).shape == (0,)


def test_ssim_agrees_with_its_formula(halves_):
    """Wang et al. 2004 written out for each window centred on a pixel of the right half."""
    left, right = (half.double() for half in halves_)
    completed = right.flip(0)
    axis = torch.arange(-5, 6).double()
    gauss = torch.exp(-(axis**2) / (2 * 1.5**2))
    window = (gauss[:, None] * gauss / (gauss[:, None] * gauss).sum()).flatten()

    def windows(half):
        padded = F.pad(torch.cat((left, half), 3), (5, 5, 5, 5), mode="reflect")
        return padded.unfold(2, 11, 1).unfold(3, 11, 1)[..., 14:, :, :].flatten(-2)

    x, y = windows(completed), windows(right)
    mean_x, mean_y = (x * window).sum(-1), (y * window).sum(-1)
    var_x = (x * x * window).sum(-1) - mean_x**2
    var_y = (y * y * window).sum(-1) - mean_y**2
    covariance = (x * y * window).sum(-1) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    ssim = ssim / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    found = ssim_per_image(left, completed, right)
    assert torch.allclose(found, ssim.flatten(1).mean(1), atol=1e-6)


def test_seam_step_of_a_known_step():
    left, right = torch.zeros(2, 1, 28, 14), torch.zeros(2, 1, 28, 14)
    left[1, ..., 13], right[1, ..., 0] = 0.2, 0.9
    assert torch.allclose(seam_step(left, right), torch.tensor([0.0, 0.7]))


def test_bootstrap_covers_the_mean_about_95_times_in_100():
    random = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        found = bootstrap(random.exponential(1.0, size=200), resamples=400, seed=trial)
        assert found.low <= found.mean <= found.high
        hits += found.low <= 1.0 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_bootstrap_refuses_nothing_and_nan():
    for bad in (np.array([]), np.array([1.0, np.nan]), np.zeros((2, 2))):
        with pytest.raises(ValueError, match="finite"):
            bootstrap(bad)


def test_summary_is_overall_and_per_class(sample):
    images = sample.test.select(torch.arange(6))
    _, right = images.halves()
    scores = score_images(torch.zeros_like, images)
    summary = summarise(scores, np.array([0, 0, 0, 9, 9, 9]))
    assert set(summary["per_class"]) == {"T-shirt/top", "Ankle boot"}
    assert summary["per_class"]["Ankle boot"]["mse"]["mean"] == pytest.approx(
        right[3:].square().mean().item(), rel=1e-5
    )
    overall = summary["overall"]
    assert overall["psnr"]["mean"] == pytest.approx(psnr(overall["mse"]["mean"]))
    assert overall["psnr"]["low"] <= overall["psnr"]["mean"] <= overall["psnr"]["high"]


def test_examples_are_chosen_by_rule():
    labels = np.tile(np.arange(10), 4)
    assert (first_of_each_class(labels, 2)[3] == [3, 13]).all()
    with pytest.raises(ValueError, match="needed"):
        first_of_each_class(labels, 5)
    best, median, worst = best_median_worst(np.arange(40.0), labels)[7]
    assert (best, median, worst) == (7, 27, 37)
