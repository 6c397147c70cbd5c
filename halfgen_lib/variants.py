"""What is compared with what: every experiment that the report tells of, declared as data.

A variant is a name and the settings in which it differs from the defaults of
:class:`config.RunConfig`; a factor is the variants that show the effect of one thing; a study is
its factors.
"""

from __future__ import annotations

from typing import Any

_CONCATENATED: dict[str, Any] = {"norm": "batch"}
_NETWORK: dict[str, Any] = {
    "norm": "batch",
    "skips": "added",
    "widths": (16, 32, 64, 128),
    "patch": 1,
    "dropout": 0.0,
}
_UNET: dict[str, Any] = {
    "model": "unet",
    "model_settings": _NETWORK,
    "flip": True,
    "epochs": 14,
    "batch_size": 64,
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 0.02,
    "schedule": "one_cycle",
    "ema": 0.998,
}
_LARGE: dict[str, Any] = _NETWORK | {"widths": (48, 96, 192, 384), "dropout": 0.1}
_UNET_LARGE = _UNET | {
    "epochs": 40,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "model_settings": _LARGE,
}
_SAMPLER = _UNET | {
    "model_settings": {},
    "batch_size": 128,
    "learning_rate": 1e-3,
    "ema": 0.999,
    "keep": "last",
}

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "as_published": {
        "model_settings": {"negative_slope": 1.0, "padding": (1, 0, 1)},
        "weight_decay": 1e-5,
        "split": "as_published",
    },
    "slope-1": {"model_settings": {"negative_slope": 1.0}},
    "depth-2": {"model_settings": {"features": (32, 64)}},
    "depth-4": {"model_settings": {"features": (32, 64, 128, 256)}},
    "features-16-32-64": {"model_settings": {"features": (16, 32, 64)}},
    "features-64-128-256": {"model_settings": {"features": (64, 128, 256)}},
    "latent-16": {"model_settings": {"latent_dim": 16}},
    "latent-32": {"model_settings": {"latent_dim": 32}},
    "latent-128": {"model_settings": {"latent_dim": 128}},
    "latent-256": {"model_settings": {"latent_dim": 256}},
    "lr-3e-4": {"learning_rate": 3e-4},
    "lr-3e-3": {"learning_rate": 3e-3},
    "lr-1e-2": {"learning_rate": 1e-2},
    "sgd": {"optimizer": "sgd"},
    "sgd-lr-0.1": {"optimizer": "sgd", "learning_rate": 0.1},  # 1e-3 is Adam's step, not SGD's
    "rmsprop": {"optimizer": "rmsprop"},
    "adamw": {"optimizer": "adamw", "weight_decay": 1e-2},
    "loss-l1": {"loss": "l1"},
    "loss-huber": {"loss": "huber"},
    "loss-bce": {"loss": "bce"},
    "loss-mse-ssim": {"loss": "mse_ssim"},
    "flip": {"flip": True},
    "train-1k": {"train_size": 1_000},
    "train-3k": {"train_size": 3_000},
    "train-10k": {"train_size": 10_000},
    "train-30k": {"train_size": 30_000},
    "long": {"epochs": 60},
    # beyond the seed: networks of our own, each with its recipe, at a size that a CPU can train
    "unet": _UNET,
    "unet-plain-skips": _UNET | {"model_settings": _NETWORK | {"mirrored": False}},
    "unet-no-flip": _UNET | {"flip": False},
    "unet-dropout": _UNET | {"model_settings": _NETWORK | {"dropout": 0.05}},
    "unet-no-decay": _UNET | {"weight_decay": 0.0},
    "unet-no-average": _UNET | {"ema": 0.0},
    "unet-batch-128": _UNET | {"batch_size": 128},
    "unet-shift": _UNET | {"shift": 1},
    "unet-concatenated": _UNET | {"model_settings": _CONCATENATED},
    "unet-concatenated-group-norm": _UNET | {"batch_size": 128, "model_settings": {}},
    "unet-tiny": _UNET | {"model_settings": _NETWORK | {"widths": (4, 8, 16, 32)}},
    "unet-small": _UNET | {"model_settings": _NETWORK | {"widths": (8, 16, 32, 64)}},
    "unet-wide": _UNET | {"model_settings": _NETWORK | {"widths": (24, 48, 96, 192)}},
    "unet-coarse": _UNET | {"model_settings": _NETWORK | {"widths": (32, 64, 128), "patch": 2}},
    "unet-3-epochs": _UNET | {"epochs": 3},
    "unet-6-epochs": _UNET | {"epochs": 6},
    "unet-28-epochs": _UNET | {"epochs": 28},
    "unet-large": _UNET_LARGE,
    "unet-large-short": _UNET_LARGE | {"epochs": 14},
    "unet-large-long": _UNET_LARGE | {"epochs": 100},
    "unet-huge": _UNET_LARGE | {"model_settings": _LARGE | {"blocks": 3}},
    # the fewer images there are, the more often each is seen, and the fewer steps are taken
    "unet-train-1k": _UNET | {"train_size": 1_000, "epochs": 60},
    "unet-train-3k": _UNET | {"train_size": 3_000, "epochs": 40},
    "unet-train-10k": _UNET | {"train_size": 10_000, "epochs": 24},
    "unet-train-30k": _UNET | {"train_size": 30_000, "epochs": 16},
    "cvae": _SAMPLER | {"model": "cvae", "epochs": 16},
    "gan": _SAMPLER | {"model": "gan", "epochs": 16, "momentum": 0.5, "learning_rate": 5e-4},
    "flow": _SAMPLER | {"model": "flow", "epochs": 20},
    "residual-flow": _SAMPLER | {"model": "residual_flow", "epochs": 12, "learning_rate": 2e-3},
    "flow-large": _SAMPLER
    | {"model": "flow", "epochs": 200, "model_settings": {"widths": (64, 128, 256), "patch": 1}},
}

# What the study varies, one thing at a time: a factor is its variants in their order.
FACTORS: dict[str, tuple[str, ...]] = {
    "depth": ("depth-2", "default", "depth-4"),
    "features": ("features-16-32-64", "default", "features-64-128-256"),
    "latent": ("latent-16", "latent-32", "default", "latent-128", "latent-256"),
    "slope": ("default", "slope-1"),
    "learning_rate": ("lr-3e-4", "default", "lr-3e-3", "lr-1e-2"),
    "optimizer": ("sgd", "sgd-lr-0.1", "rmsprop", "default", "adamw"),
    "loss": ("default", "loss-l1", "loss-huber", "loss-bce", "loss-mse-ssim"),
    "flip": ("default", "flip"),
    "train_size": ("train-1k", "train-3k", "train-10k", "train-30k", "default"),
    "epochs": ("default", "long"),
    "protocol": ("default", "as_published"),
}

# the same, of the networks beyond the seed
BEYOND: dict[str, tuple[str, ...]] = {
    "parts": (
        "unet",
        "unet-plain-skips",
        "unet-no-flip",
        "unet-dropout",
        "unet-no-decay",
        "unet-no-average",
        "unet-batch-128",
        "unet-shift",
    ),
    # before the last one, with twice the batch
    "network": ("unet", "unet-coarse", "unet-concatenated", "unet-concatenated-group-norm"),
    "size": ("unet-tiny", "unet-small", "unet", "unet-wide", "unet-large", "unet-huge"),
    "epochs": (
        "unet-3-epochs",
        "unet-6-epochs",
        "unet",
        "unet-28-epochs",
        "unet-large-short",
        "unet-large",
        "unet-large-long",
    ),
    "train_size": ("unet-train-1k", "unet-train-3k", "unet-train-10k", "unet-train-30k", "unet"),
    "samplers": ("cvae", "gan", "flow", "residual-flow", "flow-large"),
}

STUDIES = {"study": FACTORS, "beyond": BEYOND}  # by the name of their results file


def members(factors: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the variants of all factors, in the order in which they are declared."""
    return [name for name in VARIANTS if any(name in names for names in factors.values())]
