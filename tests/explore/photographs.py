"""Photographs drawn by a seed: one thing on a plain ground, as it is and as a camera might see it.

Run as a script, it prints how many of them keep their pose:
python tests/explore/photographs.py
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from halfgen_lib.explore.pictures import PictureError, to_pose

COUNT = 240
KEPT = 0.02  # the mean difference of two poses up to which they are the same


class Photograph(NamedTuple):
    """A picture without and with a defect, (H, W), and the defect's name."""

    clean: np.ndarray
    seen: np.ndarray
    defect: str


# ---- what is photographed: outlines in the unit square, x to the right, y down

POLYGONS = {
    "shoe": ((0, 0.1), (0.26, 0.1), (0.32, 0.45), (0.75, 0.62), (1, 0.72), (1, 0.95), (0, 0.95)),
    "shirt": (
        *((0.3, 0), (0.7, 0), (1, 0.25), (0.88, 0.42), (0.76, 0.33), (0.76, 1)),
        *((0.24, 1), (0.24, 0.33), (0.12, 0.42), (0, 0.25)),
    ),
    "trousers": ((0.25, 0), (0.75, 0), (0.9, 1), (0.6, 1), (0.5, 0.3), (0.4, 1), (0.1, 1)),
    "dress": ((0.38, 0), (0.62, 0), (0.6, 0.35), (0.85, 1), (0.15, 1), (0.4, 0.35)),
    "box": ((0, 0), (1, 0), (1, 1), (0, 1)),
}
SHAPES = (*POLYGONS, "ellipse", "bag", "sandal")


def outline(shape: str, width: int, height: int) -> np.ndarray:
    """Return how much of each pixel the thing covers, (height, width) in [0, 1]."""
    times = 4  # edges are smooth: drawn large, then shrunk
    image = Image.new("L", (times * width, times * height))
    draw, (w, h) = ImageDraw.Draw(image), (times * width - 1, times * height - 1)
    if shape in POLYGONS:
        draw.polygon([(x * w, y * h) for x, y in POLYGONS[shape]], fill=255)
    elif shape == "ellipse":
        draw.ellipse((0, 0, w, h), fill=255)
    elif shape == "bag":
        draw.rectangle((0, 0.4 * h, w, h), fill=255)
        draw.arc((0.2 * w, 0, 0.8 * w, 0.8 * h), 180, 360, fill=255, width=max(4, w // 16))
    else:  # a sole and two straps
        draw.polygon([(0, 0.8 * h), (w, 0.7 * h), (w, h), (0, h)], fill=255)
        for start in (0.1, 0.6):
            draw.arc((start * w, 0, (start + 0.35) * w, 1.5 * h), 180, 360, 255, max(4, w // 20))
    return np.asarray(image.reduce(times), dtype=np.float64) / 255


def photograph(rng: np.random.Generator) -> np.ndarray:
    """Return a clean picture, (H, W) in [0, 1]: a thing of two greys on a plain ground."""
    height, width = rng.integers(90, 600, 2)
    bright = rng.random() < 0.7
    ground = rng.choice([1, rng.uniform(0.75, 1)] if bright else [0, rng.uniform(0, 0.25)])
    away = rng.uniform(0.25, 0.7, 2) * (-1 if bright else 1)  # of its ends from the ground
    share = rng.uniform(0.4, 0.9, 2)
    cover = np.zeros((height, width))
    h, w = (max(8, round(e * s)) for e, s in zip((height, width), share, strict=True))
    top, left = (rng.integers(1, e - s) for e, s in ((height, h), (width, w)))
    cover[top : top + h, left : left + w] = outline(rng.choice(SHAPES), w, h)
    y, x = np.mgrid[:height, :width]
    fabric = 0.04 * rng.random() * np.sign(np.sin(x / 3) * np.sin(y / 4))
    thing = ground + np.linspace(*away, height)[:, None] + fabric
    return (ground + cover * (thing - ground)).clip(0, 1)


# ---- what goes wrong


def darker_corners(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let light fall off towards the corners, there by 3 to 12 percent, as a lens does."""
    y, x = (np.linspace(-1, 1, n) for n in picture.shape)
    square = (x**2 + y[:, None] ** 2) / 2  # 1 in the corners
    return picture * (1 - rng.uniform(0.03, 0.12) * square ** rng.choice([1, 1.5]))


def light_from_a_side(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let light fall off from one side to the other by 5 to 20 percent."""
    y, x = (np.linspace(0, 1, n) for n in picture.shape)
    angle = rng.uniform(0, 2 * math.pi)
    across = math.cos(angle) * x + math.sin(angle) * y[:, None]
    across = (across - across.min()) / np.ptp(across)
    return picture * (1 - rng.uniform(0.05, 0.2) * across)


def _contrast(picture: np.ndarray) -> float:
    return 0.0 if picture[0, 0] > 0.5 else 1.0


def single_pixels(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set one to three pixels to black, or to white on a dark ground."""
    picture = picture.copy()
    for _ in range(rng.integers(1, 4)):
        picture[tuple(rng.integers(0, picture.shape))] = _contrast(picture)
    return picture


def dust(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw up to ten specks of 2 to 4 pixels across."""
    image = Image.fromarray(picture.astype(np.float32))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 11)):
        y, x = rng.integers(0, picture.shape)
        size = rng.integers(1, 4)
        grey = picture[0, 0] + 0.5 * (_contrast(picture) - picture[0, 0])
        draw.ellipse((x, y, x + size, y + size), fill=float(grey))
    return np.asarray(image, dtype=np.float64)


def hair(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a thin bow that begins at the picture's border and ends a tenth of an edge away."""
    height, width = picture.shape
    image = Image.fromarray(picture.astype(np.float32))
    length = min(height, width) / rng.uniform(4, 8)
    x, y = rng.uniform(0.1, 0.9) * width, 0.0
    x, y = [(x, y), (x, height), (0, y + height / 3), (width, y + height / 3)][rng.integers(4)]
    box = (x - length, y - length, x + length, y + length)
    start = rng.uniform(0, 360)
    ImageDraw.Draw(image).arc(box, start, start + 120, _contrast(picture), int(rng.integers(1, 3)))
    return np.asarray(image, dtype=np.float64)


def noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a sensor's noise, 1 to 4 percent of white."""
    return picture + rng.normal(0, rng.uniform(0.01, 0.04), picture.shape)


def twelve_bits(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 12-bit values in 16 bits."""
    return (picture * (2**12 - 1)).round().astype(np.uint16)


def several(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let light fall off in both ways, and add a little noise, a hair and single pixels."""
    for defect in (darker_corners, light_from_a_side, hair, single_pixels):
        picture = defect(picture, rng)
    return picture + rng.normal(0, 0.01, picture.shape)


DEFECTS = (
    *(darker_corners, light_from_a_side, single_pixels, dust, hair, noise, twelve_bits),
    several,
)


def photographs(count: int = COUNT, seed: int = 0) -> Iterator[Photograph]:
    """Yield photographs; the same seed draws the same ones, each defect as often as the others."""
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        defect = DEFECTS[number % len(DEFECTS)]
        clean = photograph(rng)
        seen = defect(clean, rng)
        if seen.dtype != np.uint16:
            seen = (seen.clip(0, 1) * 255).round().astype(np.uint8)
        yield Photograph((clean * 255).round().astype(np.uint8), seen, defect.__name__)


def verdict(photo: Photograph) -> str:
    """Return whether a photograph's pose is "kept", "uncertain" as a note says, or else "lost"."""
    expected, _ = to_pose(photo.clean)
    try:
        found, notes = to_pose(photo.seen)
    except PictureError:
        return "lost"
    if float((found - expected).abs().mean()) < KEPT:
        return "kept"
    return "uncertain" if any(note.startswith("uncertain") for note in notes) else "lost"


def verdicts() -> dict[str, Counter[str]]:
    """Return how often each verdict was given, by defect."""
    counts = defaultdict(Counter)
    for photo in photographs():
        counts[photo.defect][verdict(photo)] += 1
    return counts


if __name__ == "__main__":
    counts = verdicts()
    for defect, count in (counts | {"all": sum(counts.values(), Counter())}).items():
        share = f"{count['kept'] / count.total():.1%} of {count.total()} keep their pose"
        print(f"{defect:18} {share}, {count['uncertain']} uncertain, {count['lost']} lost")
