"""The loop of a tutorial, to measure the library against: what a user would otherwise write.

Nothing of halfgen trains here. A Dataset gives a PIL image, ToTensor turns it into a tensor, a
DataLoader (its default: no workers) collects a shuffled batch, which is copied to the device; the
loss is read after every step. The network is the seed's, of ``nn.Conv2d`` and
``nn.ConvTranspose2d``.

    python benchmarks/plain_loop.py DATA_FOLDER --recipe published --epochs 20
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Dataset

from halfgen_lib.torchvision_compat import import_torchvision

transforms = import_torchvision("torchvision.transforms")

Pair = tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """What differs between the two recipes; all else is the same.

    Attributes:
        slope: of LeakyReLU.
        padding: (rows, columns) added on both sides, one pair a convolution.
        extra: (rows, columns) added at the end only, one pair a convolution.
        code: (height, width) of the maps after the last convolution.
        weight_decay: of Adam.
        patience: of ReduceLROnPlateau.
        holdout: 10,000 of the training images validate; if not, the test images do.
    """

    slope: float
    padding: tuple[Pair, Pair, Pair]
    extra: tuple[Pair, Pair, Pair]
    code: Pair
    weight_decay: float
    patience: int
    holdout: bool
    batch_size: int = 512  # the seed's text; that of the public code is not known to us
    learning_rate: float = 1e-3

    @property
    def split(self) -> str:
        """What the library calls this way to part the images."""
        return "holdout" if self.holdout else "as_published"


RECIPES = {
    # the library's default: the seed's text, with "same" padding of 28x14, 14x7 and 7x4 maps
    "default": Recipe(
        0.01, ((1, 0), (1, 0), (1, 0)), ((0, 0), (0, 1), (1, 0)), (4, 2), 0.0, 1, True
    ),
    # the seed's public code
    "published": Recipe(1.0, ((1, 1), (0, 0), (1, 1)), ((0, 0),) * 3, (3, 3), 1e-5, 1, False),
}


class LeftRight(Dataset):
    """Halves of images (N, 28, 28), uint8, decoded one by one as torchvision's FashionMNIST does.

    Args:
        images: (N, H, W), uint8.
    """

    def __init__(self, images: np.ndarray):
        self.images = images
        self.transform = transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the left and the right half, (1, H, W / 2) each, in [0, 1]."""
        image = self.transform(Image.fromarray(self.images[index]))
        middle = image.shape[2] // 2
        return image[:, :, :middle], image[:, :, middle:]


def build_network(recipe: Recipe) -> nn.Sequential:
    """Return the network: left halves (N, 1, 28, 14) to right halves of that shape."""
    (pad1, pad2, pad3), (extra1, extra2, extra3) = recipe.padding, recipe.extra
    flat = 128 * recipe.code[0] * recipe.code[1]

    def activation() -> nn.Module:
        return nn.LeakyReLU(recipe.slope)

    def pad(extra: Pair) -> nn.Module:
        return nn.ZeroPad2d((0, extra[1], 0, extra[0]))

    def crop(extra: Pair) -> nn.Module:
        return nn.ZeroPad2d((0, -extra[1], 0, -extra[0]))

    return nn.Sequential(
        pad(extra1),
        nn.Conv2d(1, 32, (4, 2), stride=2, padding=pad1),
        nn.BatchNorm2d(32),
        activation(),
        pad(extra2),
        nn.Conv2d(32, 64, (4, 2), stride=2, padding=pad2),
        nn.BatchNorm2d(64),
        activation(),
        pad(extra3),
        nn.Conv2d(64, 128, (4, 2), stride=2, padding=pad3),
        activation(),
        nn.Flatten(),
        nn.Linear(flat, 256),
        activation(),
        nn.Linear(256, 64),
        nn.Linear(64, 256),
        activation(),
        nn.Linear(256, flat),
        activation(),
        nn.Unflatten(1, (128, *recipe.code)),
        nn.ConvTranspose2d(128, 64, (4, 2), stride=2, padding=pad3),
        crop(extra3),
        nn.BatchNorm2d(64),
        activation(),
        nn.ConvTranspose2d(64, 32, (4, 2), stride=2, padding=pad2),
        crop(extra2),
        nn.BatchNorm2d(32),
        activation(),
        nn.ConvTranspose2d(32, 1, (4, 2), stride=2, padding=pad1),
        crop(extra1),
        nn.Sigmoid(),
    )


def train_epoch(
    network: nn.Module, loader: DataLoader, optimizer: optim.Optimizer, device: torch.device
) -> list[float]:
    """Take a gradient step for each batch; return the loss of each."""
    network.train()
    losses = []
    for left, right in loader:
        left, right = left.to(device), right.to(device)
        optimizer.zero_grad()
        loss = F.mse_loss(network(left), right)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def validate(network: nn.Module, loader: DataLoader, device: torch.device) -> float:
    """Return the mean squared error over all images."""
    network.eval()
    total, seen = 0.0, 0
    for left, right in loader:
        left, right = left.to(device), right.to(device)
        total += F.mse_loss(network(left), right).item() * len(left)
        seen += len(left)
    return total / seen


class PlainTraining:
    """Network, optimizer, schedule and loaders of one training.

    Args:
        recipe: what to train.
        train, validation: uint8 images (N, 28, 28).
        device: where to compute.
        seed: of the weights and of the order of the images.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: np.ndarray,
        validation: np.ndarray,
        device: torch.device,
        seed: int = 0,
    ):
        torch.manual_seed(seed)
        self.device = device
        self.network = build_network(recipe).to(device)
        self.optimizer = optim.Adam(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.scheduler = optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.5, patience=recipe.patience
        )
        self.train_loader = DataLoader(LeftRight(train), recipe.batch_size, shuffle=True)
        self.val_loader = DataLoader(LeftRight(validation), recipe.batch_size)

    def epochs(self) -> Iterator[dict[str, float]]:
        """Train without end; give a line after each epoch, ``seconds`` are those of the epoch."""
        for epoch in count(1):
            start = time.perf_counter()
            losses = train_epoch(self.network, self.train_loader, self.optimizer, self.device)
            val_loss = validate(self.network, self.val_loader, self.device)
            self.scheduler.step(val_loss)
            seconds = time.perf_counter() - start
            yield {
                "epoch": epoch,
                "train_loss": sum(losses) / len(losses),
                "val_loss": val_loss,
                "seconds": seconds,
            }


def main() -> None:
    """Train on the four files of Fashion-MNIST and print a line an epoch."""
    from halfgen_lib.data import load, split

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="where the four files of Fashion-MNIST lie")
    parser.add_argument("--recipe", choices=RECIPES, default="default")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.recipe]
    splits = split(load("full", arguments.folder), recipe.split)
    images = (part.images[:, 0].numpy() for part in (splits.train, splits.validation))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for row in islice(PlainTraining(recipe, *images, device).epochs(), arguments.epochs):
        print("  ".join(f"{name} {value:.5g}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
