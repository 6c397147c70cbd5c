"""What training minimises, and the rules of the gradient step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from .evaluation import structural_similarity

Loss = Callable[[Tensor, Tensor], Tensor]


def mse_and_ssim(completed: Tensor, right: Tensor) -> Tensor:
    """Return MSE + (1 - SSIM) of right halves (N, 1, 28, 14), SSIM as in Wang et al. 2004."""
    return F.mse_loss(completed, right) + 1 - structural_similarity(completed, right)


# what training minimises; whatever it is, the validation loss is the mean squared error
LOSSES: dict[str, Loss] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": partial(F.huber_loss, delta=0.1),  # quadratic up to a tenth of the grey range
    "bce": F.binary_cross_entropy,
    "mse_ssim": mse_and_ssim,
}


def build_optimizer(
    name: str, weights: Iterable[Tensor], learning_rate: float, weight_decay: float, momentum: float
) -> torch.optim.Optimizer:
    """Return the rule of the gradient step; ``momentum`` is SGD's, or Adam's first beta."""
    common = {"lr": learning_rate, "weight_decay": weight_decay}
    betas = (momentum, 0.999)
    match name:  # fused: one pass over the weights
        case "adam":
            return torch.optim.Adam(weights, **common, betas=betas, fused=True)
        case "adamw":
            return torch.optim.AdamW(weights, **common, betas=betas, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(weights, **common)
        case "sgd":
            return torch.optim.SGD(weights, **common, momentum=momentum, fused=True)
    raise ValueError(f"optimizer {name!r} is not known; allowed: adam, adamw, rmsprop, sgd")
