"""A network's layers as a table, read off the network itself."""

from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .base import HALF_SHAPE, Completer

KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "convolution",
    nn.ConvTranspose2d: "transposed convolution",
    nn.Linear: "fully connected",
    nn.BatchNorm2d: "batch normalisation",
    nn.Flatten: "reshape",
    nn.Unflatten: "reshape",
}


class LayerRow(NamedTuple):
    """What a layer is, its output's shape (without N), and how many parameters it has."""

    kind: str
    details: str
    output_shape: tuple[int, ...]
    parameters: int


def layer_table(model: Completer) -> list[LayerRow]:
    """Return the leaf layers in the order in which one left half passes them."""
    rows: list[LayerRow] = []

    def look(layer: nn.Module, _: object, output: Tensor) -> None:
        names = (name for kind, name in KINDS.items() if isinstance(layer, kind))
        kind, details = next(names, type(layer).__name__), ""
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            details = f"{layer.kernel_size[0]} × {layer.kernel_size[1]}, stride {layer.stride[0]}"
        if isinstance(layer, nn.LeakyReLU):
            details = f"slope {layer.negative_slope:g}"
        count = sum(p.numel() for p in layer.parameters())
        rows.append(LayerRow(kind, details, tuple(output.shape[1:]), count))

    with ExitStack() as hooks:
        for layer in model.modules():
            if not any(layer.children()):
                hooks.enter_context(layer.register_forward_hook(look))
        model.predict(torch.zeros(1, *HALF_SHAPE))
    return rows


def stages(rows: list[LayerRow]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the kind and output shape of each layer that changes the shape, the input first."""
    found = [("left half", HALF_SHAPE)]
    for row in rows:
        if row.output_shape != found[-1][1]:
            found.append((row.kind, row.output_shape))
    return found
