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
        "full", description="full: Fashion-MNIST; sample: the 3,000 images shipped for trying out"
    )
    split: Literal["holdout", "as_published"] = Field(
        "holdout",
        description="holdout: 50,000 to train on, 10,000 to validate; as_published: 60,000",
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
    loss: Literal["mse"] = Field("mse", description="what training minimises")
    optimizer: Literal["adam"] = Field("adam", description="the rule of the gradient step")
    learning_rate: Annotated[float, Field(gt=0, le=10)] = Field(
        1e-3, description="initial step size"
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="L2 penalty")
    plateau_epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        2, description="epochs without a lower validation loss before the learning rate falls"
    )
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="what the learning rate is then multiplied by"
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0, description="of the initial weights and of the order of the batches"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where to compute; auto: a GPU where there is one"
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
        canonical = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:10]

    @property
    def run_id(self) -> str:
        """The name of the run's directory."""
        return f"{self.model}-{self.variant}-seed{self.seed}-{self.hash()}"


class DataParameters(Settings):
    """What a notebook that looks at the data alone can be asked."""

    data: Literal["full", "sample"] = RunConfig.model_fields["data"]
    given: Literal["left", "right", "top", "bottom"] = RunConfig.model_fields["given"]


class RunParameters(Settings):
    """What a notebook that shows a finished run can be asked."""

    run_id: str = Field("current", description="a folder in runs/; current: the last one trained")
