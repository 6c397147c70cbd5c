"""Grey pictures of any size in the data set's pose: 28 × 28, one bright object on a dark ground.

Fashion-MNIST was made of product photographs that were trimmed, scaled until the longest edge had
28 pixels, centred, negated and made grey (Xiao et al. 2017, section 2). Differences here: only a
bright ground is negated, a filter scales where rows were skipped and the rest sharpened, and the
ground, which has to be plain, becomes 0, however unevenly it is lit.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from ..data import IMAGE_SIZE

CLOSE = 0.05  # grey values no further apart belong to the ground, as in Xiao et al.
FINE = 8 * IMAGE_SIZE  # a longer edge is shrunk first, which takes away a camera's noise
SPECK = 0.05  # what covers less, of the largest thing's area, is dust or a hair
DIM = 0.02  # a ground that is darker does not tell how the light falls on it
RIDGE = 1e-4  # keeps a ground of one grey at this grey where it is hidden


class PictureError(ValueError):
    """A picture that cannot be read or used."""


def in_pose(grey: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return a picture (H, W) in [0, 1] as float32 (28, 28), and add to the notes what was done.

    It is shrunk, freed of its ground, inverted, trimmed, scaled. PictureError where nothing is to
    be seen; a note that begins with "uncertain" says where the ground may have been mistaken.
    """
    factor, whole = -(-max(grey.shape) // FINE), size(grey)
    grey = np.asarray(Image.fromarray(grey).reduce(factor), dtype=np.float64)  # means of squares
    if factor > 1:
        notes.append(f"shrunk it from {whole} to {size(grey)}")
    ground, tolerance = _ground(grey)
    things = _whole(_things(grey - ground, tolerance, notes), notes)
    level = ground.max()
    if np.ptp(ground) > CLOSE / 2:
        notes.append(f"evened out the light: the ground is {ground.min():.2f} to {level:.2f}")
    if level < DIM:
        notes.append("uncertain: on a black ground it cannot be told whether the light is even")
    # light multiplies what it falls on
    rises = (grey - ground) * (level + DIM) / (ground + DIM)
    if rises[things].mean() < 0:
        notes.append("inverted it: its corners are brighter than what stands out from them")
        rises, level = -rises, 1 - level
    box = ndimage.find_objects(things.astype(int))[0]
    trimmed = (rises / max(1 - level, CLOSE))[box].astype(np.float32)
    if trimmed.shape != grey.shape:
        notes.append(f"trimmed it from {size(grey)} to {size(trimmed)}")
    centred = _centred(trimmed, notes)
    if level >= 1 / 255:
        notes.append(f"darkened it: the ground's grey, {level:.2f}, became 0")
    return centred


def size(grey: np.ndarray) -> str:
    """Return a picture's size in words."""
    return f"{grey.shape[1]} × {grey.shape[0]}"


def _ground(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the ground's grey (H, W), and how far what belongs to it lies from it, by its noise.

    As light falls off smoothly, it is a quadratic function of the place, fitted again and again to
    all that is close to it: at first to the grey of the border near the corners.
    """
    y, x = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in grey.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    edge = max(1, min(grey.shape) // IMAGE_SIZE)
    near = np.minimum(np.abs(x), np.abs(y)) > 0.7
    near[edge:-edge, edge:-edge] = False
    ground = np.full(grey.shape, np.median(grey[near]))
    for _ in range(16):
        noise = 1.48 * np.median(np.abs(grey - ground)[near])  # as a standard deviation
        tolerance = np.clip(4 * noise, CLOSE, 4 * CLOSE)
        close = np.abs(grey - ground) <= tolerance
        if not close.any():
            break
        own = terms[close]  # all but the first of its factors are damped
        damping = np.diag([0, *[RIDGE * len(own)] * 5])
        ground = terms @ np.linalg.solve(own.T @ own + damping, own.T @ grey[close])
    return ground.clip(0, 1), tolerance


def _things(rises: np.ndarray, tolerance: float, notes: list[str]) -> np.ndarray:
    """Return where something stands out from the ground and is no speck, (H, W)."""
    if tolerance > CLOSE:  # there is noise
        rises = ndimage.median_filter(rises, 3)
    labels, count = ndimage.label(np.abs(rises) > tolerance, np.ones((3, 3)))
    if not count:
        raise PictureError("nothing is to be seen: all of the picture is as bright as its corners")
    areas = np.bincount(labels.ravel())
    areas[0] = 0  # the ground
    is_thing = areas >= SPECK * areas.max()
    if specks := count - is_thing.sum():
        notes.append(f"passed over what is small beside the rest: {specks} in number")
    return is_thing[labels]


def _whole(things: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return the things, without what is thinner than three pixels if this alone is at the border.

    So a hair lies; where more than that is at the border, the thing may be cut off.
    """
    square = np.ones((3, 3))
    bulk = ndimage.binary_dilation(ndimage.binary_opening(things, square), square) & things
    inner = np.s_[1:-1, 1:-1]
    if things.sum() == things[inner].sum():
        return things
    if 0 < bulk.sum() == bulk[inner].sum():
        notes.append("uncertain: passed over something thin, a hair or a strap, at the border")
        return bulk
    notes.append("uncertain: what stands out reaches the border; is the ground plain?")
    return things


def _centred(trimmed: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return it scaled to a longest edge of 28 pixels, in the middle of (28, 28)."""
    height, width = (max(1, round(IMAGE_SIZE * e / max(trimmed.shape))) for e in trimmed.shape)
    filtered = Image.fromarray(trimmed).resize((width, height), Image.Resampling.LANCZOS)
    scaled = np.asarray(filtered).clip(0, 1)
    notes.append(f"scaled it from {size(trimmed)} to {size(scaled)} and centred it")
    margins = [divmod(IMAGE_SIZE - edge, 2) for edge in scaled.shape]
    return np.pad(scaled, [(margin, margin + odd) for margin, odd in margins])
