"""Strided convolutions whose padding differs from side to side, and their mirror images.

A kernel of 2 pixels with stride 2 takes 7 pixels to 4 if one pixel is added, on one side. PyTorch's
own convolutions pad both sides alike.
"""

import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]  # height, width
Pads = tuple[tuple[int, int], tuple[int, int]]  # pixels above and below, left and right


def conv_output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return O = floor((W - K + P) / S) + 1, the seed's equation (1) with P the total padding."""
    return (size - kernel + padding) // stride + 1


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the pixels to add before and after so that the output has ceil(size / stride).

    The total is max((ceil(size / stride) - 1) * stride + kernel - size, 0) and an odd pixel goes
    to the end, as in TensorFlow's ``padding="SAME"``.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class PaddedConv2d(nn.Conv2d):
    """A convolution of images of one ``size``, padded as ``pads`` tells.

    ``padding`` is what both sides have, ``extra`` what is needed below and on the right besides.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Size, stride: int, size: Size, pads: Pads
    ):
        (top, bottom), (left, right) = pads
        super().__init__(inputs, outputs, kernel, stride, padding=(top, left))
        self.size, self.extra = size, (bottom - top, right - left)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W'); ``size`` is (H, W)."""
        rows, columns = self.extra
        return super().forward(F.pad(x, (0, columns, 0, rows)) if rows or columns else x)


class PaddedConvTranspose2d(nn.ConvTranspose2d):
    """The mirror image of a convolution: what that one adds to the images is cut off here."""

    def __init__(self, mirrored: PaddedConv2d):
        shape = mirrored.kernel_size, mirrored.stride, mirrored.padding
        sides = zip(mirrored.size, mirrored.extra, *shape, strict=True)
        # pixels at the end that no kernel reached
        left = [(size + extra - k + 2 * pad) % stride for size, extra, k, stride, pad in sides]
        channels = mirrored.out_channels, mirrored.in_channels
        super().__init__(*channels, *shape, output_padding=tuple(left))
        self.size, self.extra = mirrored.size, mirrored.extra

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, outputs, H', W') to (N, inputs, H, W)."""
        rows, columns = self.extra
        whole = super().forward(x)
        return F.pad(whole, (0, -columns, 0, -rows)) if rows or columns else whole
