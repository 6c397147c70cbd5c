"""How good are completed halves: a score an image, then a class, then over all.

Every score looks at the right half alone, in the canonical pose, with pixels in [0, 1].
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from .data import CLASS_NAMES, Images
from .settings import Settings

Scores = dict[str, np.ndarray]
Predict = Callable[[Tensor], Tensor]

SEED_REPORT_MSE = 0.0273  # Erkol (2023), section 5: where both losses converge, by epoch 17


def mse_per_image(completed: Tensor, right: Tensor) -> Tensor:
    """Return the mean squared error of each half over its pixels: the seed's equation (3).

    Of right halves (N, 1, 28, 14) in [0, 1], predicted and true: (N,) in [0, 1].
    """
    if completed.shape != right.shape:  # which would be stretched to each other
        shapes = f"completed has shape {tuple(completed.shape)}, right {tuple(right.shape)}"
        raise ValueError(f"{shapes}; they must be equal")
    return (completed - right).square().flatten(1).mean(1)


def psnr(mse: float) -> float:
    """Return the peak signal-to-noise ratio 10 log10(1 / MSE) in dB; infinity for no error."""
    return -10 * math.log10(mse) if mse > 0 else math.inf


def structural_similarity(image: Tensor, truth: Tensor, **options: Any) -> Any:
    """Return the SSIM of Wang et al. 2004 for pixels in [0, 1]: torchmetrics, and its options."""
    from .torchvision_compat import import_torchvision

    import_torchvision()  # torchmetrics imports it
    from torchmetrics.functional.image import structural_similarity_index_measure

    return structural_similarity_index_measure(image, truth, data_range=1.0, **options)


def ssim_per_image(left: Tensor, completed: Tensor, right: Tensor) -> Tensor:
    """Return the structural similarity of each half (Wang et al. 2004), data range 1.

    Of halves (N, 1, 28, 14) in [0, 1]: (N,) in [-1, 1]. The windows (Gaussian, 11x11, sigma 1.5)
    see the whole image, the true left half included; the right half's pixels are averaged.
    """
    if not len(left):
        return left.new_empty(0)
    values, width = [], left.shape[3]
    for known, *both in zip(*(half.split(1000) for half in (left, completed, right)), strict=True):
        wholes = (torch.cat((known, half), dim=3) for half in both)
        _, similarity = structural_similarity(*wholes, reduction="none", return_full_image=True)
        values.append(similarity[..., width:].flatten(1).mean(1))
    return torch.cat(values)


def seam_step(left: Tensor, right: Tensor) -> Tensor:
    """Return the mean absolute step between the columns that meet at the seam, 13 and 14.

    Of halves (N, 1, 28, 14) in [0, 1]: (N,) in [0, 1]. A completion that fits its left half has
    about the true image's step.
    """
    return (right[..., 0] - left[..., -1]).abs().flatten(1).mean(1)


@torch.inference_mode()
def score_images(predict: Predict, images: Images, given: str = "left") -> Scores:
    """Return ``mse``, ``ssim``, ``seam`` and ``seam_true`` of every image, each (N,) float64.

    ``predict`` maps left halves (N, 1, 28, 14) to right halves of that shape, all in [0, 1].
    """
    left, right = images.halves(given)
    completed, left, right = predict(left).cpu(), left.cpu(), right.cpu()
    scores = {
        "mse": mse_per_image(completed, right),
        "ssim": ssim_per_image(left, completed, right),
        "seam": seam_step(left, completed),
        "seam_true": seam_step(left, right),
    }
    return {name: values.double().numpy() for name, values in scores.items()}


def halves_mse(predict: Predict, images: Images, given: str = "left") -> np.ndarray:
    """Return the mean squared error alone of each image, (N,) float64: :func:`score_images`."""
    left, right = images.halves(given)
    return mse_per_image(predict(left).cpu(), right.cpu()).double().numpy()


class Interval(Settings):
    """A mean with its 95 % interval, over ``count`` images; read like the JSON that it becomes."""

    mean: float
    low: float
    high: float
    count: int = Field(ge=1)

    def __getitem__(self, name: str) -> float:
        return getattr(self, name)


def bootstrap(values: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Return the mean of ``values`` (N,) with the 2.5 and 97.5 percentiles of its bootstrap means.

    Images are drawn with replacement (Efron 1979, the percentile method). The interval tells how
    the mean would vary over test sets, not over trainings. Values that are none or not finite are
    a ValueError.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"a bootstrap needs one or more finite numbers; got shape {values.shape}")
    from scipy import stats  # it takes half as long to import as torch

    low = high = mean = float(values.mean())
    if len(values) > 1:  # scipy refuses a single value
        options = {"n_resamples": resamples, "batch": 100, "method": "percentile", "rng": seed}
        low, high = map(float, stats.bootstrap((values,), np.mean, **options).confidence_interval)
    return Interval(mean=mean, low=low, high=high, count=len(values))


def intervals(scores: Scores) -> dict[str, Interval]:
    """Return :func:`bootstrap` of each score, by its name."""
    return {name: bootstrap(values) for name, values in scores.items()}


def summarise(scores: Scores, labels: np.ndarray) -> dict[str, Any]:
    """Return means with intervals of :func:`score_images`, by the images' labels (N,).

    ``{"overall": {score: Interval}, "per_class": {class name: the same}}``, with ``psnr`` (dB),
    which is that of the mean error, not the mean of the images' PSNR.
    """

    def group(chosen: np.ndarray) -> dict[str, Interval]:
        found = intervals({name: values[chosen] for name, values in scores.items()})
        mse = found["mse"]
        ends = {"mean": psnr(mse.mean), "low": psnr(mse.high), "high": psnr(mse.low)}
        return found | {"psnr": Interval(**ends, count=mse.count)}

    groups = {name: labels == number for number, name in enumerate(CLASS_NAMES)}
    per_class = {name: group(own) for name, own in groups.items() if own.any()}
    return {"overall": group(np.full(len(labels), True)), "per_class": per_class}


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the positions (10, count) of the first images of each class, in file order.

    A rule and not a choice, so that no example is there because it looks good. A class with fewer
    images is a ValueError.
    """
    found = [np.flatnonzero(labels == number)[:count] for number in range(len(CLASS_NAMES))]
    short = [f"{n}: {len(f)}" for n, f in zip(CLASS_NAMES, found, strict=True) if len(f) < count]
    if short:
        raise ValueError(f"{count} images of each class are needed; there are {', '.join(short)}")
    return np.stack(found)


def best_median_worst(mse: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the positions (10, 3) of each class's lowest, median and highest error."""
    ranked = np.argsort(mse, kind="stable")
    classes = (ranked[labels[ranked] == number] for number in range(len(CLASS_NAMES)))
    return np.array([[own[0], own[len(own) // 2], own[-1]] for own in classes])
