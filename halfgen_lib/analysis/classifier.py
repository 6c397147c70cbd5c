"""A small classifier of whole images: what the measures of drawn samples see with.

It is trained once, published with its hash and accuracy, and then only looked through. A Frechet
distance depends on the features; these are the project's own, so such distances compare with each
other and with no number from elsewhere.
"""

import json
import math
from copy import deepcopy
from itertools import pairwise
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from ..data import Images, load, split, to_unit
from ..evaluation import bootstrap
from ..files import read_bytes, read_manifest, to_json, write_atomic, write_published
from ..progress import countdown
from ..runs.provenance import provenance
from ..runs.published import networks_dir
from ..training import train_epoch

NAME, WEIGHTS = "classifier", "model.safetensors"
FEATURES = 64
EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 9, 128, 4e-3, 1e-2
SEED = 0  # of weights, order and dropout
CARD = """# classifier

{what}

It has {parameters:,} parameters and tells the class of {mean:.1%} of {count:,} test images of
Fashion-MNIST, with a 95% interval from {low:.1%} to {high:.1%}. It was trained {day} on the
training images that are not held out; the epoch was chosen on those that are.

Intended use: its {features} features are what Fréchet distances, precision and recall of this
project are computed in. They see shape more than grain, and compare with no number from elsewhere.
Of other pictures than a shop's photographs of garments, shoes and bags nothing was measured.

Licence: MIT. SHA-256 of the weights: `{sha256}`
"""
REMEDY = "`halfgen classifier` trains and publishes it (some minutes on one core)"


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
        """Return features, (N, 64) float64 before the last ReLU, and classes (N,) of N images."""
        self.eval()
        features = torch.cat([self.body(part) for part in images.split(batch_size)])
        return features.double(), self.head(features).argmax(1)


def accuracy(classifier: Classifier, images: Images) -> Tensor:
    """Return whether each image is classified as labelled: (N,) bool."""
    return classifier.look(to_unit(images.images))[1] == images.labels


def train_classifier(
    train: Images, validation: Images, *, epochs: int = EPOCHS
) -> tuple[Classifier, list[float]]:
    """Return a classifier as of its best epoch, and the validation accuracy after each epoch.

    AdamW, one cycle of the learning rate (Smith 2018), cross-entropy, no augmentation: the features
    should see which way an item faces.
    """
    order, history, best = torch.Generator().manual_seed(SEED), [], {}
    pixels, steps = to_unit(train.images), epochs * math.ceil(len(train) / BATCH_SIZE)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)  # weights and dropout
        network = Classifier()
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
        tell = countdown([1] * epochs)
        for epoch in range(1, epochs + 1):
            chosen = torch.randperm(len(train), generator=order).split(BATCH_SIZE)
            batches = ((pixels[few], train.labels[few]) for few in chosen)
            train_epoch(network, batches, network.loss, optimizer, schedule.step)
            history.append(accuracy(network, validation).double().mean().item())
            print(f"epoch {epoch}/{epochs}  validation {history[-1]:.4f}; {tell()}", flush=True)
            if history[-1] == max(history):
                best = deepcopy(network.state_dict())
    network.load_state_dict(best)
    return network.eval(), history


def publish_classifier() -> dict[str, Any]:
    """Train a classifier, score the test set once, publish it with a card, return its record."""
    dataset = load("full")
    splits = split(dataset, "holdout")
    network, history = train_classifier(splits.train, splits.validation)
    right = accuracy(network, splits.test).double().numpy()
    rates = {"learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    record = {
        "data": dataset.name,
        "features": FEATURES,
        "parameters": sum(p.numel() for p in network.parameters()),
        "test_accuracy": {"whole": bootstrap(right)},
        "validation_accuracy": history,
        "settings": {"epochs": EPOCHS, "batch_size": BATCH_SIZE, **rates, "seed": SEED},
        "origin": provenance(torch.device("cpu"), dataset.sha256),
    }
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    contents = {WEIGHTS: safetensors.torch.save(state), "record.json": to_json(record)}
    write_published(networks_dir() / NAME, contents)
    network, record = load_classifier()
    about = record | record["origin"] | record["test_accuracy"]["whole"]
    text = CARD.format_map(about | {"what": network.__doc__, "day": about["created"][:10]})
    write_atomic(networks_dir() / NAME / "README.md", text.encode())
    return record


def load_classifier() -> tuple[Classifier, dict[str, Any]]:
    """Return the published classifier, in evaluation mode, and its record with SHA-256.

    A RunError for a missing, damaged or other one says how to train it.
    """
    place = networks_dir() / NAME
    sums = read_manifest(place, REMEDY)
    weights, record = (read_bytes(place / name, REMEDY) for name in (WEIGHTS, "record.json"))
    network = Classifier()
    network.load_state_dict(safetensors.torch.load(weights))
    return network.eval(), json.loads(record) | {"sha256": sums[WEIGHTS]}
