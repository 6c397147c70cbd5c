"""The networks beyond the seed, measured beside the seed's and every baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..data import Dataset, Images, Splits, load, split, stratified_order
from ..evaluation import bootstrap
from ..models.cvae import CVAECompleter
from ..runs import Run, default_runs_dir
from ..runs.published import published_runs
from ..settings import known
from ..training import fit
from ..variants import BEYOND
from .baselines import fit_baselines
from .classifier import load_classifier
from .donor import Donor
from .floor import ensemble_floor
from .generative import DRAWS, IMAGES, Predictor, generative_analysis
from .published import publish
from .temperature import temperature_effect

# the variant of each network, and what tables call it
NETWORKS = {
    "default": "autoencoder",
    "unet": "U-Net",
    "cvae": "CVAE",
    "gan": "GAN",
    "flow": "flow",
    "residual-flow": "residual flow",
}
# The variants that the networks of the ensemble are of, in turn: on validation images the errors of
# networks that overfit and of those that do not are less alike than those within either kind.
ENSEMBLE = ("unet-wide-member", "unet-wide")
SEEDS = 3  # of each variant whose mean it is compared with
CODES = 64  # that the likelihood of the CVAE is estimated with


def analyse_beyond(
    data: str = "full",
    networks: Sequence[str] = tuple(NETWORKS),
    *,
    images: int = IMAGES,
    draws: int = DRAWS,
    ensemble: int = 0,
    **changes: Any,
) -> Path:
    """Make and publish the analysis ``generative``.

    Networks that are neither trained here nor published are trained.

    Args:
        data: ``"full"``, or ``"sample"`` to try it out (published under another name).
        networks: names in ``NETWORKS``.
        images, draws: see :func:`generative.generative_analysis`.
        ensemble: networks of the variants in ``ENSEMBLE``, of seeds 0, 1, ..., whose mean is one
            more method; what they disagree in tells of the floor. As many, at most ``SEEDS``, of
            each variant in ``variants.BEYOND["ensemble"]`` are compared with them.
        changes: settings of all runs that differ from their variants'.

    Returns:
        The file.

    Raises:
        ValueError: if a name or a number is not allowed.
    """
    if ensemble < 0 or ensemble == 1:
        raise ValueError(f"ensemble is {ensemble}, allowed: 0 (none) or 2 and more")
    chosen = [known(name, NETWORKS, "network") for name in networks]
    dataset = load(data)

    def run(variant: str, seed: int = 0) -> Run:
        return finished_run(RunConfig.of_variant(variant, data=data, seed=seed, **changes), dataset)

    runs = {name: run(name) for name in chosen}
    groups = {}
    if ensemble:
        for variant in BEYOND["ensemble"]:
            groups[f"`{variant}`"] = [run(variant, seed) for seed in range(min(ensemble, SEEDS))]
        title = " and ".join(f"`{variant}`" for variant in ENSEMBLE) + " in turn"
        groups[title] = [run(ENSEMBLE[seed % len(ENSEMBLE)], seed) for seed in range(ensemble)]
    values = beyond_analysis(runs, dataset, groups, images=images, draws=draws)
    return publish("generative", values, dataset)


def finished_run(config: RunConfig, dataset: Dataset) -> Run:
    """Return the run of a configuration: trained here, or else published, or else trained now."""
    if not Run(default_runs_dir() / config.run_id).is_finished:
        for run in published_runs().values():
            if run.record["identity"] == config.identity() and run.is_current:
                return run
    return fit(config, dataset)


def beyond_analysis(
    runs: Mapping[str, Run],
    dataset: Dataset,
    groups: Mapping[str, Sequence[Run]],
    *,
    images: int = IMAGES,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Return :func:`generative.generative_analysis` of baselines and networks.

    Args:
        runs: finished runs by the names in ``NETWORKS``.
        dataset: the images.
        groups: title -> two or more finished runs of U-Nets of different seeds; the mean of the
            last group is one more method.
        images, draws: as there.

    Returns:
        Its values; and ``runs``: name -> run id, parameters and the error on all test images;
        ``ensembles`` where there are groups, see :func:`ensembles`;
        ``temperature`` of the residual flow where there is one, see :func:`temperature_effect`;
        ``likelihood`` of the CVAE where there is one, see :func:`likelihood`.
    """
    splits = split(dataset, "holdout")
    models = {name: run.model() for name, run in runs.items()}
    methods: dict[str, Predictor] = dict(fit_baselines(splits.train, splits.validation))
    # the k of lowest validation error is found already: a donor's mean is the k nearest's
    methods["donor"] = Donor(methods["nearest"].value).fit(*splits.train.halves())
    several = [run.model() for run in [*groups.values()][-1]] if groups else []
    ensemble = {"ensemble": Ensemble(several)} if several else {}
    unets = several or [models[name] for name in ("unet",) if name in models]
    values = generative_analysis(
        methods | models | ensemble,
        dataset,
        networks={str(number): model for number, model in enumerate(unets)},
        images=images,
        draws=draws,
    )
    for name in runs:
        values["methods"][name]["title"] = NETWORKS[name]
    values["runs"] = {
        name: {
            "run_id": run.config.run_id,
            "parameters": models[name].parameter_count(),
            "test_mse": run.metrics["overall"]["mse"],
        }
        for name, run in runs.items()
    }
    if groups:
        values["ensembles"] = ensembles(groups, splits)
    if "residual-flow" in models:
        classifier, _ = load_classifier()
        values["temperature"] = temperature_effect(
            models["residual-flow"], splits, classifier, images=images, draws=draws
        )
    if "cvae" in models:
        values["likelihood"] = likelihood(models["cvae"], dataset.test, images)
    return values


class Ensemble:
    """The mean of networks of one kind, which errs less than each of them on average."""

    def __init__(self, models: Sequence[Predictor]):
        self.models = models
        self.title = f"{len(models)} U-Nets"

    def predict(self, left: Tensor) -> Tensor:
        """Map (N, 1, 28, 14) in [0, 1] to the same shape and range."""
        return torch.stack([model.predict(left) for model in self.models]).mean(0)


def ensembles(groups: Mapping[str, Sequence[Run]], splits: Splits) -> list[dict[str, Any]]:
    """Return what the mean of each group's networks gains.

    Args:
        groups: as :func:`beyond_analysis` takes them.
        splits: whose validation and test images are completed.

    Returns:
        For each group its ``title``, ``run_ids``, and :func:`floor.ensemble_floor` of
        ``validation`` and ``test`` images.
    """
    parts = {"validation": splits.validation, "test": splits.test}
    pairs = {name: part.halves() for name, part in parts.items()}
    found = []
    for title, runs in groups.items():
        networks = {run.config.run_id: run.model().predict for run in runs}
        floors = {name: ensemble_floor(networks, pair) for name, pair in pairs.items()}
        found.append({"title": title, "run_ids": list(networks), **floors})
    return found


def likelihood(model: CVAECompleter, test: Images, images: int) -> dict[str, Any]:
    """Return the CVAE's estimated log-likelihood of true right halves, in nats a pixel.

    The bound for one code and for ``CODES``, which is nearer to the truth; both are densities of
    grey values in [0, 1], so that they may be above 0.
    """
    generator = torch.Generator().manual_seed(0)
    left, right = test.select(stratified_order(test.labels, generator)[:images]).halves()
    found = {}
    for codes in (1, CODES):
        parts = [
            model.log_likelihood(*pair, codes, generator)
            for pair in zip(left.split(500), right.split(500), strict=True)
        ]
        found[str(codes)] = bootstrap((torch.cat(parts) / right[0].numel()).numpy())
    return {"nats_per_pixel": found}
