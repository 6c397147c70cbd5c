"""Fashion-MNIST as tensors: load, split, cut in halves, and serve in batches.

The whole set is one uint8 tensor on the device; a batch is that tensor indexed with a slice of a
permutation. At this image size that costs a fortieth of a `DataLoader` that decodes each image.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import fetch
from .idx import DataError as DataError  # re-exported: the error callers catch

Name = Literal["full", "sample"]
Protocol = Literal["holdout", "as_published"]
Side = Literal["left", "right", "top", "bottom"]

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IMAGE_SIZE = 28
HALF_WIDTH = IMAGE_SIZE // 2
SAMPLE_FOLDER = Path(__file__).parent / "sample"
HOLDOUT_PARTS = 6  # one part in six validates: 10,000 of the 60,000
MIN_TRAIN_SIZE = len(CLASS_NAMES)  # at least one image of each class


@dataclass(frozen=True, eq=False)
class Images:
    """Hold labelled images on one device.

    Attributes:
        images: uint8 (N, 1, 28, 28).
        labels: int64 (N,), indices into `CLASS_NAMES`.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Refuse tensors of another shape or type."""
        n = len(self.labels)
        if self.images.shape != (n, 1, IMAGE_SIZE, IMAGE_SIZE) or self.images.dtype != torch.uint8:
            raise ValueError(
                f"images are {tuple(self.images.shape)} {self.images.dtype}, "
                f"expected ({n}, 1, {IMAGE_SIZE}, {IMAGE_SIZE}) torch.uint8"
            )
        if self.labels.shape != (n,) or self.labels.dtype != torch.int64:
            raise ValueError(f"labels are {self.labels.dtype}, expected ({n},) torch.int64")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __repr__(self) -> str:
        """Return a short description in place of the pixels."""
        return f"Images({len(self)} on {self.images.device})"

    def to(self, device: torch.device | str) -> Self:
        """Return the same images on `device`."""
        return type(self)(self.images.to(device), self.labels.to(device))

    def halves(self, given: str = "left") -> tuple[Tensor, Tensor]:
        """Return the known and the unknown halves, (N, 1, 28, 14) in [0, 1]: see `halves`."""
        return halves(to_unit(self.images), given)

    def select(self, index: Tensor | np.ndarray) -> Self:
        """Return the images at `index`, int64 positions or a bool mask (N,), in that order."""
        index = torch.as_tensor(index, device=self.images.device)
        return type(self)(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold the training and the test file, verified, and where they came from.

    Attributes:
        train: The training file: 60,000 images (sample: 2,000).
        test: The test file: 10,000 images (sample: 1,000).
        name: "full" or "sample".
        folder: Where the files were read.
        sha256: SHA-256 of the uncompressed bytes, by IDX file name.
    """

    train: Images
    test: Images
    name: Name
    folder: Path
    sha256: dict[str, str] = field(repr=False)

    @property
    def is_sample(self) -> bool:
        """Tell whether this is the small sample, so that what is made from it can say so."""
        return self.name == "sample"


@dataclass(frozen=True, eq=False)
class Splits:
    """Hold what to fit on, what to choose by, and what to report on."""

    train: Images
    validation: Images
    test: Images


def load(name: str = "full", folder: str | os.PathLike[str] | None = None) -> Dataset:
    """Load Fashion-MNIST, obtaining it if it is nowhere, or the sample that ships with the package.

    Args:
        name: "full", or "sample": 2,000 + 1,000 images, stratified, always offline.
        folder: The only place to look for the full set; by default the places that
            `halfgen_lib.data.fetch.fetch` lists. The sample never needs it.

    Raises:
        ValueError: An unknown name.
        DataError: Files are missing, damaged or foreign, or cannot be obtained.
    """
    if name == "full":
        place, arrays = fetch.fetch(folder)
        sums = dict(fetch.SHA256)
    elif name == "sample":
        place = SAMPLE_FOLDER
        try:
            sums = json.loads((place / "sha256.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{place / 'sha256.json'}: {error}; reinstall halfgen") from error
        arrays = fetch.read_verified(place, sums)
    else:
        raise ValueError(f"data is {name!r}, allowed: {', '.join(get_args(Name))}")
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    parts = [
        Images(
            tensors[f"{part}-images-idx3-ubyte"].unsqueeze(1),
            tensors[f"{part}-labels-idx1-ubyte"].to(torch.int64),
        )
        for part in ("train", "t10k")
    ]
    return Dataset(*parts, name=name, folder=Path(place), sha256=sums)


def stratified_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random permutation of which every prefix holds the classes in proportion.

    The k-th of a class's n images, in random order, is placed at (k + 1/2) / n of the whole; so
    every class has its share of any prefix, to within one image. Prefixes are nested by nature.

    Args:
        labels: int64 (N,).
        generator: On the CPU.

    Returns:
        int64 (N,), on the CPU.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    classes = labels.cpu()[shuffled]
    position = torch.empty(len(labels), dtype=torch.float64)
    for label in range(len(CLASS_NAMES)):
        members = (classes == label).nonzero().squeeze(1)
        n = len(members)
        position[members] = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return shuffled[position.argsort(stable=True)]


def split(
    dataset: Dataset, protocol: str = "holdout", *, seed: int = 0, train_size: int = 0
) -> Splits:
    """Split a data set into train, validation and test.

    Args:
        dataset: What `load` returned.
        protocol: "holdout": one sixth of the training file, stratified, validates (10,000 of
            60,000; of the sample 330 of 2,000). "as_published": the whole training file trains and
            the test file validates as well, which makes the validation loss an optimistic
            estimate; only to replicate.
        seed: Of the split, and of the subset.
        train_size: Keep a stratified subset of the train part of this size; 0 keeps all. With the
            same seed a smaller subset lies in every larger one.

    Raises:
        ValueError: An unknown protocol, or a `train_size` that is not available.
    """
    order = stratified_order(dataset.train.labels, torch.Generator().manual_seed(seed))
    if protocol == "holdout":
        held_out = len(order) // HOLDOUT_PARTS
        held_out -= held_out % len(CLASS_NAMES)  # so that what is left begins a new round
        validation = dataset.train.select(_mask(order[:held_out], len(order)))
        order = order[held_out:]
    elif protocol == "as_published":
        validation = dataset.test
    else:
        raise ValueError(f"protocol is {protocol!r}, allowed: {', '.join(get_args(Protocol))}")
    if train_size and not MIN_TRAIN_SIZE <= train_size <= len(order):
        raise ValueError(
            f"train_size is {train_size}, allowed: 0 (all) or {MIN_TRAIN_SIZE} to {len(order)} "
            f"with protocol {protocol!r} on the {dataset.name} data"
        )
    kept = _mask(order[: train_size or len(order)], len(dataset.train))
    return Splits(dataset.train.select(kept), validation, dataset.test)


def _mask(index: Tensor, n: int) -> Tensor:
    """Return a bool mask (n,), True at `index`: selects in the order of the file."""
    mask = torch.zeros(n, dtype=torch.bool)
    mask[index] = True
    return mask


def to_unit(images: Tensor) -> Tensor:
    """Return uint8 grey values as float32 in [0, 1].

    Raises:
        ValueError: Another type than uint8, which may have been scaled already.
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}, expected torch.uint8")
    return images.to(torch.float32).div_(255)


def _to_pose(images: Tensor, given: str) -> Tensor:
    """Turn images so that the `given` side comes to lie left: mirror, transpose, or both."""
    if given not in get_args(Side):
        raise ValueError(f"given is {given!r}, allowed: {', '.join(get_args(Side))}")
    if given in ("top", "bottom"):
        images = images.transpose(-1, -2)
    return images.flip(-1) if given in ("right", "bottom") else images


def _from_pose(images: Tensor, given: str) -> Tensor:
    """Undo `_to_pose`: the same steps, the other way round."""
    images = images.flip(-1) if given in ("right", "bottom") else images
    return images.transpose(-1, -2) if given in ("top", "bottom") else images


def halves(images: Tensor, given: str = "left") -> tuple[Tensor, Tensor]:
    """Cut images into the known and the unknown half, in the canonical pose.

    In the canonical pose the known half is the left one, and its last column touches the first of
    the unknown half. A known right half is mirrored; top and bottom are transposed (top row to
    left column).

    Args:
        images: (..., 28, 28), any type.
        given: The known side: "left", "right", "top" or "bottom".

    Returns:
        left, right: (..., 28, 14) each; views where no mirroring is needed.

    Raises:
        ValueError: An unknown side, or another image size.
    """
    if images.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise ValueError(f"images are {tuple(images.shape)}, expected (..., 28, 28)")
    posed = _to_pose(images, given)
    return posed[..., :HALF_WIDTH], posed[..., HALF_WIDTH:]


def join(left: Tensor, right: Tensor, given: str = "left") -> Tensor:
    """Put two halves together as an image in its own pose: the inverse of `halves`.

    Args:
        left: (..., 28, 14), the known half in the canonical pose.
        right: (..., 28, 14), the other half.
        given: The side that the known half came from.

    Returns:
        (..., 28, 28).

    Raises:
        ValueError: An unknown side, or halves of another size.
    """
    for half in (left, right):
        if half.shape[-2:] != (IMAGE_SIZE, HALF_WIDTH):
            raise ValueError(f"a half is {tuple(half.shape)}, expected (..., 28, 14)")
    return _from_pose(torch.cat((left, right), dim=-1), given).contiguous()


def batches(
    images: Images,
    batch_size: int,
    generator: torch.Generator | None,
    *,
    given: str = "left",
    flip: bool = False,
    shift: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate once over all images in batches of (left, right), the last one possibly shorter.

    Args:
        images: On any device; the batches are on the same.
        batch_size: At least 1.
        generator: On the CPU; draws a fresh permutation. None: in order.
        given: The known side, see `halves`.
        flip: Mirror each image left-right with probability 1/2 before it is cut.
        shift: Move each image by up to so many pixels up or down and left or right before it is
            cut; black comes in at the border.

    Yields:
        left, right: float32 (B, 1, 28, 14) in [0, 1].

    Raises:
        ValueError: On the first batch: a size below 1, or `flip` or `shift` without a generator.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, allowed: 1 or more")
    if (flip or shift) and generator is None:
        raise ValueError("flip and shift need a generator to draw from")
    device, n = images.images.device, len(images)
    # Drawn on the CPU, so that the order does not depend on the device; moved once an epoch.
    order = None if generator is None else torch.randperm(n, generator=generator).to(device)
    mirrored = torch.randint(2, (n,), generator=generator).bool().to(device) if flip else None
    moves = torch.randint(2 * shift + 1, (2, n), generator=generator).to(device) if shift else None
    for start in range(0, n, batch_size):
        part = slice(start, start + batch_size)
        batch = images.images[part if order is None else order[part]]
        if mirrored is not None:
            batch = torch.where(mirrored[part, None, None, None], batch.flip(-1), batch)
        if moves is not None:
            batch = _windows(F.pad(batch, (shift,) * 4), *moves[:, part])
        left, right = halves(to_unit(batch), given)
        yield left, right


def _windows(padded: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Cut a window of 28x28 out of each padded image (B, 1, H, W), its corner at (top, left)."""
    span = torch.arange(IMAGE_SIZE, device=padded.device)
    rows, columns = top[:, None] + span, left[:, None] + span
    image = torch.arange(len(padded), device=padded.device)
    return padded[image[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)
