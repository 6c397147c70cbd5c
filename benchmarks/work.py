"""The least work that a training step is: arithmetic, bytes and launches, counted from shapes.

What is counted is what no program can leave out: the multiply-adds of the convolutions and the
fully connected layers, and the numbers that these layers must read and write. Everything between
them (normalisation, activations) could be fused into them and counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

BYTES = 4  # of a float32
ADAM_TRAFFIC = 10  # read weight twice, write and read gradient, Adam: read w, m, v, write w, m, v


@dataclass(frozen=True)
class LayerWork:
    """What a layer does for one image, in numbers (not bytes)."""

    macs: int
    inputs: int
    outputs: int
    weights: int


@dataclass(frozen=True)
class Work:
    """What a network does, from its layers in their order."""

    layers: tuple[LayerWork, ...]

    @property
    def forward_flops(self) -> int:
        """Floating-point operations of one image's forward pass: two a multiply-add."""
        return 2 * sum(layer.macs for layer in self.layers)

    @property
    def training_flops(self) -> int:
        """The same of one image in training.

        Each layer's product is made three times: forward, for the weights' gradient and for the
        input's; the last is not needed of the first layer.
        """
        return 3 * self.forward_flops - 2 * self.layers[0].macs

    @property
    def forward_bytes(self) -> int:
        """Bytes read and written by one image's forward pass, without the weights."""
        return BYTES * sum(layer.inputs + layer.outputs for layer in self.layers)

    def training_bytes(self, batch_size: int) -> float:
        """Bytes read and written for one image in training.

        Forward: the input read, the output written. Backward: the output's gradient and the input
        read, the input's gradient written (not the first layer's). The weights, their gradients and
        Adam's two averages once a step, shared by the batch.
        """
        maps = sum(3 * layer.inputs + 2 * layer.outputs for layer in self.layers)
        weights = sum(layer.weights for layer in self.layers)
        return BYTES * (maps - self.layers[0].inputs + ADAM_TRAFFIC * weights / batch_size)


def layer_macs(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> int:
    """Return the multiply-adds of one image in a convolution or a fully connected layer.

    A convolution makes, for each output, one for each input channel and kernel pixel; its
    transpose the same for each of its inputs and output channels, what is cropped included.
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features * layer.out_features
    if isinstance(layer, nn.ConvTranspose2d):
        return inputs[0].numel() * layer.out_channels * prod(layer.kernel_size)
    return outputs[0].numel() * layer.in_channels * prod(layer.kernel_size)


@torch.no_grad()
def count_work(model: nn.Module, left: Tensor) -> Work:
    """Return the work of a network for one image, seen while it completes ``left`` (N, ...)."""
    found: list[LayerWork] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        weights = sum(p.numel() for p in layer.parameters())
        macs = layer_macs(layer, inputs[0], outputs)
        found.append(LayerWork(macs, inputs[0][0].numel(), outputs[0].numel(), weights))

    counted = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    layers = [layer for layer in model.modules() if isinstance(layer, counted)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        model(left)
    finally:
        for handle in handles:
            handle.remove()
    return Work(tuple(found))


def count_launches(step: Callable[[], object], device: torch.device) -> int:
    """Return the kernels that ``step`` starts on a GPU; on a CPU, its calls of ``aten``.

    Of calls that make others only the innermost count.
    """
    step()
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiled:
        step()
    if device.type == "cuda":
        events = (event for event in profiled.events() if not event.is_user_annotation)
        return sum(event.device_type == DeviceType.CUDA for event in events)
    calls = (event for event in profiled.events() if event.name.startswith("aten::"))
    return sum(not event.cpu_children for event in calls)
