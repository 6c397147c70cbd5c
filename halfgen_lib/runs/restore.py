"""Show a published run where nothing was trained: a run directory made of what is published.

    runs/published-<name>/    as in :mod:`runs`, but for last.safetensors, which is not published

The weights are checked against their hash and scored on the test set again: every number shown of
such a run was computed here or stands in its record.
"""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import ValidationError

from ..config import RunConfig
from ..data import Dataset, load
from ..evaluation import score_images, summarise
from ..models import revision
from . import CURRENT, Run, RunError, default_runs_dir, find_run, write_json
from .record import Record
from .weights import Published, WeightsError, load_weights, published_weights

DEFAULT = "cae"  # what is shown where nothing was trained
PREFIX = "published-"
TOLERANCE = 1e-3  # relative; another device or library rounds differently


def shown_run(run_id: str = CURRENT) -> Run:
    """Return the run to show: a finished one, or a published one where none was trained.

    Args:
        run_id: a folder in ``runs/``; ``published-<name>``: the run of published weights;
            ``current``: the run that was last trained here or, where none was, ``published-cae``.

    Raises:
        RunError: if there is none; the message says what to do.
        WeightsError, DataError: if a published run cannot be restored.
    """
    has_current = (default_runs_dir() / f"{CURRENT}.json").exists()
    if run_id == CURRENT and not has_current and DEFAULT in published_weights():
        run_id = PREFIX + DEFAULT
    if run_id.startswith(PREFIX):
        return restore_run(run_id.removeprefix(PREFIX))
    return find_run(run_id)


def restore_run(name: str, dataset: Dataset | None = None) -> Run:
    """Return the run of published weights, its directory made anew unless it is there and whole.

    Its history is rounded as the record's is, and every epoch is given an equal share of the
    seconds, of which the record has the sum.

    Args:
        name: of the weights.
        dataset: the images that the run saw; loaded if not given.

    Raises:
        ValueError: an unknown name.
        WeightsError: if the weights are not those that were published, do not score what their
            record says, or the data are not those of the record.
        RunError: if another process is restoring it.
        DataError: if the images cannot be had.
    """
    model = load_weights(name)
    entry = published_weights()[name]
    record, run = entry.record, Run(default_runs_dir() / f"{PREFIX}{name}")
    content = _config_json(name, entry)
    if _is_whole(run, content):
        return run
    dataset = dataset or load(str(record.identity["data"]))
    if dataset.sha256 != record.origin.data_sha256:
        raise WeightsError(f"{name} was trained on other images than those in {dataset.folder}")
    with run.locked():
        (run.directory / "status.json").unlink(missing_ok=True)
        scores = score_images(model.predict, dataset.test, str(record.identity["given"]))
        metrics = summarise(scores, dataset.test.labels.numpy())
        _check(name, metrics["overall"]["mse"]["mean"], record.test.mse.mean)
        write_json(run.directory / "config.json", content)
        run.write_history(_history(record))
        run.write_weights("model", model.state_dict())
        run.write_scores(scores)
        write_json(run.directory / "metrics.json", metrics)
        run.write_status("finished", epoch=record.epochs, finished=record.origin.finished)
    return Run(run.directory)


def origin(run: Run) -> str:
    """Return a sentence in Markdown that says where a run comes from."""
    written = run.record
    when = f"on {written['created'][:10]}, {written['device']}"
    if "published" not in written:
        return f"Shown is the run `{run.run_id}`, trained in this checkout ({when})."
    published = written["published"]
    return (
        f"**A published run is shown, not one that was trained here**: `{published['run_id']}`"
        f" ({when}). Its weights, `{published['name']}`, were scored again on this machine;"
        " notebook 02_train trains a run of your own."
    )


def _config_json(name: str, entry: Published) -> dict[str, Any]:
    """Return the content of ``config.json``: as training writes it, and what was published.

    Raises:
        WeightsError: if this code knows no such settings.
    """
    record = entry.record
    settings = {k: v for k, v in record.identity.items() if k != "schema_version"}
    try:
        config = RunConfig.model_validate_json(json.dumps(settings | {"variant": record.variant}))
    except ValidationError as error:
        raise WeightsError(f"{name}: this code has no such settings: {error}") from None
    return {
        "config": config.model_dump(mode="json"),
        "identity": record.identity,
        "revision": record.revision,
        **record.origin.model_dump(mode="json", exclude={"finished"}),
        "published": {
            "name": name,
            "run_id": entry.run_id,
            "sha256": entry.sha256,
            "scored_by": revision(config.model),
        },
    }


def _is_whole(run: Run, content: dict[str, Any]) -> bool:
    try:
        return run.is_finished and run.record == content
    except RunError:  # damaged: it is made again
        return False


def _check(name: str, mse: float, published: float) -> None:
    if not math.isclose(mse, published, rel_tol=TOLERANCE):
        raise WeightsError(
            f"{name} has a test MSE of {mse:.6f} here, but {published:.6f} was published"
        )


def _history(record: Record) -> list[dict[str, float]]:
    columns = zip(*(column for _, column in record.history), strict=True)
    names, seconds = list(type(record.history).model_fields), record.seconds / record.epochs
    return [
        {"epoch": epoch, **dict(zip(names, values, strict=True)), "seconds": seconds}
        for epoch, values in enumerate(columns, 1)
    ]
