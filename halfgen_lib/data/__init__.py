"""Fashion-MNIST as tensors: load, split, cut in halves, and serve in batches.

The set is one uint8 tensor on the device, permuted for an epoch and cut in batches: a fortieth of
the cost of a ``DataLoader`` that decodes each image.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..settings import known
from . import download
from .download import DataError as DataError  # the error that callers catch

Protocol = Literal["holdout", "as_published"]
Side = Literal["left", "right", "top", "bottom"]

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IMAGE_SIZE = 28
HALF_WIDTH = IMAGE_SIZE // 2
HOLDOUT_PARTS = 6  # one part in six validates: 10,000 of the 60,000
MIN_TRAIN_SIZE = len(CLASS_NAMES)  # at least one image of each class


@dataclass(frozen=True, eq=False)
class Images:
    """Hold labelled images on one device."""

    images: Tensor  # uint8 (N, 1, 28, 28)
    labels: Tensor  # int64 (N,), indices into CLASS_NAMES

    def __post_init__(self) -> None:
        n = len(self.labels)
        expected = ((n, 1, IMAGE_SIZE, IMAGE_SIZE), torch.uint8), ((n,), torch.int64)
        found = tuple((tuple(x.shape), x.dtype) for x in (self.images, self.labels))
        if found != expected:
            raise ValueError(f"images and labels are {found}, expected {expected}")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Images({len(self)} on {self.images.device})"

    def to(self, device: torch.device | str) -> Self:
        """Return the same images on ``device``."""
        return type(self)(self.images.to(device), self.labels.to(device))

    def select(self, index: Tensor | np.ndarray) -> Self:
        """Return the images at ``index``, int64 positions or a bool mask (N,), in that order."""
        index = torch.as_tensor(index, device=self.images.device)
        return type(self)(self.images[index], self.labels[index])

    def halves(self, given: str = "left") -> tuple[Tensor, Tensor]:
        """Return the known and the unknown halves, (N, 1, 28, 14) in [0, 1]: see ``halves``."""
        return halves(to_unit(self.images), given)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold the training and the test file, verified, and where they came from."""

    train: Images  # 60,000; of the sample 2,000
    test: Images  # 10,000; of the sample 1,000
    name: str  # "full" or "sample"
    folder: Path
    sha256: dict[str, str] = field(repr=False)  # of the uncompressed bytes, by file name

    @property
    def is_sample(self) -> bool:
        """Whether this is the small sample."""
        return self.name == "sample"


@dataclass(frozen=True, eq=False)
class Splits:
    """Hold what to fit on, what to choose by, and what to report on."""

    train: Images
    validation: Images
    test: Images


def load(name: str = "full", folder: str | os.PathLike[str] | None = None) -> Dataset:
    """Load Fashion-MNIST, or the "sample" of it that ships with the package: 2,000 + 1,000 images.

    The "full" set is looked for in ``folder`` alone, or else where ``download.find`` does. Raises
    DataError if files are missing, damaged or foreign, and cannot be obtained.
    """
    sums = download.SHA256[known(name, download.SHA256, "data")]
    place, files = download.find(name, folder)
    train, test = (Images(*download.tensors(files, part)) for part in ("train", "t10k"))
    return Dataset(train, test, name, place, dict(sums))


def stratified_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random permutation, int64 (N,), of which every prefix has the classes in proportion.

    The k-th of a class's n images, in random order, is placed at (k - 1/2) / n of the whole; so
    every class has its share of any prefix, to within one image. The generator is on the CPU.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    member = F.one_hot(labels.cpu()[shuffled], len(CLASS_NAMES)).double()  # (N, 10)
    position = (member.cumsum(0) - 0.5) / member.sum(0)
    return shuffled[position[member.bool()].argsort(stable=True)]


def hold_out(labels: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return the places in the training file that validate in "holdout", and the others, int64.

    Each in a stratified order, so that any first part has the classes in proportion.
    """
    order = stratified_order(labels, torch.Generator().manual_seed(seed))
    count = len(order) // HOLDOUT_PARTS
    count -= count % len(CLASS_NAMES)  # so that what is left begins a new round
    return order[:count], order[count:]


def split(
    dataset: Dataset, protocol: str = "holdout", *, seed: int = 0, train_size: int = 0
) -> Splits:
    """Split a data set into train, validation and test.

    With "holdout" a stratified sixth of the training file validates (10,000 images; of the sample
    330). With "as_published" all of it trains and the test file validates as well, an optimistic
    estimate; only to replicate. ``train_size`` keeps a stratified subset of the train part, which
    with the same seed lies in every larger one; 0 keeps all. ValueError if there are not so many.
    """
    validation = dataset.test
    held_out, rest = hold_out(dataset.train.labels, seed)
    order = torch.cat((held_out, rest))
    if known(protocol, get_args(Protocol), "protocol") == "holdout":
        validation, order = dataset.train.select(held_out.sort().values), rest
    if train_size and not MIN_TRAIN_SIZE <= train_size <= len(order):
        allowed = f"0 (all) or {MIN_TRAIN_SIZE} to {len(order)} with protocol {protocol!r}"
        where = f"on the {dataset.name} data"
        raise ValueError(f"train_size is {train_size}, allowed: {allowed} {where}")
    kept = order[: train_size or len(order)].sort().values  # in the order of the file
    return Splits(dataset.train.select(kept), validation, dataset.test)


def to_unit(images: Tensor) -> Tensor:
    """Return uint8 grey values as float32 in [0, 1]; ValueError for others: scaled already?"""
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}, expected torch.uint8")
    return images.to(torch.float32).div_(255)


def to_grey(images: Tensor) -> Tensor:
    """Return values in [0, 1] as the nearest of 256 grey values, uint8."""
    return (images * 255).round().byte()


def halves(images: Tensor, given: str = "left") -> tuple[Tensor, Tensor]:
    """Cut images (..., 28, 28) into the known and the unknown half, (..., 28, 14) each.

    In this canonical pose the known half is the left one, and its last column touches the first of
    the unknown half. A known right half is mirrored; top and bottom are transposed (top row to
    left column). Raises ValueError if ``given``, the known side, or the size is not allowed.
    """
    if images.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise ValueError(f"images are {tuple(images.shape)}, expected (..., 28, 28)")
    if known(given, get_args(Side), "given") in ("top", "bottom"):
        images = images.mT
    if given in ("right", "bottom"):
        images = images.flip(-1)
    return images[..., :HALF_WIDTH], images[..., HALF_WIDTH:]


def join(left: Tensor, right: Tensor, given: str = "left") -> Tensor:
    """Put two halves (..., 28, 14) together as images (..., 28, 28): the inverse of ``halves``."""
    for half in (left, right):
        if half.shape[-2:] != (IMAGE_SIZE, HALF_WIDTH):
            raise ValueError(f"a half is {tuple(half.shape)}, expected (..., 28, 14)")
    images = torch.cat((left, right), dim=-1)
    if known(given, get_args(Side), "given") in ("right", "bottom"):
        images = images.flip(-1)
    return (images.mT if given in ("top", "bottom") else images).contiguous()


def batches(
    images: Images,
    batch_size: int,
    generator: torch.Generator | None,
    *,
    given: str = "left",
    flip: bool = False,
    shift: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images once, in batches of ``halves``, float32 (B, 1, 28, 14) in [0, 1] each.

    The last batch may be shorter. The generator, on the CPU, draws the order; None: as in the file.
    ``flip`` mirrors a whole image left-right with probability 1/2, and ``shift`` moves it by up to
    so many pixels along each axis, black coming in. Raises ValueError on the first batch if the
    size is below 1, or if flip or shift have no generator to draw from.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, allowed: 1 or more")
    if (flip or shift) and generator is None:
        raise ValueError("flip and shift need a generator to draw from")
    pixels, device, n = images.images, images.images.device, len(images)
    if generator is not None:
        pixels = pixels[torch.randperm(n, generator=generator).to(device)]
    if flip:
        mirrored = torch.randint(2, (n, 1, 1, 1), generator=generator).bool().to(device)
        pixels = torch.where(mirrored, pixels.flip(-1), pixels)
    if shift:
        top, left = torch.randint(2 * shift + 1, (2, n), generator=generator).to(device)
        windows = F.pad(pixels, (shift,) * 4).unfold(2, IMAGE_SIZE, 1).unfold(3, IMAGE_SIZE, 1)
        pixels = windows[torch.arange(n, device=device), :, top, left]
    for batch in pixels.split(batch_size):
        yield halves(to_unit(batch), given)
