"""The networks: one file a family, one line here a model.

A model is a class with ``Settings`` (its hyperparameters, a frozen pydantic class) that is built
as ``Model(settings)`` and maps left halves to right halves; see :class:`base.Completer`.
The table holds names, not classes, so that reading a configuration does not import torch.
"""

from __future__ import annotations

import json
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..settings import Settings, complaints, known

if TYPE_CHECKING:
    from .base import Completer

MODELS: dict[str, str] = {
    "cae": "halfgen_lib.models.cae:ConvAutoencoder",
    "mlp": "halfgen_lib.models.mlp:MLPCompleter",
    "unet": "halfgen_lib.models.unet:UNetCompleter",
    "cvae": "halfgen_lib.models.cvae:CVAECompleter",
    "gan": "halfgen_lib.models.gan:GANCompleter",
    "flow": "halfgen_lib.models.flow:FlowCompleter",
    "residual_flow": "halfgen_lib.models.residual_flow:ResidualFlowCompleter",
}

# What a run of each model computes, data, training and scores included, as published results name
# it. A change that alters a result, as tests/golden shows, declares other hexadecimal digits here.
REVISIONS: dict[str, str] = {
    "cae": "b4c1a8f2c9",
    "mlp": "5c0e7d21f4",
    "unet": "13d8be608a",
    "cvae": "95b578a169",
    "gan": "a289967142",
    "flow": "e474912d2e",
    "residual_flow": "5836b681a9",
}


def __getattr__(name: str) -> type[Completer]:
    """Import a model's class when it is first used (PEP 562)."""
    for path in MODELS.values():
        if path.endswith(f":{name}"):
            return resolve_name(path)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def model_class(name: str) -> type[Completer]:
    """Return the class of the model called ``name``; an unknown one is a ValueError."""
    return resolve_name(MODELS[known(name, MODELS, "model")])


def revision(name: str) -> str:
    """Return the declared revision of the model ``name``; zeros where it publishes nothing."""
    return REVISIONS.get(name, "0" * 10)


def model_settings(name: str, given: dict) -> Settings:
    """Return the settings of the model ``name``: its defaults, changed by ``given``, validated.

    What is not known or not allowed is a ValueError that says what the model takes.
    """
    schema = model_class(name).Settings
    try:  # through JSON: there a list is as good as a tuple
        return schema.model_validate_json(json.dumps(given))
    except ValidationError as error:
        problems, takes = "; ".join(complaints(error)), ", ".join(schema.model_fields)
        raise ValueError(f"model_settings: {problems} ({name} takes: {takes})") from None


def build_model(name: str, given: dict) -> Completer:
    """Return a new model with weights drawn from torch's global generator.

    On a CPU its convolutions work as :mod:`side_by_side` tells, where they can.
    """
    from .side_by_side import side_by_side

    return side_by_side(model_class(name)(model_settings(name, given)))
