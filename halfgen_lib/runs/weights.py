"""Weights as they are published: a byte each, a quarter of what a run has, in float32 again to use.

The numbers of a matrix or a kernel that lead to one output differ little in size: they are stored
as whole numbers from -127 to 127, times one scale. What is not large stays in half precision.
"""

import torch
from torch import Tensor

SCALE = ".scale"  # what the name of a tensor's scales ends in
LARGE = 1024  # numbers in a tensor from which on it is stored so
MOST = 127

State = dict[str, Tensor]


def packed(state: State) -> State:
    """Return a network's state as it is stored: large tensors as int8, each with its scales."""
    stored: State = {}
    for name, values in state.items():
        if values.is_floating_point() and values.ndim > 1 and values.numel() >= LARGE:
            largest = values.abs().amax(tuple(range(1, values.ndim)), keepdim=True)
            scale = largest.float().clamp_min(torch.finfo(torch.float32).tiny) / MOST
            stored |= {name: (values / scale).round().char(), name + SCALE: scale}
        else:
            stored[name] = values.half() if values.is_floating_point() else values
    return {name: values.contiguous() for name, values in stored.items()}


def unpacked(stored: State) -> State:
    """Return the state that :func:`packed` stored, as near as it comes; another as it is."""
    scales = {name: stored[name + SCALE] for name in stored if name + SCALE in stored}
    whole = {name: stored[name] for name in stored if name.removesuffix(SCALE) not in scales}
    return whole | {name: stored[name] * scale for name, scale in scales.items()}
