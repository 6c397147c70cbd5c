"""The same network, faster on a CPU: its convolutions see many small images as one wide image.

The vectors of a CPU's convolution run along a row, and the rows of small images are short. A strip
is n images side by side: a batch of N images (N, C, H, W) is G strips (G, C, H, n * W), N = G * n,
in channels-last memory. Where a kernel is as wide as its stride, no product of it spans two images;
and as neighbouring pixels lie beside each other in memory, each ``stride`` of them are taken for
the channels of one pixel, which leaves a kernel one pixel wide.
"""

from math import gcd

import torch.nn.functional as F
from torch import Tensor, nn

from .base import Completer
from .padding import PaddedConv2d, PaddedConvTranspose2d

STRIPS = 16  # at most: with fewer, longer ones the weights' gradients take longer
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_hooks")  # what looks on
PIXELWISE = (nn.BatchNorm2d, nn.LeakyReLU)  # take strips as they take images


def side_by_side(network: Completer) -> Completer:
    """Let the network's stacks of layers lay images side by side, where their kernels allow it.

    The layers, their weights and the names of these stay as they are.
    """
    for name, layers in network.named_children():
        if isinstance(layers, nn.Sequential) and any(map(takes_strips, layers)):
            setattr(network, name, SideBySide(*layers))
    return network


def takes_strips(layer: nn.Module) -> bool:
    """Tell whether a layer is a convolution that can work on strips."""
    if not isinstance(layer, PaddedConv2d | PaddedConvTranspose2d):
        return False
    # of a kernel with one row a single pixel would be left: oneDNN 3.12 writes beyond its memory
    return layer.kernel_size[1] == layer.stride[1] and layer.kernel_size[0] > 1


class SideBySide(nn.Sequential):
    """Layers one after another, whose convolutions work on strips of a batch on a CPU.

    Where a hook looks on, it is shown images, as it is on other devices.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layers make of ``x``, (N, ...)."""
        n, laid = len(x) // gcd(len(x), STRIPS), False
        hooks = (getattr(layer, name) for layer in self for name in HOOKS)
        if x.device.type != "cpu" or n < 2 or any(hooks):
            return super().forward(x)
        for layer in self:
            if takes_strips(layer):
                x, laid = convolve(layer, x if laid else lay(x, n), n), True
            elif laid and not isinstance(layer, PIXELWISE):
                x, laid = layer(part(x, n)), False
            else:
                x = layer(x)
        return part(x, n) if laid else x


def lay(images: Tensor, n: int) -> Tensor:
    """Lay every n of images (N, C, H, W) side by side: strips (N / n, C, H, n * W)."""
    rows = images.permute(0, 2, 3, 1).unflatten(0, (-1, n)).transpose(1, 2)
    return rows.flatten(2, 3).permute(0, 3, 1, 2)


def part(strips: Tensor, n: int) -> Tensor:
    """Take strips (G, C, H, n * W) apart again: images (G * n, C, H, W)."""
    return strips.unflatten(3, (n, -1)).permute(0, 3, 1, 2, 4).flatten(0, 1)


def convolve(layer: PaddedConv2d | PaddedConvTranspose2d, strips: Tensor, n: int) -> Tensor:
    """Return the strips of what a layer makes of images, from strips of n images each."""
    work = _conv2d if isinstance(layer, PaddedConv2d) else _conv_transpose2d
    return work(layer, strips.permute(0, 2, 3, 1), n)


def _conv2d(layer: PaddedConv2d, rows: Tensor, n: int) -> Tensor:
    """Map rows of strips (G, H, n * W, C) to strips (G, outputs, H', n * W')."""
    (top, left), (below, right), stride = layer.padding, layer.extra, layer.stride[0]
    right -= (2 * left + layer.size[1] + right) % stride  # columns that no kernel reaches
    rows = _pad(rows, n, left, left + right, below)
    columns = rows.unflatten(2, (-1, stride)).flatten(3).permute(0, 3, 1, 2)
    return F.conv2d(columns, _matrix(layer), layer.bias, (stride, 1), (top, 0))


def _conv_transpose2d(layer: PaddedConvTranspose2d, rows: Tensor, n: int) -> Tensor:
    """Map rows of strips (G, H', n * W', C) to strips (G, outputs, H, n * W)."""
    (top, left), (below, _), (height, width) = layer.padding, layer.extra, layer.size
    (kernel, stride), beside = layer.kernel_size, rows.shape[2] // n
    missing = max(-(-(left + width) // stride) - beside, 0)  # columns that no kernel reaches
    columns = F.conv_transpose2d(
        _pad(rows, n, 0, missing, 0).permute(0, 3, 1, 2),
        _matrix(layer),
        layer.bias.repeat(stride),
        (stride, 1),
        (top, 0),
        (2 * top + height + below - kernel - (rows.shape[1] - 1) * stride, 0),
    )
    rows = columns.permute(0, 2, 3, 1).unflatten(3, (stride, -1)).flatten(2, 3)
    cut = _pad(rows, n, -left, left + width - (beside + missing) * stride, -below)
    return cut.permute(0, 3, 1, 2)


def _pad(rows: Tensor, n: int, left: int, right: int, below: int) -> Tensor:
    """Add pixels beside and below each of n images in rows of strips; negative: take away."""
    if not (left or right or below):
        return rows
    return F.pad(rows.unflatten(2, (n, -1)), (0, 0, left, right, 0, 0, 0, below)).flatten(2, 3)


def _matrix(layer: PaddedConv2d | PaddedConvTranspose2d) -> Tensor:
    """Return a layer's kernel (A, B, kh, kw) with its columns as channels: (A, kw * B, kh, 1)."""
    return layer.weight.permute(0, 3, 1, 2).flatten(1, 2)[..., None].contiguous()
