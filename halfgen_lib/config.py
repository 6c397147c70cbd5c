"""What a run is: every setting of an experiment, validated and frozen.

The only home of the training hyperparameters and their defaults. A network's own settings live
beside the network, in :mod:`halfgen_lib.models`; a run names those that it changes.
"""

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from .models import MODELS, model_settings
from .settings import Settings, known
from .variants import VARIANTS

SEEDS = 3  # what the mean of a variant should rest on
SCHEMA_VERSION = 1  # raise it when a setting changes its meaning: old results are then stale

ModelName = Annotated[str, AfterValidator(lambda name: known(name, MODELS, "model"))]
VariantName = Annotated[str, AfterValidator(lambda name: known(name, VARIANTS, "variant"))]
Data = Literal["full", "sample"]
Split = Literal["holdout", "as_published"]
Given = Literal["left", "right", "top", "bottom"]

# how many images train where train_size is 0, by data and split
TRAIN_IMAGES = {
    ("full", "holdout"): 50_000,
    ("full", "as_published"): 60_000,
    ("sample", "holdout"): 1_670,
    ("sample", "as_published"): 2_000,
}

# These say how and where a run is made, not what it computes: they are no part of its identity.
_NOT_IDENTITY = {"variant", "device"}


def _field(default: Any, description: str, **limits: Any) -> Any:
    return Field(default, description=description, **limits)


class RunConfig(Settings):
    """All that decides what a run computes; the defaults are the seed's text.

    The seed halves the learning rate "if the validation loss has not been decreased in last 2
    epochs": ``plateau_epochs = 2``. PyTorch's ``ReduceLROnPlateau`` acts on the epoch *after*
    ``patience`` bad ones, so its patience is ``plateau_epochs - 1``; an epoch is bad unless it
    lowers the best loss by more than 0.01 % (PyTorch's default threshold).

    ``schedule = "one_cycle"`` is Smith's (2018): the rate rises to ``learning_rate`` over the first
    30 % of the steps and falls to nearly zero. With ``ema`` the moving average of the weights is
    what is validated and kept. In ``bfloat16`` the weights stay float32 (automatic mixed
    precision); ``compile`` costs a minute and pays in long runs on a GPU. What a ``teacher``
    does, and to the mirrored images of ``flip``, :func:`runs.teachers.teach` tells.
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {"schedule", "momentum", "shift", "ema", "keep", "precision", "compile"} | {"teacher"}
    )

    model: ModelName = _field("cae", "network: a name in halfgen_lib.models.MODELS")
    variant: VariantName = _field("default", "starting point: a name in variants.VARIANTS")
    model_settings: dict[str, Any] = _field({}, "settings of the network to change")
    data: Data = _field("full", "Fashion-MNIST, or a small sample of it for trying out")
    split: Split = _field("holdout", "holdout keeps 10,000 to validate")
    given: Given = _field("left", "the half that is known")
    train_size: int = _field(
        0, "training images to use, a stratified subset; 0: all", ge=0, le=60_000
    )
    flip: bool = _field(False, "mirror training images left-right at random")
    shift: int = _field(0, "move training images by up to so many pixels at random", ge=0, le=8)
    teacher: str = _field(
        "", "runs, joined by +, whose mean is the target; none: truth", pattern=r"^[\w.+-]*$"
    )
    epochs: int = _field(20, "passes over the training set", ge=1, le=10_000)
    batch_size: int = _field(512, "images a gradient step", ge=2, le=60_000)
    loss: Literal["mse", "l1", "huber", "bce", "mse_ssim"] = _field(
        "mse", "what training minimises"
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = _field(
        "adam", "the rule of the gradient step"
    )
    learning_rate: float = _field(1e-3, "initial step size", gt=0, le=10)
    momentum: float = _field(0.9, "of SGD; Adam's first beta", ge=0, lt=1)
    weight_decay: float = _field(0.0, "L2 penalty", ge=0, le=1)
    schedule: Literal["plateau", "one_cycle"] = _field("plateau", "how the learning rate moves")
    plateau_epochs: int = _field(
        2, "epochs without progress after which the learning rate falls", ge=1, le=10_000
    )
    plateau_factor: float = _field(0.5, "the factor by which it falls", gt=0, lt=1)
    ema: float = _field(0.0, "decay of the weights' moving average; 0: none", ge=0, lt=1)
    keep: Literal["best", "last"] = _field("best", "the epoch whose weights are kept")
    precision: Literal["float32", "bfloat16"] = _field("float32", "of the arithmetic in training")
    compile: bool = _field(False, "compile the training step")
    seed: int = _field(
        0, "of the initial weights and of the order of the batches", ge=0, le=2**31 - 1
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = _field("auto", "auto: a GPU where there is one")

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        if (self.loss, self.precision) == ("bce", "bfloat16"):
            raise ValueError("loss 'bce' needs precision 'float32': torch refuses it in bfloat16")
        if self.model_settings:  # the defaults are valid, and checking them imports torch
            model = self.model
            if model == RunConfig.model_fields["model"].default:  # the variant decides
                model = VARIANTS[self.variant].get("model", model)
            model_settings(model, self.model_settings)
        return self

    @classmethod
    def of_variant(cls, variant: str, **changes: Any) -> Self:
        """Return the settings of a named variant, changed where ``changes`` says so.

        What is given counts, also if it is the default of all variants.
        """
        given = cls(variant=variant, **changes)
        return given._over_variant(given.model_dump(exclude_unset=True))

    def with_variant(self) -> Self:
        """Return these settings with those of the variant where these are still the defaults.

        A notebook's parameters have all values; which of them were given cannot be told.
        """
        return self._over_variant(self.model_dump(exclude_defaults=True))

    def _over_variant(self, changed: dict[str, Any]) -> Self:
        base = VARIANTS[self.variant]
        merged = base.get("model_settings", {}) | self.model_settings
        return RunConfig(**(base | changed | {"model_settings": merged}))

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the result, the network's full settings included."""
        fields = {k: v for k, v in self.identity_fields().items() if k not in _NOT_IDENTITY}
        settings = model_settings(self.model, self.model_settings).identity_fields()
        return fields | {"model_settings": settings, "schema_version": SCHEMA_VERSION}

    def hash(self) -> str:
        """Return 10 hexadecimal digits that name this configuration: SHA-256 of its identity."""
        return identity_hash(self.identity())

    @property
    def run_id(self) -> str:
        """The name of the run's directory."""
        return f"{self.model}-{self.variant}-seed{self.seed}-{self.hash()}"

    @property
    def train_images(self) -> int:
        """How many images it trains on."""
        return self.train_size or TRAIN_IMAGES[self.data, self.split]


def identity_hash(identity: dict[str, Any]) -> str:
    """Return the 10 hexadecimal digits that name a run with this :meth:`RunConfig.identity`."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]
