"""What a run is: every setting of an experiment, validated and frozen.

The only home of the training hyperparameters and their defaults. A network's own settings live
beside the network, in :mod:`halfgen_lib.models`; a run names those that it changes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .models import MODELS, model_settings
from .settings import Settings, known

SCHEMA_VERSION = 1  # raise it when a setting changes its meaning: old results are then stale

# A variant is a name and the settings in which it differs from the defaults.
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

# These say how and where a run is made, not what it computes: they are no part of its identity.
_NOT_IDENTITY = {"variant", "device"}


class RunConfig(Settings):
    """All that decides what a run computes; the defaults are the seed's text.

    The seed halves the learning rate "if the validation loss has not been decreased in last 2
    epochs": ``plateau_epochs = 2``. PyTorch's ``ReduceLROnPlateau`` acts on the epoch *after*
    ``patience`` bad ones, so its patience is ``plateau_epochs - 1``; an epoch is bad unless it
    lowers the best loss by more than 0.01 % (PyTorch's default threshold).
    """

    model: str = Field("cae", description="network: a name in halfgen_lib.models.MODELS")
    variant: str = Field("default", description="starting point: a name in config.VARIANTS")
    model_settings: dict[str, Any] = Field({}, description="settings of the network to change")
    data: Literal["full", "sample"] = Field(
        "full", description="Fashion-MNIST, or a small sample of it for trying out"
    )
    split: Literal["holdout", "as_published"] = Field(
        "holdout",
        description="holdout keeps 10,000 to validate",
    )
    given: Literal["left", "right", "top", "bottom"] = Field(
        "left", description="the half that is known"
    )
    train_size: Annotated[int, Field(ge=0, le=60_000)] = Field(
        0, description="training images to use, a stratified subset; 0: all"
    )
    flip: bool = Field(False, description="mirror training images left-right at random")
    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        20, description="passes over the training set"
    )
    batch_size: Annotated[int, Field(ge=2, le=60_000)] = Field(
        512, description="images a gradient step"
    )
    loss: Literal["mse", "l1", "huber", "bce", "mse_ssim"] = Field(
        "mse", description="what training minimises"
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = Field(
        "adam", description="the rule of the gradient step"
    )
    learning_rate: Annotated[float, Field(gt=0, le=10)] = Field(
        1e-3, description="initial step size"
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="L2 penalty")
    plateau_epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        2, description="epochs without progress after which the learning rate falls"
    )
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="the factor by which it falls"
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0, description="of the initial weights and of the order of the batches"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="auto: a GPU where there is one"
    )

    @field_validator("model")
    @classmethod
    def _model_is_known(cls, name: str) -> str:
        return known(name, MODELS, "model")

    @field_validator("variant")
    @classmethod
    def _variant_is_known(cls, name: str) -> str:
        return known(name, VARIANTS, "variant")

    @model_validator(mode="after")
    def _model_settings_are_allowed(self) -> RunConfig:
        if self.model_settings:  # the defaults are valid, and checking them imports torch
            model_settings(self.model, self.model_settings)
        return self

    @classmethod
    def of_variant(cls, variant: str, **changes: Any) -> RunConfig:
        """Return the settings of a named variant, changed where ``changes`` says so.

        Raises:
            ValueError: if the variant or a setting is not known, or a value is not allowed.
        """
        return cls(variant=variant, **changes).with_variant()

    def with_variant(self) -> RunConfig:
        """Return these settings with those of the variant where these are still the defaults."""
        changed = self.model_dump(exclude_defaults=True)
        base = VARIANTS[self.variant]
        merged = base.get("model_settings", {}) | self.model_settings
        return RunConfig(**(base | changed | {"model_settings": merged}))

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the result, the network's full settings included."""
        fields = self.model_dump(mode="json", exclude=_NOT_IDENTITY)
        settings = model_settings(self.model, self.model_settings)
        return {
            **fields,
            "model_settings": settings.model_dump(mode="json"),
            "schema_version": SCHEMA_VERSION,
        }

    def hash(self) -> str:
        """Return 10 hexadecimal digits that name this configuration: SHA-256 of its identity."""
        return identity_hash(self.identity())

    @property
    def run_id(self) -> str:
        """The name of the run's directory."""
        return f"{self.model}-{self.variant}-seed{self.seed}-{self.hash()}"


def identity_hash(identity: dict[str, Any]) -> str:
    """Return the 10 hexadecimal digits that name a run with this :meth:`RunConfig.identity`."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


class DataParameters(Settings):
    """What a notebook that looks at the data alone can be asked."""

    data: Literal["full", "sample"] = RunConfig.model_fields["data"]
    given: Literal["left", "right", "top", "bottom"] = RunConfig.model_fields["given"]


class RunParameters(Settings):
    """What a notebook that shows a finished run can be asked."""

    run_id: str = Field("current", description="a folder in runs/; current: the last one trained")


class StudyParameters(Settings):
    """What the notebook of the variants can be asked."""

    results: str = Field(
        "study", pattern=r"^[\w.-]+$", description="a file in report/results, without .json"
    )
