"""Half an image, to pick or to draw, and what networks make of it at once, in a page by itself.

The page applies every layer of an autoencoder as one matrix, by a short script (``try_it.js``). A
convolution multiplies patches of its input, a transposed one adds its products to patches of its
output, a fully connected layer is a convolution of one patch; batch normalisation is folded in. In
a notebook the same script asks Python's networks (:class:`explorer.Explorer`).
"""

from base64 import b64encode
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import CLASS_NAMES, Images, to_unit
from ..evaluation import first_of_each_class
from ..models.affine import AffineMap
from ..models.base import HALF_SHAPE
from ..runs import Run
from ..variants import NAMES, VARIANTS

PER_CLASS = 2  # test images to pick from
MOST = 2**15 - 1  # of a weight's whole number


def called(name: str, run: Run) -> str:
    """Return what readers call a run's network; one of one's own has its run's id besides."""
    variant = run.config.variant  # "default" of another network, too
    is_its = VARIANTS.get(variant, {}).get("model", "cae") == run.config.model
    title = NAMES.get(variant, name) if is_its else name
    return f"{title}, {name}" if title != name == run.config.run_id else title


def try_it(test: Images, runs: Mapping[str, Run]) -> tuple[dict[str, Any], np.ndarray]:
    """Return what a page needs to complete left halves, and the images of a still figure.

    The page is given each run's network and the first two test images of each class; the images
    (rows, 10, 28, 28) are of the first, in a row each: given (the rest NaN), completed by each
    network, true.
    """
    chosen = first_of_each_class(test.labels.numpy(), PER_CLASS)
    images, content, networks = test.images[chosen.flatten()], b"", []
    truth = to_unit(images[::PER_CLASS])
    left, _ = test.select(chosen[:, 0]).halves()
    rows = [torch.cat((left, torch.full_like(left, torch.nan)), -1)]
    for name, run in runs.items():
        model = run.model()
        layers, numbers = portable(model, len(content))
        content += numbers
        is_map = isinstance(model, AffineMap)
        kind = "an affine map under a sigmoid" if is_map else "a convolutional network"
        words = f"{kind}; over all test images {run.metrics['overall']['mse']['mean']:.4f}"
        networks.append({"name": called(name, run), "words": words, "layers": layers})
        rows.append(torch.cat((left, model.predict(left)), -1))
    titles = [f"{name} {i}" for name in CLASS_NAMES for i in range(1, PER_CLASS + 1)]
    pixels = b64encode(images.numpy()).decode()
    picked = {"titles": titles, "pixels": pixels, "given": "left"}
    weights = b64encode(content).decode()
    live = {"networks": networks, "weights": weights, "images": picked}
    stacked = torch.stack([*rows, truth])[:, :, 0].numpy()
    return {"component": "explore/try_it", "data": live}, stacked


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
