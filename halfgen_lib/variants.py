"""What is compared with what: every experiment that the report tells of, declared as data.

A variant is a name and the settings in which it differs from the defaults of
:class:`config.RunConfig`; a factor is the variants that show the effect of one thing; a study is
its factors. What readers call each variant is in names.toml.
"""

import tomllib
from pathlib import Path
from typing import Any

_WIDTHS = (32, 64, 128, 128)
_NETWORK = {"norm": "batch", "skips": "added", "widths": _WIDTHS, "patch": 1, "dropout": 0.0}
_RECIPE = {"optimizer": "adamw", "weight_decay": 0.02, "schedule": "one_cycle"}
_TRAINED = _RECIPE | {"epochs": 7, "batch_size": 64, "learning_rate": 2e-3, "ema": 0.998}
_PUBLIC_CODE = {
    "model_settings": {"negative_slope": 1.0, "padding": (1, 0, 1)},
    "weight_decay": 1e-5,
    "split": "as_published",
}
_UNET = _TRAINED | {"model": "unet", "model_settings": _NETWORK}
_SAMPLER = _RECIPE | {"batch_size": 128, "learning_rate": 1e-3, "ema": 0.999, "keep": "last"}
_FAST = _RECIPE | {
    "model_settings": {"negative_slope": 0.2},
    "weight_decay": 0.05,
    "ema": 0.999,
    "epochs": 16,
    "batch_size": 128,
    "learning_rate": 4e-3,
    "momentum": 0.7,
    "precision": "bfloat16",
}
UNET_RUN = "unet-unet-seed0-6482061895"
TAUGHT_RUN = "unet-unet-distilled-seed0-fc9ad353ab"  # a network that the next five taught
WIDE_RUNS = "+".join(  # the five whose mean errs least
    (
        "unet-unet-wide-member-seed0-40b491ad2a",
        "unet-unet-wide-member-seed2-69abe0875a",
        "unet-unet-wide-member-seed4-31da46fad6",
        "unet-unet-wide-seed1-dc034638c9",
        "unet-unet-wide-seed3-6993ba9f42",
    )
)


def _unet(**settings: Any) -> dict[str, Any]:
    """Return the U-Net's recipe with some of the network's settings changed."""
    return _UNET | {"model_settings": _NETWORK | settings}


def _medium(**settings: Any) -> dict[str, Any]:
    """Return the same of a U-Net half as wide: its variants take minutes on one CPU core."""
    return _unet(widths=(16, 32, 64, 64), **settings)


_MEDIUM = _medium()
_WIDE = _unet(widths=(48, 96, 192, 192))

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "as_published": _PUBLIC_CODE,
    "as_published-long": _PUBLIC_CODE | {"epochs": 60},
    "slope-1": {"model_settings": {"negative_slope": 1.0}},
    "depth-2": {"model_settings": {"features": (32, 64)}},
    "depth-4": {"model_settings": {"features": (32, 64, 128, 256)}},
    "features-16-32-64": {"model_settings": {"features": (16, 32, 64)}},
    "features-64-128-256": {"model_settings": {"features": (64, 128, 256)}},
    **{f"latent-{n}": {"model_settings": {"latent_dim": n}} for n in (16, 32, 128, 256)},
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
    **{f"train-{n}k": {"train_size": 1_000 * n} for n in (1, 3, 10, 30)},
    # the same, for as many steps as all 50,000 take: more epochs, the schedule's in proportion
    "steps-3k": {"train_size": 3_000, "epochs": 327, "plateau_epochs": 33},
    "steps-10k": {"train_size": 10_000, "epochs": 98, "plateau_epochs": 10},
    "steps-30k": {"train_size": 30_000, "epochs": 33, "plateau_epochs": 3},
    "long": {"epochs": 60},
    "bfloat16": {"precision": "bfloat16"},
    "mlp": _RECIPE | {"model": "mlp", "epochs": 8, "batch_size": 128, "learning_rate": 1e-3},
    # the seed's own layers, and its training not: what the network can do, alone and taught
    "fast": _FAST,
    "fast-distilled": _FAST | {"epochs": 32, "teacher": UNET_RUN},
    # beyond the seed: networks of our own, each with its recipe, at a size that a CPU can train
    "unet": _UNET,
    "unet-tiny": _unet(widths=(4, 8, 16, 16)),
    "unet-small": _unet(widths=(8, 16, 32, 32)),
    # Trained until it overfits: alone it is worse for it, but several of them disagree more, and
    # their mean gains more than each has lost.
    "unet-member": _UNET | {"epochs": 12, "keep": "last", "precision": "bfloat16"},
    "unet-medium": _MEDIUM,
    "unet-wide": _WIDE,
    "unet-wide-member": _WIDE | {"epochs": 10, "keep": "last", "precision": "bfloat16"},
    # one network in place of five
    "unet-distilled": _UNET | {"epochs": 24, "precision": "bfloat16", "teacher": WIDE_RUNS},
    "unet-medium-flip": _MEDIUM | {"flip": True},
    "unet-medium-plain-skips": _medium(mirrored=False),
    "unet-medium-concatenated": _medium(skips="concatenated"),
    "unet-medium-group-norm": _medium(norm="group"),
    "unet-medium-dropout": _medium(dropout=0.1),
    "unet-medium-no-decay": _MEDIUM | {"weight_decay": 0.0},
    "unet-medium-no-average": _MEDIUM | {"ema": 0.0},
    "unet-medium-bfloat16": _MEDIUM | {"precision": "bfloat16"},
    **{f"unet-medium-{n}-epochs": _MEDIUM | {"epochs": n} for n in (2, 4, 14)},
    # the fewer images there are, the more often each is seen, and the fewer steps are taken
    "unet-medium-train-1k": _MEDIUM | {"train_size": 1_000, "epochs": 24},
    "unet-medium-train-3k": _MEDIUM | {"train_size": 3_000, "epochs": 24},
    "unet-medium-train-10k": _MEDIUM | {"train_size": 10_000, "epochs": 16},
    "unet-medium-train-30k": _MEDIUM | {"train_size": 30_000, "epochs": 10},
    "cvae": _SAMPLER | {"model": "cvae", "epochs": 16},
    "gan": _SAMPLER | {"model": "gan", "epochs": 16, "momentum": 0.5, "learning_rate": 5e-4},
    "flow": _SAMPLER | {"model": "flow", "epochs": 20},
    "residual-flow": _SAMPLER
    | {"model": "residual_flow", "epochs": 12, "learning_rate": 2e-3, "teacher": TAUGHT_RUN}
    | {"model_settings": {"mean_widths": _WIDTHS, "widths": (16, 32, 64, 96), "patch": 1}},
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
    "steps": ("steps-3k", "steps-10k", "steps-30k", "default"),
    "epochs": ("default", "long"),
    "precision": ("default", "bfloat16"),
    "protocol": ("default", "as_published", "as_published-long"),
    "convolution": ("default", "mlp"),
    "recipe": ("default", "fast", "fast-distilled"),
}


def _mediums(*changes: str) -> tuple[str, ...]:
    """Return the names of variants of the half-wide U-Net; ``""`` is itself."""
    return tuple("-".join(filter(None, ("unet-medium", change))) for change in changes)


# the same, of the networks beyond the seed
_PARTS = ("flip", "plain-skips", "concatenated", "group-norm", "dropout")
_TRAINING = ("no-decay", "no-average", "bfloat16")
BEYOND: dict[str, tuple[str, ...]] = {
    "size": ("unet-tiny", "unet-small", "unet-medium", "unet", "unet-wide"),
    "ensemble": ("unet", "unet-member", "unet-wide", "unet-wide-member"),
    "teaching": ("unet", "unet-member", "unet-distilled"),
    "parts": _mediums("", *_PARTS, *_TRAINING),
    "epochs": _mediums("2-epochs", "4-epochs", "", "14-epochs"),
    "train_size": _mediums("train-1k", "train-3k", "train-10k", "train-30k", ""),
    "samplers": ("cvae", "gan", "flow", "residual-flow"),
}

STUDIES = {"study": FACTORS, "beyond": BEYOND}  # by the name of their results file


_READERS = tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))
NAMES: dict[str, str] = _READERS["variants"]  # of each variant
SAME_STEPS = f"{NAMES['default']}, as many steps"  # on a curve
GROUPS: dict[str, dict[str, str]] = _READERS["groups"]  # the factors of each, and the default's


def members(factors: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the variants of all factors, in the order in which they are declared."""
    return [name for name in VARIANTS if any(name in names for names in factors.values())]
