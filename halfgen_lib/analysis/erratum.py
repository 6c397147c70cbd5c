"""The erratum: what a LeakyReLU of slope 1 makes of the network.

The seed's public code writes ``nn.LeakyReLU(True)``; the first argument is the slope. With slope 1
every layer before the sigmoid is affine, and so is the whole: a matrix that passes through the
latent code, hence of a rank no larger than that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..data import Dataset
from ..runs import Run

HALF_PIXELS = 28 * 14


@torch.no_grad()
def affine_probe(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return A (392, 392) and b (392,) with logit(model(x)) = A x + b if the model is affine.

    The network is probed, not read: b is its answer to black, and the columns of A are its
    answers to single white pixels, less b. All in float64 and evaluation mode.
    """
    model = model.double().eval()
    basis = torch.eye(HALF_PIXELS, dtype=torch.float64).view(-1, 1, 28, 14)
    bias = torch.logit(model(torch.zeros_like(basis[:1]))).flatten()
    columns = torch.logit(model(basis)).flatten(1) - bias
    return columns.T, bias


@torch.no_grad()
def erratum_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Tell whether a run's network is an affine map under its sigmoid, and of which rank.

    Returns:
        ``affine_error``: the largest difference, over the test set, between the network's pixels
        and sigmoid(A x + b); ``singular_values`` of A; and what the run reached.
    """
    model = run.model()
    matrix, bias = affine_probe(model)
    left, _ = dataset.test.halves(run.config.given)
    flat = left.double().flatten(1)
    affine = torch.sigmoid(flat @ matrix.T + bias)
    error = max(
        (model(part.double()).flatten(1) - guess).abs().max().item()
        for part, guess in zip(left.split(2000), affine.split(2000), strict=True)
    )
    values = torch.linalg.svdvals(matrix)
    return {
        "run_id": run.run_id,
        "negative_slope": run.config.identity()["model_settings"]["negative_slope"],
        "latent_dim": run.config.identity()["model_settings"]["latent_dim"],
        "affine_error": error,
        "singular_values": [float(f"{value:.6g}") for value in values[:128]],
        "rank": int((values > 1e-9 * values[0]).sum()),
        "val_mse": float(run.history["val_loss"].min()),
        "test_mse": run.metrics["overall"]["mse"],
    }
