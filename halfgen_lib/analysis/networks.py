"""The networks, measured beside each other and every baseline: the analysis ``generative``."""

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import torch

from ..config import RunConfig
from ..data import Dataset, Splits, join, load, split, stratified_order, to_grey, to_unit
from ..models.residual_flow import ResidualFlowCompleter
from ..runs import Run
from ..variants import NAMES
from . import distances, sampling
from .baselines import Donor, fit_baselines
from .classifier import load_classifier
from .generative import DRAWS, IMAGES, Predictor, generative_analysis, unsettled
from .published import finished_run, publish

# by their variants
NETWORKS = ("default", "mlp", "unet", "cvae", "gan", "flow", "residual-flow")
DONORS = (1, 3)  # nearest images that a donor is one of, beside the k whose mean errs least
COVERED = 200  # images that show what the settings of draws do to 90 % intervals


def analyse_networks(data: str = "full", *, images: int = IMAGES) -> Path:
    """Make and publish the analysis ``generative``, of so many test images; return its file.

    The networks in ``NETWORKS`` are trained if need be.
    """
    dataset = load(data)
    # of the sample, which taught no network, the residual flow learns a mean of its own
    alone = {"teacher": ""} if data == "sample" else {}
    configs = {name: RunConfig.of_variant(name, data=data, **alone) for name in NETWORKS}
    runs = {name: finished_run(config, dataset) for name, config in configs.items()}
    return publish("generative", networks_analysis(runs, dataset, images), dataset)


def networks_analysis(runs: Mapping[str, Run], dataset: Dataset, images: int) -> dict[str, Any]:
    """Return :func:`generative_analysis` of baselines and of finished ``runs``, by their names.

    ``runs`` tells their ids, ``draw_settings`` what :func:`effect_of_draw_settings` measures.
    """
    splits = split(dataset, "holdout")
    models = {name: run.model() for name, run in runs.items()}
    methods: dict[str, Predictor] = dict(fit_baselines(splits.train, splits.validation))
    # the k of lowest validation error is found already: a donor's mean is the k nearest's
    donors = {f"donor-{k}": k for k in DONORS} | {"donor": methods["nearest"].value}
    for name, k in donors.items():
        methods[name] = Donor(*splits.train.halves(), k)
        methods[name].title = f"donor, k = {k}"
    values = generative_analysis(methods | models, dataset, images=images)
    for name in runs:
        values["methods"][name]["title"] = NAMES[name]
    values["runs"] = {name: {"run_id": run.config.run_id} for name, run in runs.items()}
    values["draw_settings"] = effect_of_draw_settings(models["residual-flow"], splits, images)
    return values


def effect_of_draw_settings(
    model: ResidualFlowCompleter, splits: Splits, images: int
) -> dict[str, Any]:
    """Measure the residual flow's draws as they are, stretched, and with dark pixels made black.

    Both were chosen on validation images, as these are, by these measures and the two-sample test.
    So many, at most half of them, are completed once, for the Frechet distance from as many others
    and the share of ``black`` pixels; the first ``COVERED`` of them ``DRAWS`` times, for CRPS and
    ``coverage`` of unsettled pixels. All start at the same noise.
    """
    validation, (classifier, _) = splits.validation, load_classifier()
    images = min(images, len(validation) // 2)
    order = stratified_order(validation.labels, torch.Generator().manual_seed(0))
    left, right = validation.select(order[:images]).halves()
    others = validation.select(order[images : 2 * images])
    reference, _ = classifier.look(to_unit(others.images))
    few_left, few_right = left[:COVERED], right[:COVERED]
    open_pixels = unsettled(few_left, *splits.train.halves())
    values, rows = {"images": images, "covered": len(few_left), "draws": DRAWS}, []
    own = model.config
    for stretch, black in ((1.0, 0.0), (own.stretch, 0.0), (own.stretch, own.black_below)):
        changed, other = {"stretch": stretch, "black_below": black}, copy(model)
        other.config = own.model_copy(update=changed)
        noise, more_noise, ties = (torch.Generator().manual_seed(seed) for seed in range(3))
        once = other.sample(left, 1, noise)[0]
        often = other.sample(few_left, DRAWS, more_noise)
        (hits,) = sampling.covered(often, few_right, (0.9,), ties)
        measured = {
            "frechet": distances.frechet_distance(reference, classifier.look(join(left, once))[0]),
            "black": float((to_grey(once) == 0).double().mean()),
            "coverage": float(hits[open_pixels].mean()),
            "crps": float(sampling.crps(often, few_right).mean()),
        }
        rows.append(changed | measured)
    return values | {"rows": rows}
