"""Strided convolution of images side by side: faster than of one image each on a CPU.

The vectors of a CPU's convolution run along a row, and the rows of small images are short. A strip
is n images side by side: a batch of N images (N, C, H, W) is G strips (G, C, H, n * W), N = G * n,
in channels-last memory. Where a kernel is as wide as its stride, no product of it spans two images;
and as neighbouring pixels lie beside each other in memory, each ``stride`` of them are taken for
the channels of one pixel, which leaves a kernel one pixel wide.

What normalises or acts on single pixels takes strips as it takes images.
"""

from __future__ import annotations

from math import gcd

import torch.nn.functional as F
from torch import Tensor, nn

STRIPS = 16  # at most: with fewer, longer ones the weights' gradients take longer

Size = tuple[int, int]  # height, width
Pads = tuple[int, int, int, int]  # top, bottom, left, right


def lay_where_it_pays(x: Tensor, layer: nn.Module) -> Tensor:
    """Lay images side by side on a CPU, if no product of the layer's kernel would span two.

    Args:
        x: images, or strips of them already.
        layer: a convolution with a ``width``, that of an image.
    """
    pays = x.device.type == "cpu" and len(x) > 1 and layer.kernel_size[1] == layer.stride[1]
    return lay(x) if pays and x.shape[3] == layer.width else x


def lay(images: Tensor) -> Tensor:
    """Lay images (N, C, H, W) side by side: strips (G, C, H, n * W), in channels-last memory."""
    n, channels, height, _ = images.shape
    strips = gcd(n, STRIPS)
    rows = images.permute(0, 2, 3, 1).unflatten(0, (strips, n // strips)).transpose(1, 2)
    return rows.reshape(strips, height, -1, channels).permute(0, 3, 1, 2)


def part(strips: Tensor, width: int) -> Tensor:
    """Take strips (G, C, H, n * width) apart again: images (N, C, H, width)."""
    return strips.unflatten(3, (-1, width)).permute(0, 3, 1, 2, 4).flatten(0, 1)


def _matrix(weight: Tensor) -> Tensor:
    """Make the columns of a kernel (A, B, kh, kw) channels: (A, kw * B, kh, 1)."""
    return weight.permute(0, 3, 1, 2).flatten(1, 2)[..., None].contiguous()


def conv2d(strips: Tensor, weight: Tensor, bias: Tensor, pads: Pads, width: int) -> Tensor:
    """Return the strips of ``torch.nn.functional.conv2d`` of padded images.

    Args:
        strips: (G, C, H, n * width).
        weight: (F, C, kh, kw); the stride is kw in both directions.
        bias: (F,).
        pads: pixels of 0 to add on each side of every image.
        width: of an image.

    Returns:
        (G, F, H', n * W') in channels-last memory.
    """
    (top, bottom, left, right), stride = pads, weight.shape[3]
    right -= (left + width + right) % stride  # columns that no kernel reaches
    rows = strips.permute(0, 2, 3, 1)
    if left or right:
        rows = F.pad(rows.unflatten(2, (-1, width)), (0, 0, left, right)).flatten(2, 3)
    columns = rows.unflatten(2, (-1, stride)).flatten(3).permute(0, 3, 1, 2)
    both = min(top, bottom)
    columns = F.pad(columns, (0, 0, top - both, bottom - both)) if top != bottom else columns
    return F.conv2d(columns, _matrix(weight), bias, (stride, 1), (both, 0))


def conv_transpose2d(
    strips: Tensor, weight: Tensor, bias: Tensor, pads: Pads, size: Size
) -> Tensor:
    """Return the strips of ``torch.nn.functional.conv_transpose2d``, cropped where padded.

    Args:
        strips: (G, C, H', n * W').
        weight: (C, F, kh, kw); the stride is kw in both directions.
        bias: (F,).
        pads: pixels to leave out on each side of every image.
        size: (height, width) of an image of the result; what the kernels leave of it is ``bias``.

    Returns:
        (G, F, height, n * width) in channels-last memory.
    """
    (top, bottom, left, right), stride = pads, weight.shape[3]
    small = (left + size[1] + right) // stride
    rows = strips.permute(0, 2, 3, 1)
    missing = left + size[1] > small * stride  # columns that no kernel reaches
    if missing:
        rows = F.pad(rows.unflatten(2, (-1, small)), (0, 0, 0, 1)).flatten(2, 3)
    both = min(top, bottom)
    short = top + size[0] + bottom - (strips.shape[2] - 1) * stride - weight.shape[2]
    columns = F.conv_transpose2d(
        rows.permute(0, 3, 1, 2),
        _matrix(weight),
        bias.repeat(stride),
        (stride, 1),
        (both, 0),
        (short, 0),
    )
    rows = columns.permute(0, 2, 3, 1).unflatten(3, (stride, -1)).flatten(2, 3)
    surplus = (small + missing) * stride - left - size[1]
    if left or surplus or top != bottom:
        rows = rows.unflatten(2, (-1, left + size[1] + surplus))
        crop = (0, 0, -left, -surplus, 0, 0, both - top, both - bottom)
        rows = F.pad(rows, crop).flatten(2, 3)
    return rows.permute(0, 3, 1, 2)
