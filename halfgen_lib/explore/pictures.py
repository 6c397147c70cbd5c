"""Any picture, from wherever it comes, made grey and put in the data set's pose."""

import io
import os
import warnings
from typing import Any, get_args

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..data import HALF_WIDTH, IMAGE_SIZE, Side, halves, join
from .pose import PictureError, in_pose, size

# What Pillow decodes by itself: for some other formats it starts programs.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
BITS = {"bool": (1,), "uint8": (8,), "uint16": (8, 10, 12, 14, 16)}  # that values may have
HALVES = {(IMAGE_SIZE, HALF_WIDTH): ("left", "right"), (HALF_WIDTH, IMAGE_SIZE): ("top", "bottom")}

Picture = Tensor | np.ndarray | Image.Image | str | os.PathLike[str] | io.IOBase


def to_pose(picture: Picture, given: Side | None = None) -> tuple[Tensor, list[str]]:
    """Return a picture as the data set would show it, and plain sentences on what was done to it.

    It may be a tensor or an array, (H, W), (H, W, C), (C, H, W) or with a leading 1, of one to four
    channels (grey, grey and alpha, RGB, RGBA), in 8 or 16 bit, bool, or floating point in [0, 1];
    a Pillow image; or a file, its path or an open one. It becomes float32 (1, 1, 28, 28) in [0, 1].
    One of 28 × 28 is made grey, inverted if its corners are bright, and else taken bit for bit. If
    a known side is ``given``, that half alone decides this (all of it, where it is transparent),
    and that half is enough, (28, 14) or (14, 28): the other one is then 0. Any other size is scaled
    as a whole. Raises TypeError for what can be no picture, PictureError for one that is unreadable
    or empty, and ValueError for an unknown side.
    """
    if given is not None and given not in get_args(Side):
        raise ValueError(f"given is {given!r}, allowed: {', '.join(get_args(Side))}")
    notes: list[str] = []
    grey = _grey(_pixels(picture, notes), notes)
    if grey.shape == (IMAGE_SIZE, IMAGE_SIZE) or (given and grey.shape in HALVES):
        image = _bright_on_dark(grey, given, notes)
    else:
        image = torch.from_numpy(in_pose(grey, notes))
    notes = notes or ["took it as it is: 28 × 28, grey, bright on dark"]
    return image.contiguous()[None, None], notes


def _pixels(picture: Any, notes: list[str]) -> np.ndarray:
    """Return any source's pixels (H, W, C), float32 in [0, 1]."""
    if isinstance(picture, str | os.PathLike | io.IOBase):
        return _from_file(picture, notes)
    channel_axes = (0, -1) if isinstance(picture, Tensor) else (-1, 0)
    if isinstance(picture, Image.Image):
        picture = _decoded(picture, notes)
    elif isinstance(picture, Tensor):
        picture = picture.float() if picture.is_floating_point() else picture  # bfloat16, too
        picture = picture.numpy(force=True)
    if not isinstance(picture, np.ndarray):
        needed = "a tensor, an array, a Pillow image or the path of a file"
        raise TypeError(f"picture is a {type(picture).__name__}; {needed} is needed")
    return _unit(_channels_last(picture, channel_axes), notes)


def _from_file(file: Any, notes: list[str]) -> np.ndarray:
    bombs = Image.DecompressionBombWarning, Image.DecompressionBombError
    try:
        refused = warnings.catch_warnings(action="error", category=bombs[0])
        with refused, Image.open(file, formats=FORMATS) as image:
            return _pixels(image, notes)
    except PictureError as error:
        reason = f": {error}"
    except UnidentifiedImageError:
        reason = f" is not a picture of a known format: {', '.join(FORMATS)}"
    except bombs:
        reason = f" has more than {Image.MAX_IMAGE_PIXELS:,} pixels: make it smaller"
    except Exception as error:  # a damaged file can raise nearly anything in a decoder
        reason = f" cannot be read: {getattr(error, 'strerror', None) or error}"
    name = getattr(file, "name", "the file") if isinstance(file, io.IOBase) else file
    raise PictureError(f"{name}{reason}")


def _decoded(image: Image.Image, notes: list[str]) -> np.ndarray:
    """Return (H, W, 4), or (H, W) of an image whose pixels have more than 8 bit."""
    try:
        if (frames := getattr(image, "n_frames", 1)) > 1:
            notes.append(f"took frame {image.tell() + 1} of {frames}")
        if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
            notes.append("turned it as its EXIF orientation says")
        image = ImageOps.exif_transpose(image)
        array = np.asarray(image if image.mode[0] in "FI" else image.convert("RGBA"))
    except Exception as error:
        raise PictureError(f"the picture cannot be decoded: {error}") from error
    # Pillow's mode I may hold 16 bit in a wider type
    is_narrow = image.mode == "I" and np.array_equal(array.astype(np.uint16), array)
    return array.astype(np.uint16) if is_narrow else array


def _channels_last(array: np.ndarray, channel_axes: tuple[int, int]) -> np.ndarray:
    """Return (H, W, C); where two axes could be the channels, the first named is."""
    if array.size == 0:
        raise PictureError(f"the picture is empty: its shape is {array.shape}")
    pixels = array[0] if array.ndim == 4 and len(array) == 1 else array
    if pixels.ndim == 2:
        return pixels[..., None]
    for axis in channel_axes:
        if pixels.ndim == 3 and pixels.shape[axis] <= 4:
            return np.moveaxis(pixels, axis, -1)
    allowed = "(H, W), (H, W, C) or (C, H, W) with 1 to 4 channels C"
    raise PictureError(f"a picture is {allowed}; this is {array.shape}")


def _unit(array: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return pixels of any allowed type as float32 in [0, 1]; cameras put 12 bits in 16."""
    if bits := BITS.get(array.dtype.name):
        used = next(n for n in bits if array.max() < 2**n)
        if used < bits[-1]:
            notes.append(f"took its {bits[-1]} bits as {used}: no value is above {2**used - 1}")
        return array.astype(np.float32) / np.float32(2**used - 1)
    if array.dtype.kind != "f":
        wrong = f"pixels have type {array.dtype}, whose range is unknown"
        raise PictureError(f"{wrong}; allowed: uint8, uint16, bool, or floating point in [0, 1]")
    if not np.isfinite(array).all():
        raise PictureError("pixels are NaN or infinite")
    if array.min() < 0 or array.max() > 1:
        allowed = "floating-point ones must lie in [0, 1] (divide 8-bit values by 255)"
        raise PictureError(f"pixels go from {array.min():g} to {array.max():g}; {allowed}")
    return array.astype(np.float32)


def _grey(pixels: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return (H, W): the luma of ITU-R BT.601 in place of colours, a ground behind what is clear.

    The ground is the one from which the object stands out: black behind a bright one.
    """
    channels = pixels.shape[-1]
    grey = red = pixels[..., 0]
    if channels > 2:
        green, blue = pixels[..., 1] - red, pixels[..., 2] - red
        if green.any() or blue.any():
            notes.append("made grey of its colours")
        # 0.299 R + 0.587 G + 0.114 B, written so that it is exact where the three are equal
        grey = red + np.float32(0.587) * green + np.float32(0.114) * blue
    if channels in (2, 4) and (alpha := pixels[..., -1]).min() < 1:
        is_bright = (grey * alpha).sum() > 0.5 * alpha.sum()
        name, ground = ("black", 0) if is_bright else ("white", 1)
        grey = grey * alpha + ground * (1 - alpha)
        notes.append(f"put {name} behind what is transparent")
    return grey.clip(0, 1)


def _bright_on_dark(grey: np.ndarray, given: Side | None, notes: list[str]) -> Tensor:
    """Return 28 × 28, or the known half alone, as (28, 28), inverted if known corners are bright.

    No image of Fashion-MNIST has corners whose mean is above one half, on any side.
    """
    if is_half := grey.shape in HALVES:
        if given not in (sides := HALVES[grey.shape]):
            half = f"{size(grey)}, which may be a {' or '.join(sides)} half"
            raise PictureError(f"the picture is {half}, but given is {given!r}")
        notes.append(f"took it as the {given} half")
        grey = np.concatenate((grey, grey), axis=grey.shape.index(HALF_WIDTH))
    image = torch.from_numpy(grey)
    known = halves(image, given)[0] if given else image
    if known[:: IMAGE_SIZE - 1, :: IMAGE_SIZE - 1].mean() > 0.5:  # of a half, two outer corners
        notes.append("inverted it: its corners are bright")
        image, known = 1 - image, 1 - known
    return join(known, torch.zeros_like(known), given) if is_half else image
