"""Muon: the convolutions' kernels learn in all directions alike, which takes fewer steps.

A kernel's gradients lie in few directions, and a step along them leaves the others behind. Muon
(Jordan et al. 2024) steps along the nearest matrix whose singular values are all one, which a few
products of matrices come near. PyTorch has it for matrices only.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR


class Muon(torch.optim.Optimizer):
    """PyTorch's Muon for kernels, and Adam for all other weights.

    A kernel (A, B, height, width) is the matrix (A, B * height * width), in the same memory.

    Args:
        network: whose weights are to learn.
        learning_rate, betas: Adam's.
        kernel_rate, momentum: Muon's.
    """

    def __init__(
        self,
        network: nn.Module,
        learning_rate: float,
        betas: tuple[float, float],
        kernel_rate: float,
        momentum: float,
    ):
        weights = list(network.parameters())
        self.kernels = [weight for weight in weights if weight.ndim == 4]
        matrices = [nn.Parameter(kernel.detach().flatten(1)) for kernel in self.kernels]
        rest = [weight for weight in weights if weight.ndim != 4]
        self.muon = torch.optim.Muon(matrices, kernel_rate, weight_decay=0, momentum=momentum)
        self.adam = torch.optim.Adam(rest, learning_rate, betas, fused=True)
        super().__init__(weights, {})
        self.param_groups = self.adam.param_groups + self.muon.param_groups  # a schedule moves them

    def step(self) -> None:
        """Take a step and forget the kernels' gradients."""
        for matrix, kernel in zip(self.muon.param_groups[0]["params"], self.kernels, strict=True):
            matrix.grad, kernel.grad = kernel.grad.flatten(1), None
        self.muon.step()
        self.adam.step()

    def one_cycle(self, steps: int) -> OneCycleLR:
        """Return a schedule from nearly zero to these rates and, in straight lines, to zero."""
        rates = [group["lr"] for group in self.param_groups]
        lines = {"pct_start": 0.2, "anneal_strategy": "linear", "cycle_momentum": False}
        return OneCycleLR(self, rates, total_steps=steps, **lines)
