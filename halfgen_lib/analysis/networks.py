"""The networks, measured beside each other and every baseline: the analysis ``generative``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..data import Dataset, Images, Splits, join, load, split, stratified_order, to_unit
from ..evaluation import Interval, bootstrap
from ..models import build_model
from ..models.cvae import CVAECompleter
from ..models.residual_flow import ResidualFlowCompleter
from ..runs import Run, default_runs_dir
from ..runs.published import published_runs
from ..settings import known
from ..training import fit
from ..variants import BEYOND
from . import sampling
from .baselines import Donor, fit_baselines
from .classifier import load_classifier
from .floor import ensemble_floor
from .generative import DRAWS, IMAGES, Predictor, generative_analysis, unsettled
from .published import publish
from .realism import frechet_distance

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
COVERED = 200  # images that show what temperature and stretch do to intervals
LEVEL = 0.9  # of those intervals


def analyse_networks(
    data: str = "full",
    networks: Sequence[str] = tuple(NETWORKS),
    *,
    images: int = IMAGES,
    ensemble: int = 0,
    **changes: Any,
) -> Path:
    """Make and publish the analysis ``generative``, and return its file.

    Networks that are neither trained here nor published are trained.

    Args:
        data: ``"full"``, or ``"sample"`` to try it out (published under another name).
        networks: names in ``NETWORKS``.
        images: see :func:`generative.generative_analysis`.
        ensemble: networks of the variants in ``ENSEMBLE``, of seeds 0, 1, ..., whose mean is one
            more method; what they disagree in tells of the floor. As many, at most ``SEEDS``, of
            each variant in ``variants.BEYOND["ensemble"]`` are compared with them.
        changes: settings of all runs that differ from their variants'.

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
    return publish("generative", networks_analysis(runs, dataset, groups, images), dataset)


def finished_run(config: RunConfig, dataset: Dataset) -> Run:
    """Return the run of a configuration: trained here, or else published, or else trained now."""
    if not Run(default_runs_dir() / config.run_id).is_finished:
        for run in published_runs().values():
            if run.record["identity"] == config.identity() and run.is_current:
                return run
    return fit(config, dataset)


def networks_analysis(
    runs: Mapping[str, Run], dataset: Dataset, groups: Mapping[str, Sequence[Run]], images: int
) -> dict[str, Any]:
    """Return :func:`generative.generative_analysis` of baselines and networks.

    Args:
        runs: finished runs by the names in ``NETWORKS``.
        dataset: the images.
        groups: title -> two or more finished runs of U-Nets of different seeds; the mean of the
            last group is one more method.
        images: as there.

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
        methods | models | ensemble, dataset, networks=unets, images=images
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
        values["temperature"] = temperature_effect(models["residual-flow"], splits, images)
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
        groups: as :func:`networks_analysis` takes them.
        splits: whose validation and test images are completed.

    Returns:
        For each group its ``title``, ``run_ids``, and :func:`floor.ensemble_floor` of
        ``validation`` and ``test`` images.
    """
    parts = {"validation": splits.validation.halves(), "test": splits.test.halves()}
    found = []
    for title, runs in groups.items():
        networks = [run.model().predict for run in runs]
        floors = {name: ensemble_floor(networks, halves) for name, halves in parts.items()}
        found.append({"title": title, "run_ids": [run.config.run_id for run in runs], **floors})
    return found


def likelihood(model: CVAECompleter, test: Images, images: int) -> dict[str, Any]:
    """Return the CVAE's estimated log-likelihood of true right halves, in nats a pixel.

    The bound for one code and for ``CODES``, which is nearer to the truth; both are densities of
    grey values in [0, 1], so that they may be above 0.
    """
    generator = torch.Generator().manual_seed(0)
    left, right = test.select(stratified_order(test.labels, generator)[:images]).halves()

    def bound(codes: int) -> Interval:
        pairs = zip(left.split(500), right.split(500), strict=True)
        parts = [model.log_likelihood(*pair, codes, generator) for pair in pairs]
        return bootstrap((torch.cat(parts) / right[0].numel()).numpy())

    return {"nats_per_pixel": {str(codes): bound(codes) for codes in (1, CODES)}}


def temperature_effect(model: ResidualFlowCompleter, splits: Splits, images: int) -> dict[str, Any]:
    """Measure the residual flow's draws with temperature and stretch at 1 and as the model has it.

    Noise of a lower temperature makes draws look more real and vary less, a stretch of the drawn
    residuals gives the spread back: see :mod:`models.residual_flow`. Both settings were chosen
    here, on validation images, so that no test image has a part in it.

    Args:
        model: trained on the training images of ``splits``.
        splits: the images.
        images: validation images that are completed once, for the Frechet distance from as many
            others; half of the validation images where there are fewer. The first ``COVERED`` of
            them are completed ``DRAWS`` times, for coverage and CRPS.

    Returns:
        Plain JSON values: ``images``, ``covered`` and ``draws`` as used; ``rows``, of which each
        has ``temperature``, ``stretch``, ``frechet``, ``coverage`` (the share of unsettled pixels
        in their intervals) and ``crps``. All rows start at the same noise.
    """
    validation, (classifier, _) = splits.validation, load_classifier()
    images = min(images, len(validation) // 2)
    order = stratified_order(validation.labels, torch.Generator().manual_seed(0))
    left, right = validation.select(order[:images]).halves()
    others = validation.select(order[images : 2 * images])
    reference = classifier.look(to_unit(others.images))[0]
    few_left, few_right = left[:COVERED], right[:COVERED]
    open_pixels = unsettled(few_left, *splits.train.halves())

    rows = []
    chosen = model.config
    for temperature, stretch in product((1.0, chosen.temperature), (1.0, chosen.stretch)):
        changed = {"temperature": temperature, "stretch": stretch}
        other = build_model("residual_flow", chosen.model_dump(mode="json") | changed)
        other.load_state_dict(model.state_dict())
        once = other.sample(left, 1, torch.Generator().manual_seed(0))[0]
        often = other.sample(few_left, DRAWS, torch.Generator().manual_seed(1))
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
    return {"images": images, "covered": len(few_left), "draws": DRAWS, "rows": rows}
