"""What the golden tests compute: for each case a few named numbers.

An int or a str is the same on every machine; the floats of a list are so to the case's tolerance.
"""

import hashlib
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from conftest import SMALL
from torch.nn.modules.module import register_module_forward_hook

from halfgen_lib.analysis.classifier import train_classifier
from halfgen_lib.config import RunConfig
from halfgen_lib.data import load, split, stratified_order
from halfgen_lib.models import build_model
from halfgen_lib.training import fit
from halfgen_lib.variants import VARIANTS

WHOLE = load("sample")
FEW = torch.arange(200)
SAMPLE = replace(WHOLE, train=WHOLE.train.select(FEW), test=WHOLE.test.select(FEW[:100]))
PIXELS = SAMPLE.test.images / 255

# Three steps an epoch, large enough for the losses to show what changes them. They are SGD's: where
# a gradient is zero but for rounding, as that of a bias before batch normalisation, Adam divides it
# by its own size, and the bias moves another way on another machine. So Adam gets no such network;
# its thirty steps are enough to show how it forgets early gradients.
BASE = {"data": "sample", "device": "cpu", "epochs": 4, "batch_size": 64}
BASE |= {"optimizer": "sgd", "learning_rate": 1.0}
NO_NORM = {"model_settings": SMALL["cae"] | {"batch_norm": False}}
ADAM = NO_NORM | {"optimizer": "adam", "learning_rate": 3e-2, "train_size": 10, "epochs": 30}
# The prior learns from the KL term alone, whose weight is so small here that its gradients are of
# the size of Adam's epsilon.
FAINT = {"model": "cvae", "model_settings": {"warmup_steps": 1_000_000}}
FAINT |= {"optimizer": "adam", "learning_rate": 3e-3}
# The validation loss falls by a fifth of the plateau's threshold an epoch, or by three times it.
SLOW = NO_NORM | {"momentum": 0.0, "epochs": 12, "plateau_factor": 0.3}
BY_HEART = {"train_size": 10, "epochs": 8}  # the best epoch is not the last

RUNS = {
    "adam": ADAM,
    "adam, decay and beta": ADAM | {"weight_decay": 0.1, "momentum": 0.5},
    "adam, epsilon": FAINT,
    "adamw": ADAM | {"optimizer": "adamw", "weight_decay": 1.0, "momentum": 0.5},
    "adamw, epsilon": FAINT | {"optimizer": "adamw"},
    "rmsprop": ADAM | {"optimizer": "rmsprop", "weight_decay": 0.1, "learning_rate": 3e-3},
    "rmsprop, epsilon": FAINT | {"optimizer": "rmsprop", "learning_rate": 3e-4},
    "sgd": {"weight_decay": 0.1, "momentum": 0.5},
    **{loss: {"loss": loss} for loss in ("mse", "l1", "huber", "bce", "mse_ssim")},
    "plateau": SLOW | {"learning_rate": 2e-4},
    "plateau, progress": SLOW | {"learning_rate": 3e-3},
    "one_cycle": {"schedule": "one_cycle"},
    "one_cycle, one step an epoch": ADAM | {"schedule": "one_cycle"},
    "ema": {"model": "unet", "ema": 0.5},
    **{keep: BY_HEART | {"keep": keep} for keep in ("best", "last")},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, unet": {"model": "unet", "precision": "bfloat16", "learning_rate": 0.3},
    "flip": {"flip": True},
    "shift": {"shift": 2},
    **{side: {"given": side} for side in ("right", "top", "bottom")},
    "train_size": {"train_size": 50},
    "as_published": {"split": "as_published"},
    "seed": {"seed": 3},
    "slope and padding": {"model_settings": {"negative_slope": 0.5, "padding": (1, 0)}},
    "mlp": {"model": "mlp"},
    "unet": {"model": "unet"},
    "unet, skips": {"model": "unet", "model_settings": {"skips": "concatenated", "blocks": 2}},
    "cvae": {"model": "cvae", "learning_rate": 0.1},
    "dropout": {"model": "cvae", "learning_rate": 0.05, "model_settings": {"dropout": 0.5}},
    "gan": {"model": "gan", "learning_rate": 0.1},
    "flow": {"model": "flow", "learning_rate": 0.1},
    "flow, euler": {"model": "flow", "learning_rate": 0.1, "model_settings": {"solver": "euler"}},
    "residual_flow": {"model": "residual_flow", "learning_rate": 0.01},
}


def trained(changes):
    """Train a small network on 170 images; its losses, its scores, and what it draws."""
    model = changes.get("model", "cae")
    settings = SMALL[model] | ({} if model in ("cae", "mlp") else {"dropout": 0.0})
    settings |= changes.get("model_settings", {})
    config = RunConfig(**BASE | changes | {"model_settings": settings})
    types = set()
    hook = register_module_forward_hook(lambda module, _, output: types.add(str(output.dtype)))
    with TemporaryDirectory() as folder, hook:
        run = fit(config, SAMPLE, runs_dir=Path(folder), quiet=True)
        history, scores, network = run.history, run.metrics["overall"], run.model()
    found = {name: digits(history[name]) for name in ("train_loss", "val_loss", "lr")}
    for name in ("mse", "ssim", "seam"):
        found[name] = digits(scores[name][key] for key in ("mean", "low", "high"))
    if hasattr(network, "sample"):
        draws = network.sample(PIXELS[..., :14], 2, torch.Generator().manual_seed(0))
        found["draws"] = digits(torch.std_mean(draws))
    return found | {"types": " ".join(sorted(types))}


def first_forward(config):
    """Build a network at its full size; what it makes of eight images before training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_model(config.model, config.model_settings)
    completed = network.predict(PIXELS[:8, ..., :14])
    return {"parameters": network.parameter_count(), "completed": digits(torch.std_mean(completed))}


def classified():
    """Train the classifier that measures drawn samples; its accuracies and features."""
    network, accuracies = train_classifier(SAMPLE.train, SAMPLE.test, epochs=3)
    features, _ = network.look(PIXELS)
    return {"accuracies": accuracies, "features": digits(torch.std_mean(features.abs()))}


def divided():
    """Order unequal classes and split the whole sample; hashes of the positions, of the images."""
    order = stratified_order(SAMPLE.train.labels, torch.Generator().manual_seed(0))
    found = {"order": hashed(order)}
    for protocol, size in product(("holdout", "as_published"), (0, 300)):
        parts = split(WHOLE, protocol, train_size=size)
        images = torch.cat((parts.train.images, parts.validation.images))
        found[f"{protocol}, {size or 'all'}"] = hashed(images)
    return found


def digits(numbers):
    return [float(f"{number:.7g}") for number in numbers]


def hashed(numbers):
    return hashlib.sha256(numbers.numpy().tobytes()).hexdigest()[:16]


CASES = {f"run: {name}": partial(trained, changes) for name, changes in RUNS.items()}
configs = {name: RunConfig.of_variant(name) for name in reversed(VARIANTS)}
first = {f"{config.model} {config.model_settings}": name for name, config in configs.items()}
CASES |= {f"network: {name}": partial(first_forward, configs[name]) for name in first.values()}
CASES["classifier"] = classified
CASES["split"] = divided
