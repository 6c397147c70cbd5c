"""What there is to choose from, as rows of words: models, variants, runs, published networks."""

import json
from collections.abc import Iterable

from ..models import MODELS, model_class
from ..variants import VARIANTS
from . import Run, RunError, default_runs_dir
from .published import published_runs

Rows = list[tuple[str, ...]]
LISTS = ("models", "variants", "runs", "networks")


def rows_of(what: str) -> Rows:
    """Return a header and a row for each of ``what``, a name in ``LISTS``."""
    if what == "models":
        about = [(name, model_class(name).__doc__.partition("\n")[0]) for name in MODELS]
        return [("model", "what it is"), *about]
    if what == "variants":
        changed = [(name, json.dumps(changes)[1:-1] or "-") for name, changes in VARIANTS.items()]
        return [("variant", "what differs from the defaults"), *changed]
    folders = sorted(default_runs_dir().glob("*/status.json"))
    runs = published_runs().values() if what == "networks" else [Run(f.parent) for f in folders]
    return [("name", "state", "model", "epochs", "known", "test MSE"), *_rows(runs)]


def _rows(runs: Iterable[Run]) -> Rows:
    rows = []
    for run in runs:
        try:
            config, mse = run.config, "-"
            if run.is_finished:
                mse = f"{run.metrics['overall']['mse']['mean']:.5f}"
            about = run.status["state"], config.model, str(config.epochs), config.given, mse
        except RunError:
            about = ("damaged", *"----")
        rows.append((run.run_id, *about))
    return rows
