"""What there is to choose from, as rows of words: models, variants, runs, published networks."""

import json

from ..models import MODELS, model_class
from ..variants import NAMES, VARIANTS
from . import Run, RunError, default_runs_dir
from .published import published_runs


def rows_of(what: str) -> list[tuple[str, ...]]:
    """Return a header and a row for each of the models, variants, networks or else runs."""
    if what == "models":
        about = [(name, model_class(name).__doc__.partition("\n")[0]) for name in MODELS]
        return [("model", "what it is"), *about]
    if what == "variants":
        changed = [(v, NAMES[v], json.dumps(own)[1:-1] or "-") for v, own in VARIANTS.items()]
        return [("variant", "in the paper", "what differs from the defaults"), *changed]
    folders = sorted(default_runs_dir().glob("*/status.json"))
    runs = published_runs().values() if what == "networks" else [Run(f.parent) for f in folders]
    return [("name", "state", "model", "epochs", "known", "test MSE"), *map(_row, runs)]


def _row(run: Run) -> tuple[str, ...]:
    try:
        mse = f"{run.metrics['overall']['mse']['mean']:.5f}" if run.is_finished else "-"
        config, state = run.config, run.status["state"]
        return run.run_id, state, config.model, str(config.epochs), config.given, mse
    except RunError:
        return run.run_id, "damaged", *"----"
