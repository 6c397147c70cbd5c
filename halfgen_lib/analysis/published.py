"""Analyses that cost minutes: made once, published, and shown by the report."""

from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..data import Dataset, load, split
from ..evaluation import bootstrap, first_of_each_class, score_images, summarise
from ..files import RunError, read_json, write_json
from ..progress import steps
from ..runs import Run
from ..runs.provenance import provenance
from ..runs.published import published_runs
from ..runs.record import decode_errors, encode, encode_errors, results_path
from ..training import choose_device, fit
from ..variants import NAMES
from .audits import audit_analysis, erratum_analysis, facing_analysis
from .baselines import fit_baselines

PUBLISHED = ("baselines", "erratum", "audit", "facing", "generative", "ensembles")


def analysis_path(name: str, dataset: Dataset) -> Path:
    """Return where an analysis is published: ``report/results/<name>[-sample].json``."""
    return results_path(name + "-sample" * dataset.is_sample)


def publish(name: str, values: dict[str, Any], dataset: Dataset) -> Path:
    """Write an analysis to its :func:`analysis_path`, with its origin; return that."""
    path = analysis_path(name, dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = provenance(choose_device("cpu"), dataset.sha256)
    write_json(path, {"data": dataset.name, "origin": origin, **values})
    return path


def published(name: str) -> dict[str, Any]:
    """Return a published analysis; RunError if there is none yet, or if it is damaged."""
    path = results_path(name)
    if not path.exists():
        which = "`halfgen analyse`, or its --beyond or --ensemble"
        raise RunError(f"{path} is not there yet: {which}, makes it")
    values = read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get("origin"), dict):
        raise RunError(f"{path} holds no published analysis: it has no origin")
    return values


def published_analyses() -> dict[str, dict[str, Any]]:
    """Return every published analysis by its name."""
    return {name: published(name) for name in PUBLISHED}


def published_benches() -> dict[str, dict[str, Any]]:
    """Return the published benches by the names of their files; what was tried out is left out."""
    names = sorted(path.stem for path in results_path("any").parent.glob("bench-*.json"))
    benches = {name: published(name) for name in names}
    return {name: bench for name, bench in benches.items() if bench["data"] == "full"}


def finished_run(config: RunConfig, dataset: Dataset) -> Run:
    """Return the run of a configuration: the published one, or else trained here, if need be now.

    So that one configuration has one result wherever it is told of. A published affine map, which
    has no image's scores, is not the network that it was.
    """
    for run in published_runs().values():
        whole = (run.directory / "scores.npz").is_file()
        if whole and run.is_current and run.record["identity"] == config.identity():
            return run
    return fit(config, dataset)


def analyse(data: str = "full") -> list[Path]:
    """Make and publish every analysis; the runs that they are of are trained if need be."""
    dataset, facing = load(data), ("default", "flip")
    variants = (*facing, "as_published", "mlp")
    configs = {variant: RunConfig.of_variant(variant, data=data) for variant in variants}
    runs = {variant: finished_run(config, dataset) for variant, config in configs.items()}
    analyses = {
        "baselines": lambda: baselines_analysis(runs["default"], dataset, runs["mlp"]),
        "erratum": lambda: erratum_analysis(runs["as_published"], dataset),
        "audit": lambda: audit_analysis(runs["default"], dataset),
        "facing": lambda: {name: facing_analysis(runs[name], dataset) for name in facing},
    }
    return [publish(name, values, dataset) for name, values in steps(analyses)]


def baselines_analysis(run: Run, dataset: Dataset, fully: Run | None = None) -> dict[str, Any]:
    """Fit every baseline on the images that trained ``run`` and compare them on the test set.

    ``fully``, a fully connected network of the same images, may be one of them. ``methods``: title,
    choice and scores of each baseline and of the network; ``differences``: each baseline's error
    minus the network's, paired by image; ``errors`` of each image; ``examples``: completions.
    """
    splits = split(dataset, run.config.split, train_size=run.config.train_size)
    given, labels = run.config.given, dataset.test.labels.numpy()
    fitted = fit_baselines(splits.train, splits.validation, given)
    positions = first_of_each_class(labels, 1)[:, 0]
    left, _ = dataset.test.select(positions).halves(given)
    scores = {n: score_images(each.predict, dataset.test, given) for n, each in fitted.items()}
    methods = {n: each.as_dict() | summarise(scores[n], labels) for n, each in fitted.items()}
    pictures = {name: encode(each.predict(left)) for name, each in fitted.items()}
    networks = {"mlp": (NAMES["mlp"], fully)} if fully else {}
    networks["network"] = NAMES["default"], run
    for name, (title, own) in networks.items():
        methods[name], scores[name] = {"title": title, **own.metrics}, own.scores
        pictures[name] = encode(own.model().predict(left))
    mse = {name: own["mse"] for name, own in scores.items()}
    values = {
        "run_id": run.run_id,
        "methods": methods,
        # by image: what makes an image hard for either method cancels
        "differences": {n: bootstrap(e - mse["network"]) for n, e in mse.items() if n != "network"},
        "errors": {name: encode_errors(errors) for name, errors in mse.items()},
    }
    return values | {"examples": {"positions": positions.tolist(), "completions": pictures}}


def compared(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Return the :func:`baselines_analysis` of a run.

    Of the published baselines where they saw the images that the run has seen: so the fully
    connected network, which has to be trained, is among them, and nothing is fitted again.
    """
    found, usual = published("baselines"), RunConfig()
    seen = ("data", "split", "given", "train_size")
    if any(getattr(run.config, name) != getattr(usual, name) for name in seen):
        return baselines_analysis(run, dataset)
    if found["run_id"] == run.run_id:
        return found
    left, _ = dataset.test.select(found["examples"]["positions"]).halves()
    found["examples"]["completions"]["network"] = encode(run.model().predict(left))
    found["methods"]["network"] |= run.metrics
    own, errors = run.scores["mse"], found["errors"]
    for name in found["differences"]:
        found["differences"][name] = bootstrap(decode_errors(errors[name]) - own)
    errors["network"] = encode_errors(own)
    return found | {"run_id": run.run_id}
