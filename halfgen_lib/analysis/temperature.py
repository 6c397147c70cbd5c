"""What the residual flow's temperature and stretch do to its draws, on validation images.

Noise of a lower temperature makes draws look more real and vary less, a stretch of the drawn
residuals gives the spread back: see :mod:`models.residual_flow`. Both settings were chosen here, so
no test image has a part in it.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch

from ..data import Splits, join, stratified_order, to_unit
from ..models import build_model
from ..models.residual_flow import ResidualFlowCompleter
from . import sampling
from .classifier import Classifier
from .realism import frechet_distance
from .scene import unsettled

LEVEL = 0.9  # of the intervals


def temperature_effect(
    model: ResidualFlowCompleter,
    splits: Splits,
    classifier: Classifier,
    *,
    images: int = 2000,
    covered: int = 200,
    draws: int = 19,
) -> dict[str, Any]:
    """Measure draws with each of the two settings at 1 and as the model has it.

    Args:
        model: trained on the training images of ``splits``.
        splits: the images.
        classifier: in whose features realism is measured.
        images: validation images that are completed once, for the Frechet distance from as many
            others; half of the validation images where there are fewer.
        covered: of these, those that are completed ``draws`` times, for coverage and CRPS.
        draws: enough for intervals of 90 %.

    Returns:
        Plain JSON values: ``images``, ``covered`` and ``draws`` as used; ``rows``, of which each
        has ``temperature``, ``stretch``, ``frechet``, ``coverage`` (the share of unsettled pixels
        in their intervals) and ``crps``. All rows start at the same noise.
    """
    validation = splits.validation
    images = min(images, len(validation) // 2)
    order = stratified_order(validation.labels, torch.Generator().manual_seed(0))
    left, right = validation.select(order[:images]).halves()
    others = validation.select(order[images : 2 * images])
    reference = classifier.look(to_unit(others.images))[0]
    few_left, few_right = left[:covered], right[:covered]
    open_pixels = unsettled(few_left, *splits.train.halves())

    rows = []
    chosen = model.config
    for temperature, stretch in product((1.0, chosen.temperature), (1.0, chosen.stretch)):
        changed = {"temperature": temperature, "stretch": stretch}
        other = build_model("residual_flow", chosen.model_dump(mode="json") | changed)
        other.load_state_dict(model.state_dict())
        once = other.sample(left, 1, torch.Generator().manual_seed(0))[0]
        often = other.sample(few_left, draws, torch.Generator().manual_seed(1))
        ties = torch.Generator().manual_seed(2)
        hits = sampling.covered(often, few_right, (LEVEL,), ties)[0]
        rows.append(
            changed
            | {
                "frechet": frechet_distance(reference, classifier.look(join(left, once))[0]),
                "coverage": float(hits[open_pixels].mean()),
                "crps": float(sampling.crps(often, few_right).mean()),
            }
        )
    return {"images": images, "covered": len(few_left), "draws": draws, "rows": rows}
