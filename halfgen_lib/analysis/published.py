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
from ..runs.record import encode, results_path
from ..training import choose_device, fit
from .audits import audit_analysis, erratum_analysis, facing_analysis
from .baselines import fit_baselines

PUBLISHED = ("baselines", "erratum", "audit", "facing", "generative")


def publish(name: str, values: dict[str, Any], dataset: Dataset) -> Path:
    """Write an analysis to ``report/results/<name>[-sample].json`` with its origin; return that."""
    path = results_path(name + "-sample" * dataset.is_sample)
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = provenance(choose_device("cpu"), dataset.sha256)
    write_json(path, {"data": dataset.name, "origin": origin, **values})
    return path


def published(name: str) -> dict[str, Any] | None:
    """Return a published analysis, or None if there is none yet; RunError if it is damaged."""
    path = results_path(name)
    if not path.exists():
        return None
    values = read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get("origin"), dict):
        raise RunError(f"{path} holds no published analysis: it has no origin")
    return values


def published_benches() -> dict[str, dict[str, Any]]:
    """Return the published benches by the names of their files; what was tried out is left out."""
    names = sorted(path.stem for path in results_path("any").parent.glob("bench-*.json"))
    benches = {name: published(name) for name in names}
    return {name: bench for name, bench in benches.items() if bench and bench["data"] == "full"}


def analyse(data: str = "full", **changes: Any) -> list[Path]:
    """Make and publish every analysis; the runs that they are of are trained if need be.

    ``changes`` are settings of all three runs that differ from their variants'.
    """
    dataset = load(data)
    runs = {
        variant: fit(RunConfig.of_variant(variant, data=data, **changes), dataset)
        for variant in ("default", "as_published", "flip")
    }
    facing = ("default", "flip")
    analyses = {
        "baselines": lambda: baselines_analysis(runs["default"], dataset),
        "erratum": lambda: erratum_analysis(runs["as_published"], dataset),
        "audit": lambda: audit_analysis(runs["default"], dataset),
        "facing": lambda: {name: facing_analysis(runs[name], dataset) for name in facing},
    }
    return [publish(name, values, dataset) for name, values in steps(analyses)]


def baselines_analysis(run: Run, dataset: Dataset) -> dict[str, Any]:
    """Fit every baseline on the images that trained ``run`` and compare them on the test set.

    ``methods``: title, choice and scores of each baseline and of the network; ``differences``: each
    baseline's error minus the network's, paired by image; ``examples``: encoded completions.
    """
    splits = split(dataset, run.config.split, train_size=run.config.train_size)
    given, labels = run.config.given, dataset.test.labels.numpy()
    fitted = fit_baselines(splits.train, splits.validation, given)
    positions = first_of_each_class(labels, 1)[:, 0]
    left, _ = dataset.test.select(positions).halves(given)
    methods, differences, pictures = {}, {}, {}
    for name, baseline in fitted.items():
        scores = score_images(baseline.predict, dataset.test, given)
        methods[name] = {**baseline.as_dict(), **summarise(scores, labels)}
        # by image: what makes an image hard for either method cancels
        differences[name] = bootstrap(scores["mse"] - run.scores["mse"])
        pictures[name] = encode(baseline.predict(left))
    methods["network"] = {"title": "autoencoder", **run.metrics}
    pictures["network"] = encode(run.model().predict(left))
    values = {"run_id": run.run_id, "methods": methods, "differences": differences}
    return values | {"examples": {"positions": positions.tolist(), "completions": pictures}}
