"""Any picture in the data set's pose: 28 × 28, grey, one bright object on a dark ground.

Fashion-MNIST was made of product photographs that were trimmed, scaled until the longest edge had
28 pixels, centred, negated and made grey (Xiao et al. 2017, section 2). The same is done here, with
three differences, for pictures that are no product photographs: only a bright ground is negated,
a filter scales where rows were skipped and the rest sharpened, and the ground's own grey becomes 0.
The ground has to be plain: what lies on a busy one is not cut out.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..data import HALF_WIDTH, IMAGE_SIZE, Side

# What Pillow decodes by itself: for some other formats it starts programs.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
CLOSE = 0.05  # grey values no further apart belong to the ground, as in Xiao et al.
FINE = 8 * IMAGE_SIZE  # a longer edge is shrunk first, which takes away a camera's noise
EXIF_ORIENTATION = 0x0112

Picture = Tensor | np.ndarray | Image.Image | str | os.PathLike[str]

_SIZE, _HALF = IMAGE_SIZE, HALF_WIDTH
_CORNERS = {  # of the known part: row, column
    "left": ((0, 0), (-1, 0)),
    "right": ((0, -1), (-1, -1)),
    "top": ((0, 0), (0, -1)),
    "bottom": ((-1, 0), (-1, -1)),
}
_PADDING = {  # what makes a half a whole: before and after, rows and columns
    "left": ((0, 0), (0, _HALF)),
    "right": ((0, 0), (_HALF, 0)),
    "top": ((0, _HALF), (0, 0)),
    "bottom": ((_HALF, 0), (0, 0)),
}


class PictureError(ValueError):
    """A picture that cannot be read or used."""


def to_pose(picture: Picture, given: Side | None = None) -> tuple[Tensor, list[str]]:
    """Return a picture as the data set would show it, and what was done to it.

    A picture of 28 × 28 keeps its geometry: it is made grey, inverted if its corners are bright,
    and otherwise taken bit for bit. One of any other size is scaled as a whole.

    Args:
        picture: a tensor or an array, (H, W), (H, W, C), (C, H, W) or with a leading 1, with one to
            four channels (grey, grey and alpha, RGB, RGBA); 8 or 16 bit, bool, or floating point
            in [0, 1]. Or a Pillow image, or a file.
        given: the known side. Of a picture of 28 × 28 only that half then decides what is done
            (all of it, where it is transparent), and the half alone is enough: (28, 14) for left
            and right, (14, 28) for top and bottom.

    Returns:
        image: float32 (1, 1, 28, 28) in [0, 1]; where only a half came, the other one is 0.
        notes: plain sentences, in the order of what was done; at least one.

    Raises:
        TypeError: if it is nothing that can be a picture.
        PictureError: if it cannot be read, or nothing is to be seen on it.
        ValueError: an unknown side.
    """
    if given is not None and given not in get_args(Side):
        raise ValueError(f"given is {given!r}, allowed: {', '.join(get_args(Side))}")
    notes: list[str] = []
    grey = _grey(_pixels(picture, notes), notes)
    if grey.shape == (_SIZE, _SIZE):
        grey = _bright_on_dark(grey, given, notes)
    elif given and grey.shape in ((_SIZE, _HALF), (_HALF, _SIZE)):
        grey = _whole(grey, given, notes)
    else:
        grey = _scaled(grey, notes)
    image = torch.from_numpy(np.ascontiguousarray(grey, dtype=np.float32))
    return image[None, None], notes or ["took it as it is: 28 × 28, grey, bright on dark"]


# ---- reading: any source to (H, W) or (H, W, C), float32 in [0, 1]


def _pixels(picture: Any, notes: list[str]) -> np.ndarray:
    if isinstance(picture, str | os.PathLike):
        return _from_file(picture, notes)
    if isinstance(picture, Image.Image):
        return _from_pillow(picture, notes)
    if isinstance(picture, Tensor):
        picture = picture.detach().cpu()
        # numpy has no bfloat16
        array = (picture.float() if picture.is_floating_point() else picture).numpy()
        return _unit(_channels_last(array, (0, -1)))
    if isinstance(picture, np.ndarray):
        return _unit(_channels_last(picture, (-1, 0)))
    raise TypeError(
        f"picture is a {type(picture).__name__}; a tensor, an array, a Pillow image or the path of"
        " a file is needed"
    )


def _from_file(path: str | os.PathLike[str], notes: list[str]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as image:
                return _from_pillow(image, notes)
        except PictureError as error:
            raise PictureError(f"{path}: {error}") from None
        except UnidentifiedImageError:
            known = ", ".join(FORMATS)
            raise PictureError(f"{path} is not a picture of a known format: {known}") from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            limit = Image.MAX_IMAGE_PIXELS
            raise PictureError(f"{path} has more than {limit:,} pixels: make it smaller") from None
        except Exception as error:  # a damaged file can raise nearly anything in a decoder
            reason = getattr(error, "strerror", None) or error
            raise PictureError(f"{path} cannot be read: {reason}") from error


def _from_pillow(image: Image.Image, notes: list[str]) -> np.ndarray:
    try:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            notes.append(f"took frame {image.tell() + 1} of {frames}")
        if image.getexif().get(EXIF_ORIENTATION, 1) in range(2, 9):
            notes.append("turned it as its EXIF orientation says")
        image = ImageOps.exif_transpose(image)
        array = np.asarray(image.convert(_plain_mode(image)))
    except Exception as error:
        raise PictureError(f"the picture cannot be decoded: {error}") from error
    if array.dtype.kind == "i" and array.size and array.min() >= 0 and array.max() < 2**16:
        array = array.astype(np.uint16)  # Pillow's mode I: 16 bit in a wider type
    return _unit(_channels_last(array, (-1, 0)))


def _plain_mode(image: Image.Image) -> str:
    """Return the mode of Pillow that keeps what is in an image and that an array can hold."""
    if image.mode == "F" or image.mode.startswith("I"):
        return image.mode
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L") else "RGB"


def _channels_last(array: np.ndarray, channel_axes: tuple[int, int]) -> np.ndarray:
    """Return (H, W) or (H, W, C); where two axes could be the channels, the first named is."""
    shape = tuple(array.shape)
    if array.size == 0:
        raise PictureError(f"the picture is empty: its shape is {shape}")
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim == 2:
        return array
    if array.ndim == 3:
        for axis in channel_axes:
            if array.shape[axis] <= 4:
                return np.moveaxis(array, axis, -1)
    raise PictureError(
        f"a picture is (H, W), (H, W, C) or (C, H, W) with 1 to 4 channels C; this is {shape}"
    )


def _unit(array: np.ndarray) -> np.ndarray:
    """Return pixels of any allowed type as float32 in [0, 1]."""
    kind = array.dtype.kind
    if kind == "b":
        return array.astype(np.float32)
    if kind == "u" and array.dtype.itemsize <= 2:
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if kind != "f":
        raise PictureError(
            f"pixels have type {array.dtype}, whose range is unknown; allowed: uint8, uint16, bool,"
            " or floating point in [0, 1]"
        )
    if not np.isfinite(array).all():
        raise PictureError("pixels are NaN or infinite")
    if array.min() < 0 or array.max() > 1:
        raise PictureError(
            f"pixels go from {array.min():g} to {array.max():g}; floating-point ones must lie in"
            " [0, 1] (divide 8-bit values by 255)"
        )
    return array.astype(np.float32)


# ---- from pixels to the pose


def _grey(pixels: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return (H, W): the luma of ITU-R BT.601 in place of colours, a ground behind what is clear.

    The ground is the one from which the object stands out: black behind a bright one.
    """
    if pixels.ndim == 2:
        return pixels
    red, alpha = pixels[..., 0], None
    if pixels.shape[-1] in (2, 4):
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
    grey = red
    if pixels.shape[-1] == 3:
        green, blue = pixels[..., 1] - red, pixels[..., 2] - red
        if green.any() or blue.any():
            notes.append("made grey of its colours")
        # 0.299 R + 0.587 G + 0.114 B, written so that it is exact where the three are equal
        grey = red + np.float32(0.587) * green + np.float32(0.114) * blue
    if alpha is not None and alpha.min() < 1:
        is_bright = bool((grey * alpha).sum() > 0.5 * alpha.sum())
        grey = grey * alpha + (0 if is_bright else 1) * (1 - alpha)
        notes.append(f"put {'black' if is_bright else 'white'} behind what is transparent")
    return grey.clip(0, 1)


def _bright_on_dark(grey: np.ndarray, given: Side | None, notes: list[str]) -> np.ndarray:
    """Return a picture of the right size, inverted if its known corners are bright.

    No image of Fashion-MNIST has corners whose mean is above one half, on any side.
    """
    places = _CORNERS[given] if given else _CORNERS["left"] + _CORNERS["right"]
    if np.mean([grey[place] for place in places]) <= 0.5:
        return grey
    notes.append("inverted it: its corners are bright")
    return 1 - grey


def _whole(half: np.ndarray, given: Side, notes: list[str]) -> np.ndarray:
    """Return the known half as (28, 28), the other half black."""
    is_upright = half.shape == (_SIZE, _HALF)
    if is_upright != (given in ("left", "right")):
        raise PictureError(
            f"the picture is {_size(half)}, which may be a"
            f" {'left or right' if is_upright else 'top or bottom'} half, but given is {given!r}"
        )
    notes.append(f"took it as the {given} half")
    return np.pad(_bright_on_dark(half, given, notes), _PADDING[given])


def _scaled(grey: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return a picture of any size as (28, 28): inverted, trimmed, scaled, darkened, centred."""
    grey = _shrunk(grey, notes)
    ground = _ground(grey)
    stands_out = np.abs(grey - ground) > CLOSE
    if not stands_out.any():
        raise PictureError("nothing is to be seen: all of the picture is as bright as its corners")
    if grey[stands_out].mean() < ground:
        grey, ground = 1 - grey, 1 - ground
        notes.append("inverted it: its corners are brighter than what stands out from them")
    (top, bottom), (left, right) = (
        np.flatnonzero(stands_out.any(axis))[[0, -1]] for axis in (1, 0)
    )
    trimmed = grey[top : bottom + 1, left : right + 1]
    if trimmed.shape != grey.shape:
        notes.append(f"trimmed it from {_size(grey)} to {_size(trimmed)}")
    longest = max(trimmed.shape)
    height, width = (max(1, round(_SIZE * edge / longest)) for edge in trimmed.shape)
    filtered = Image.fromarray(np.ascontiguousarray(trimmed)).resize(
        (width, height), Image.Resampling.LANCZOS
    )
    # What stands out is brighter than the ground by more than CLOSE somewhere: no division by 0.
    scaled = ((np.asarray(filtered) - ground) / (1 - ground)).clip(0, 1)
    notes.append(f"scaled it from {_size(trimmed)} to {_size(scaled)} and centred it")
    if ground >= 1 / 255:
        notes.append(f"darkened it: the ground's grey, {ground:.2f}, became 0")
    rows, columns = (_SIZE - height) // 2, (_SIZE - width) // 2
    padding = ((rows, _SIZE - height - rows), (columns, _SIZE - width - columns))
    return np.pad(scaled, padding)


def _shrunk(grey: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return the means of squares, so large that no edge is longer than ``FINE``."""
    factor = -(-max(grey.shape) // FINE)
    if factor == 1:
        return grey
    small = np.asarray(Image.fromarray(grey).reduce(factor))
    notes.append(f"shrunk it from {_size(grey)} to {_size(small)}")
    return small


def _ground(grey: np.ndarray) -> float:
    """Return the grey of the ground: the median of the four corners, each one 1/28 of an edge."""
    edge = max(1, min(grey.shape) // _SIZE)
    ends = (slice(None, edge), slice(-edge, None))
    return float(np.median([grey[row, column].mean() for row in ends for column in ends]))


def _size(grey: np.ndarray) -> str:
    height, width = grey.shape
    return f"{width} × {height}"
