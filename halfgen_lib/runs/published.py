"""Published networks: finished runs that come with the repository, and are shown where none is.

    report/networks/<name>/    a run directory; its manifest.json has the SHA-256 of each file;
                               README.md, the model's card, says what it is

The weights are rounded, see :mod:`weights`, so that a clone fetches less. The scores are theirs,
and show what the rounding does. A network without nonlinearities is stored as the affine map that
it comes to, a fifteenth of it, and without each image's scores, which would be larger.
"""

import re
from pathlib import Path

from safetensors.torch import save

from ..data import Dataset, load
from ..evaluation import score_images, summarise
from ..files import MANIFEST, folder, read_bytes, read_manifest, to_json, write_published
from ..models.affine import AffineMap
from . import CURRENT, Run, RunError, default_runs_dir, find_run
from .card import write_card
from .checkpoint import npz
from .weights import packed, unpacked

PACKAGED = Path(__file__).parents[1] / "networks"  # in an install: see pyproject.toml
DEFAULT = "cae"  # what is shown where nothing was trained


def networks_dir() -> Path:
    """Return the folder of what is published: ``HALFGEN_NETWORKS``, or ``report/networks``."""
    return folder("HALFGEN_NETWORKS", "report", "networks")


def published_runs() -> dict[str, Run]:
    """Return the published runs by name, not the classifiers; RunError if a manifest is damaged.

    A plain install brings the autoencoder along; one of its name in the folder takes its place.
    """
    places = (PACKAGED, networks_dir())
    folders = [path.parent for place in places for path in sorted(place.glob(f"*/{MANIFEST}"))]
    return {each.name: Run(each) for each in folders if "config.json" in read_manifest(each)}


def shown_run(run_id: str = CURRENT) -> Run:
    """Return a published run by its name, or a finished one in ``runs/``: see `find_run`.

    ``current`` is the one that was last trained here or, where none was, the published ``cae``.
    """
    is_trained = (default_runs_dir() / f"{CURRENT}.json").exists()
    name = DEFAULT if run_id == CURRENT and not is_trained else run_id
    return published_runs().get(name) or find_run(run_id)


def origin(run: Run) -> str:
    """Return a sentence in Markdown that says where a run comes from."""
    when = f"on {run.record['created'][:10]}, {run.record['device']}"
    if not (run.directory / MANIFEST).exists():
        return f"Shown is the run `{run.run_id}`, trained in this checkout ({when})."
    return (
        f"**A published run is shown, not one that was trained here**: `{run.config.run_id}`"
        f" ({when}). Its weights and scores, `{run.run_id}`, come with the project;"
        " notebook 02_train trains a run of your own."
    )


def publish_run(run: Run, name: str, dataset: Dataset | None = None) -> Run:
    """Publish a finished run under a name, in place of what had it before, and return that.

    Its kept weights are scored anew on the ``dataset`` that the run saw, loaded if not given.
    Raises RunError if the run is not finished, is damaged or saw other data, or if a weight is too
    large for half precision; ValueError for a wrong name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,49}", name):
        raise ValueError(f"name is {name!r}; allowed: lower-case letters, digits, - and _")
    if not run.is_finished:
        raise RunError(f"run {run.run_id} is {run.status['state']}, not finished")
    write_published(networks_dir() / name, _contents(run, dataset or load(run.config.data)))
    ours = Run(networks_dir() / name)
    write_card(ours)
    return ours


def _contents(run: Run, dataset: Dataset) -> dict[str, bytes]:
    """Return a finished run's files by name: its weights, rounded, and their scores."""
    if dataset.sha256 != run.record["data_sha256"]:
        raise RunError(f"{run.run_id} was trained on other images than those in {dataset.folder}")
    model, settings = run.model(), run.config.identity()["model_settings"]
    if is_affine := run.config.model == "cae" and settings["negative_slope"] == 1:
        model = AffineMap.of(model, settings["latent_dim"])
    stored = packed(model.state_dict())
    if bad := [name for name, values in stored.items() if not values.isfinite().all()]:
        raise RunError(f"{run.run_id}: {bad[0]} has values that half precision cannot hold")
    model.load_state_dict(unpacked(stored))
    scores = score_images(model.predict, dataset.test, run.config.given)
    same = ("config.json", "history.csv", "status.json")
    contents = {name: read_bytes(run.directory / name) for name in same}
    contents["model.safetensors"] = save(stored)
    if not is_affine:
        contents["scores.npz"] = npz(scores)
    return contents | {"metrics.json": to_json(summarise(scores, dataset.test.labels.numpy()))}
