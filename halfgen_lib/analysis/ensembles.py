"""Means of several networks, on all test images: the analysis ``ensembles``, a group at a time."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..data import Splits, load, split
from ..evaluation import mse_per_image
from ..runs import Run
from ..runs.provenance import now
from ..runs.record import encode_errors
from ..settings import known
from ..variants import NAMES, VARIANTS
from . import floor
from .published import analysis_path, finished_run, publish, published


def analyse_ensemble(variants: Sequence[str], count: int, data: str = "full") -> Path:
    """Measure the mean of networks of these variants in turn, of seeds 0, 1, ..., and publish it.

    The networks are trained if need be. The group takes the place of one of the same variants in
    the analysis ``ensembles``, where the others stay as they are; return its file.
    """
    if count < 2:
        raise ValueError(f"count is {count}, allowed: 2 networks or more")
    for name in variants:
        known(name, VARIANTS, "variant")
    dataset, own = load(data), [variants[seed % len(variants)] for seed in range(count)]
    configs = [RunConfig.of_variant(name, seed=seed, data=data) for seed, name in enumerate(own)]
    runs = [finished_run(config, dataset) for config in configs]
    title = " and ".join(NAMES[name] for name in variants) + " in turn" * (len(variants) > 1)
    path = analysis_path("ensembles", dataset)
    groups = published(path.stem)["groups"] if path.exists() else {}
    groups[title] = ensemble_analysis(runs, split(dataset, "holdout"))
    return publish("ensembles", {"groups": groups}, dataset)


def ensemble_analysis(runs: Sequence[Run], splits: Splits) -> dict[str, Any]:
    """Return what is told of the mean of runs' networks.

    Their ``run_ids``; errors on ``validation`` and ``test`` images (:func:`floor.ensemble_error`);
    ``avoidable``: how much of the test error of one network and of all (:func:`floor.avoidable`);
    the mean's ``errors`` of each test image. Only of networks that differ in their seed alone, the
    error of one stands for that of any, and that of infinitely many is estimated.
    """
    networks = [cache(run.model().predict) for run in runs]  # each is asked for the same images
    mean = floor.mean_of(networks)
    parts = {"validation": splits.validation.halves(), "test": splits.test.halves()}
    found = {name: floor.ensemble_error(networks, halves) for name, halves in parts.items()}
    predictors = {"one": networks[0], "all": mean}
    if len({run.config.variant for run in runs}) > 1:
        del predictors["one"]
        for values in found.values():
            del values["infinite"]
    both = parts["test"], parts["validation"]
    avoidable = {name: floor.avoidable(each, *both) for name, each in predictors.items()}
    left, right = parts["test"]
    errors = encode_errors(mse_per_image(mean(left), right).numpy())
    named = {"measured": now(), "run_ids": [run.config.run_id for run in runs]}
    return named | found | {"avoidable": avoidable, "errors": errors}
