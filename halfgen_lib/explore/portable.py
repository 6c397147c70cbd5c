"""Networks for a page: every layer of an autoencoder as one matrix, which a short script applies.

A convolution multiplies patches of its input, a transposed one adds its products to patches of its
output, a fully connected layer is a convolution of one patch; batch normalisation is folded in.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ..models.base import HALF_SHAPE

MOST = 2**15 - 1  # of a weight's whole number


@torch.no_grad()
def portable(model: nn.Module, start: int = 0) -> tuple[list[dict[str, Any]], bytes]:
    """Return the layers of a network with ``encoder`` and ``decoder``, and their numbers as bytes.

    A layer's dict tells how to apply it (sizes, kernel, stride, padding, slope of its LeakyReLU,
    sigmoid or none), and ``at`` where its numbers begin, the first ones at ``start``: a float32
    scale for each row, a float32 bias for each channel, and the matrix by rows as int16,
    little-endian, filled up to 4 bytes. TypeError for a layer of another kind.
    """
    model, x = deepcopy(model).double().eval(), torch.zeros(1, *HALF_SHAPE, dtype=torch.float64)
    layers: list[dict[str, Any]] = []
    for module in [*model.encoder, *model.decoder]:
        before, x = x, module(x)
        match module:
            case nn.Linear() | nn.Conv2d() | nn.ConvTranspose2d():
                layers.append(_layer(module, before, x))
            case nn.BatchNorm2d():
                _fold(module, layers[-1])
            case nn.LeakyReLU():
                layers[-1]["slope"] = module.negative_slope
            case nn.Sigmoid():
                layers[-1]["sigmoid"] = True
            case nn.Flatten() | nn.Unflatten():
                pass
            case _:
                raise TypeError(f"a page cannot apply a {type(module).__name__}")
    content = b""
    for layer in layers:
        layer["at"] = start + len(content)
        content += _numbers(layer.pop("weight"), layer.pop("bias"))
    return layers, content


def _layer(module: nn.Module, before: Tensor, after: Tensor) -> dict[str, Any]:
    """Return a layer, its matrix (rows, cols) and bias (channels) in float64."""
    transposed = isinstance(module, nn.ConvTranspose2d)
    weight = module.weight.flatten(1).T if transposed else module.weight.flatten(1)
    bias = weight.new_zeros(len(weight)) if module.bias is None else module.bias
    sizes = {"from": [*before.shape[1:], 1, 1][:3], "to": [*after.shape[1:], 1, 1][:3]}
    sizes |= dict(zip(("rows", "cols"), weight.shape, strict=True))
    how = {
        "kernel": getattr(module, "kernel_size", (1, 1)),
        "pad": getattr(module, "padding", (0, 0)),
    }
    how |= {"stride": getattr(module, "stride", (1,))[0], "transposed": transposed}
    return sizes | how | {"slope": 1.0, "sigmoid": False, "weight": weight, "bias": bias}


def _fold(norm: nn.BatchNorm2d, layer: dict[str, Any]) -> None:
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    each = layer["rows"] // len(factor)  # rows of a channel: a transposed convolution has more
    layer["weight"] = layer["weight"] * factor.repeat_interleave(each)[:, None]
    layer["bias"] = (layer["bias"] - norm.running_mean) * factor + norm.bias


def _numbers(weight: Tensor, bias: Tensor) -> bytes:
    scale = (weight.abs().amax(1) / MOST).float().clamp_min(1e-30)
    codes = (weight / scale.double()[:, None]).round().clamp(-MOST, MOST)
    parts = zip((scale, bias, codes), ("<f4", "<f4", "<i2"), strict=True)
    content = b"".join(part.numpy().astype(kind).tobytes() for part, kind in parts)
    return content + bytes(-len(content) % 4)
