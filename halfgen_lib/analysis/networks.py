"""The networks, measured beside each other and every baseline: the analysis ``generative``."""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ..config import RunConfig
from ..data import Dataset, Splits, join, load, split, stratified_order, to_unit
from ..models.residual_flow import ResidualFlowCompleter
from ..progress import steps
from ..runs import Run
from ..runs.record import results_path
from ..settings import known
from ..variants import BEYOND, NAMES
from . import distances, floor, sampling
from .baselines import Donor, fit_baselines
from .classifier import load_classifier
from .generative import DRAWS, IMAGES, Predictor, generative_analysis, unsettled
from .published import finished_run, publish, published

# by their variants
NETWORKS = ("default", "mlp", "unet", "cvae", "gan", "flow", "residual-flow")
# The variants that the networks of the ensemble are of, in turn: on validation images the errors of
# networks that overfit and of those that do not are less alike than those within either kind.
ENSEMBLE = ("unet-wide-member", "unet-wide")
SEEDS = 3  # of each variant whose mean it is compared with
DONORS = (1, 3)  # nearest images that a donor is one of, beside the k whose mean errs least
OF_SETS = ("frechet", "precision", "recall", "two_sample", "black")
COVERED = 200  # images that show what temperature and stretch do to 90 % intervals


def analyse_networks(
    data: str = "full",
    networks: Sequence[str] = NETWORKS,
    *,
    images: int = IMAGES,
    ensemble: int = 0,
) -> Path:
    """Make and publish the analysis ``generative``, and return its file.

    Of so many test ``images`` and of networks in ``NETWORKS``, trained if need be. The mean of an
    ``ensemble`` of so many, of the variants in ``ENSEMBLE`` and seeds 0, 1, ..., is one more
    method; as many, at most ``SEEDS``, of each variant in ``BEYOND["ensemble"]`` are compared. What
    is not measured now stays as it was (:func:`with_earlier`).
    """
    if ensemble < 0 or ensemble == 1:
        raise ValueError(f"ensemble is {ensemble}, allowed: 0 (none) or 2 and more")
    chosen = [known(name, NETWORKS, "network") for name in networks]
    dataset = load(data)

    def run(variant: str, seed: int = 0) -> Run:
        return finished_run(RunConfig.of_variant(variant, data=data, seed=seed), dataset)

    runs, groups = {name: run(name) for name in chosen}, {}
    if ensemble:
        few = range(min(ensemble, SEEDS))
        groups = {NAMES[name]: [run(name, seed) for seed in few] for name in BEYOND["ensemble"]}
        title = " and ".join(NAMES[variant] for variant in ENSEMBLE) + ", mixed"
        groups[title] = [run(ENSEMBLE[seed % len(ENSEMBLE)], seed) for seed in range(ensemble)]
    values = networks_analysis(runs, dataset, groups, images)
    name = "generative" + "-sample" * dataset.is_sample
    earlier = published(name) if results_path(name).exists() else None
    return publish("generative", with_earlier(values, earlier), dataset)


def with_earlier(values: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any]:
    """Return an analysis with the rows of networks that an earlier one measured and this did not.

    Of theirs, what compares sets of images is left out: it depends on the reference. They say when
    they were ``measured``.
    """
    if not earlier or earlier["images"] != values["images"]:
        return values
    day = earlier["origin"]["created"][:10]
    rows = {n: row for n, row in earlier["methods"].items() if n not in values["methods"]}
    for name, row in rows.items():
        kept = {key: value for key, value in row.items() if key not in OF_SETS}
        if "mean" in row:
            kept["mean"] = {k: v for k, v in row["mean"].items() if k not in OF_SETS}
        values["methods"][name] = {"measured": day} | kept
        for shown in ("point", "draws"):
            if name in (pictures := earlier["examples"][shown]):
                values["examples"][shown][name] = pictures[name]
    kept = {key: earlier[key] for key in ("ensembles", "temperature") if key in earlier}
    return kept | values | {"runs": earlier["runs"] | values["runs"]}


def networks_analysis(
    runs: Mapping[str, Run], dataset: Dataset, groups: Mapping[str, Sequence[Run]], images: int
) -> dict[str, Any]:
    """Return :func:`generative_analysis` of baselines and networks, and what else is told of them.

    Of finished ``runs`` by the names in ``NETWORKS``, and ``groups``, title -> two or more U-Nets
    of different seeds; the mean of the last group is one more method. ``floor``: what of the
    U-Nets' error on all test images could be avoided (:func:`floor.avoidable`).
    """
    splits = split(dataset, "holdout")
    models = {name: run.model() for name, run in runs.items()}
    methods: dict[str, Predictor] = dict(fit_baselines(splits.train, splits.validation))
    # the k of lowest validation error is found already: a donor's mean is the k nearest's
    donors = {f"donor-{k}": k for k in DONORS} | {"donor": methods["nearest"].value}
    for name, k in donors.items():
        methods[name] = Donor(*splits.train.halves(), k)
        methods[name].title = f"donor, k = {k}"
    methods |= models
    if groups:
        unets = [run.model() for run in [*groups.values()][-1]]
        mean = floor.mean_of([unet.predict for unet in unets])
        methods["ensemble"] = SimpleNamespace(title=f"{len(unets)} U-Nets, mixed", predict=mean)
    values = generative_analysis(methods, dataset, images=images)
    for name in runs:
        values["methods"][name]["title"] = NAMES[name]
    values["runs"] = {name: {"run_id": run.config.run_id} for name, run in runs.items()}
    parts = splits.test.halves(), splits.validation.halves()
    values["floor"] = {
        name: floor.avoidable(methods[name].predict, *parts)
        for name in ("unet", "ensemble")
        if name in methods
    }
    more = {}
    if groups:
        more["ensembles"] = partial(ensembles, groups, splits)
    if "residual-flow" in models:
        more["temperature"] = partial(temperature_effect, models["residual-flow"], splits, images)
    return values | dict(steps(more))


def ensembles(groups: Mapping[str, Sequence[Run]], splits: Splits) -> list[dict[str, Any]]:
    """Return each group's title, run ids, and errors on validation and test images.

    The error of infinitely many is estimated of networks that differ in their seed alone: a group
    of several variants has none.
    """
    parts = {"validation": splits.validation.halves(), "test": splits.test.halves()}
    found = []
    for title, runs in groups.items():
        networks = [run.model().predict for run in runs]
        errors = {name: floor.ensemble_error(networks, halves) for name, halves in parts.items()}
        if len({run.config.variant for run in runs}) > 1:
            for values in errors.values():
                del values["infinite"]
        found.append({"title": title, "run_ids": [run.config.run_id for run in runs], **errors})
    return found


def temperature_effect(model: ResidualFlowCompleter, splits: Splits, images: int) -> dict[str, Any]:
    """Measure the residual flow's draws with temperature and stretch at 1 and as the model has it.

    The latter were chosen by this, on validation images. So many, at most half of them, are
    completed once, for the Frechet distance from as many others; the first ``COVERED`` of them
    ``DRAWS`` times, for CRPS and ``coverage`` of unsettled pixels. All start at the same noise.
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
    chosen = model.config
    for temperature, stretch in product((1.0, chosen.temperature), (1.0, chosen.stretch)):
        changed, other = {"temperature": temperature, "stretch": stretch}, copy(model)
        other.config = chosen.model_copy(update=changed)
        noise, more_noise, ties = (torch.Generator().manual_seed(seed) for seed in range(3))
        once = other.sample(left, 1, noise)[0]
        often = other.sample(few_left, DRAWS, more_noise)
        (hits,) = sampling.covered(often, few_right, (0.9,), ties)
        measured = {
            "frechet": distances.frechet_distance(reference, classifier.look(join(left, once))[0]),
            "coverage": float(hits[open_pixels].mean()),
            "crps": float(sampling.crps(often, few_right).mean()),
        }
        rows.append(changed | measured)
    return values | {"rows": rows}
