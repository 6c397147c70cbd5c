"""A small classifier of whole images: what the measures of drawn samples see with.

It is trained on the ``holdout`` split's training images, published with its hash and accuracy, and
never trained again by those who only measure. A Frechet distance depends on the features it is
computed in; these are the project's own, so such distances compare with each other and with no
number from elsewhere.
"""

from __future__ import annotations

import json
import math
import time
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load as load_safetensors
from safetensors.torch import save
from torch import Tensor, nn

from ..data import HALF_WIDTH, Dataset, Images, load, split, to_unit
from ..evaluation import bootstrap
from ..files import read_bytes, read_manifest, to_json, write_published
from ..runs.provenance import provenance
from ..runs.published import networks_dir
from ..training import choose_device, train_epoch

NAMES = {False: "classifier", True: "classifier-left"}  # of whole images, of left halves
FEATURES = 64
EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 9, 128, 4e-3, 1e-2
REMEDY = "`halfgen classifier{}` trains and publishes it (some minutes on one core)"


class Classifier(nn.Module):
    """Three convolutions and two fully connected layers: 28 x 28 pixels to 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 96)
        blocks = [
            nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.MaxPool2d(2),  # before the two below, which then see a quarter of the pixels
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in pairwise(widths)
        ]
        self.body = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(widths[-1] * 9, FEATURES))
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(0.2), nn.Linear(FEATURES, 10))
        self.to(memory_format=torch.channels_last)  # on a CPU twice as fast

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 1, 28, 28) in [0, 1] to class scores (N, 10)."""
        return self.head(self.body(images))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of images (N, 1, 28, 28) and classes (N,)."""
        return F.cross_entropy(self(images), labels)

    @torch.inference_mode()
    def look(self, images: Tensor, *, batch_size: int = 1000) -> tuple[Tensor, Tensor]:
        """Return what the network in evaluation mode makes of images.

        Args:
            images: (N, 1, 28, 28) in [0, 1]; N may be 0.
            batch_size: images at a time.

        Returns:
            (N, 64) float64 features, the penultimate layer before its ReLU, and (N,) int64 classes;
            both on the CPU.
        """
        self.eval()
        device = next(self.parameters()).device
        features = torch.cat([self.body(part.to(device)) for part in images.split(batch_size)])
        return features.cpu().double(), self.head(features).argmax(1).cpu()


def left_only(images: Tensor) -> Tensor:
    """Return images (..., 28, 28) whose right half is black."""
    return F.pad(images[..., :HALF_WIDTH], (0, HALF_WIDTH))


def accuracy(classifier: Classifier, images: Images, *, half: bool = False) -> Tensor:
    """Return for each image whether it is classified as labelled: (N,) bool, on the CPU.

    Args:
        classifier: on any device.
        images: N images.
        half: show the classifier the left half and black only.
    """
    pixels = to_unit(images.images)
    _, classes = classifier.look(left_only(pixels) if half else pixels)
    return classes == images.labels.cpu()


def train_classifier(
    train: Images,
    validation: Images,
    *,
    half: bool = False,
    epochs: int = EPOCHS,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[Classifier, list[float]]:
    """Train a classifier and return it as it was after its best epoch on validation images.

    AdamW, one cycle of the learning rate (Smith 2018), cross-entropy, no augmentation: the features
    should see which way an item faces.

    Args:
        train, validation: images and labels.
        half: show it left halves beside black in place of whole images.
        epochs: passes over the training images, 1 or more.
        seed: of weights, order and dropout.
        device: as :func:`training.choose_device`.

    Returns:
        The network, on the device, and the validation accuracy after each epoch.

    Raises:
        ValueError: if ``epochs`` is 0 or there is no such device.
    """
    place, order = choose_device(device), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # weights and dropout
        network = Classifier().to(place)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LEARNING_RATE, total_steps=epochs * math.ceil(len(train) / BATCH_SIZE)
        )
        pixels, labels = to_unit(train.images).to(place), train.labels.to(place)
        pixels = left_only(pixels) if half else pixels
        history, best = [], {}
        for _ in range(epochs):
            chosen = torch.randperm(len(train), generator=order).to(place).split(BATCH_SIZE)
            batches = ((pixels[few], labels[few]) for few in chosen)
            train_epoch(network, batches, network.loss, optimizer, schedule.step)
            history.append(accuracy(network, validation, half=half).double().mean().item())
            if history[-1] == max(history):
                best = {k: v.detach().clone() for k, v in network.state_dict().items()}
    network.load_state_dict(best)
    return network.eval(), history


def publish_classifier(
    dataset: Dataset | None = None, *, half: bool = False, **settings: Any
) -> dict[str, Any]:
    """Train a classifier, score the test set once, publish it, and return its record.

    The one of whole images has never seen half an image: its accuracy on those says how it fails
    there. What left halves tell of the class is the accuracy of the one that is trained on them.

    Args:
        dataset: the images; the full set if not given.
        half: the one of left halves.
        settings: of :func:`train_classifier`.
    """
    dataset = dataset or load("full")
    splits, start = split(dataset, "holdout"), time.perf_counter()
    network, history = train_classifier(splits.train, splits.validation, half=half, **settings)
    seconds = time.perf_counter() - start
    right = {"left_only": accuracy(network, splits.test, half=True)}
    if not half:
        right["whole"] = accuracy(network, splits.test)
    record = {
        "data": dataset.name,
        "trained_on": "left halves" if half else "whole images",
        "features": FEATURES,
        "parameters": sum(p.numel() for p in network.parameters()),
        "test_accuracy": {k: bootstrap(v.double().numpy()) for k, v in right.items()},
        "validation_accuracy": history,
        "seconds": round(seconds, 1),
        "settings": {
            "epochs": len(history),
            "batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "weight_decay": WEIGHT_DECAY,
            "seed": settings.get("seed", 0),
        },
        "origin": provenance(choose_device(settings.get("device", "cpu")), dataset.sha256),
    }
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    contents = {"model.safetensors": save(state), "record.json": to_json(record)}
    write_published(networks_dir() / NAMES[half], contents)
    return record


def load_classifier(half: bool = False) -> tuple[Classifier, dict[str, Any]]:
    """Return a published classifier, in evaluation mode on the CPU, and its record with SHA-256.

    Args:
        half: the one of left halves.

    Raises:
        RunError: if it is missing, damaged or not the recorded one; the message says how to train
            it.
    """
    place, remedy = networks_dir() / NAMES[half], REMEDY.format(" --half" * half)
    names = ("model.safetensors", "record.json")
    sums = read_manifest(place, remedy)
    content, record = (read_bytes(place / name, remedy) for name in names)
    network = Classifier()
    network.load_state_dict(load_safetensors(content))
    return network.eval(), json.loads(record) | {"sha256": sums[names[0]]}
