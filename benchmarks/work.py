"""The least work that a training step is: arithmetic, bytes and launches, counted from shapes.

What is counted is what no program can leave out: the products of the convolutions and the fully
connected layers (PyTorch's own count), and the numbers that these layers must read and write.
Everything between them (normalisation, activations) could be fused into them and counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

BYTES = 4  # of a float32
ADAM_TRAFFIC = 10  # read weight twice, write and read gradient, Adam: read w, m, v, write w, m, v


@dataclass(frozen=True)
class Work:
    """What a network does for one image.

    Attributes:
        forward_flops: floating-point operations of the forward pass, two a multiply-add.
        training_flops: the same in training, where the input's gradient is not needed.
        inputs, outputs: numbers that each layer reads and writes, the layers in their order.
        weights: numbers of all these layers.
    """

    forward_flops: int
    training_flops: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    weights: int

    @property
    def forward_bytes(self) -> int:
        """Bytes read and written by one image's forward pass, without the weights."""
        return BYTES * (sum(self.inputs) + sum(self.outputs))

    def training_bytes(self, batch_size: int) -> float:
        """Bytes read and written for one image in training.

        Forward: the input read, the output written. Backward: the output's gradient and the input
        read, the input's gradient written (not the first layer's). The weights, their gradients and
        Adam's two averages once a step, shared by the batch.
        """
        maps = 3 * sum(self.inputs) - self.inputs[0] + 2 * sum(self.outputs)
        return BYTES * (maps + ADAM_TRAFFIC * self.weights / batch_size)


def count_work(model: nn.Module, left: Tensor) -> Work:
    """Return the work of a network for one image, seen while it completes ``left`` (1, ...)."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    sizes: list[tuple[int, int]] = []

    def see(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sizes.append((inputs[0].numel(), output.numel()))

    handles = [layer.register_forward_hook(see) for layer in layers]
    flops = FlopCounterMode(display=False)
    try:
        with flops:
            completed = model(left)
            forward = flops.get_total_flops()
            completed.sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    model.zero_grad()
    inputs, outputs = zip(*sizes, strict=True)
    weights = sum(p.numel() for layer in layers for p in layer.parameters())
    return Work(forward, flops.get_total_flops(), inputs, outputs, weights)


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
