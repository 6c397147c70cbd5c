"""What training minimises, and the rules of the gradient step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def mse_and_ssim(completed: Tensor, right: Tensor) -> Tensor:
    """Return MSE + (1 - SSIM) of right halves (N, 1, 28, 14), SSIM as in Wang et al. 2004."""
    from .torchvision_compat import import_torchvision

    import_torchvision()  # torchmetrics imports it
    from torchmetrics.functional.image import structural_similarity_index_measure

    similarity = structural_similarity_index_measure(completed, right, data_range=1.0)
    return F.mse_loss(completed, right) + 1 - similarity


# what training minimises; whatever it is, the validation loss is the mean squared error
LOSSES: dict[str, Loss] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": partial(F.huber_loss, delta=0.1),  # quadratic up to a tenth of the grey range
    "bce": F.binary_cross_entropy,
    "mse_ssim": mse_and_ssim,
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),  # one pass over the weights
    "adamw": partial(torch.optim.AdamW, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
}
