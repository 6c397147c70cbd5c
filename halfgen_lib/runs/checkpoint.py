"""What a run's directory gets while it is trained; whenever it stops, what lies there is whole."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from ..data import Dataset, Images
from ..evaluation import score_images, summarise
from ..files import reading, write_atomic, write_json
from ..models import revision
from . import HISTORY_COLUMNS, Run
from .provenance import now, provenance

Trainer = Any  # a training.Trainer: this package is below it


def begin(run: Run, trainer: Trainer, dataset: Dataset, say: Callable[..., None]) -> None:
    """Take up an unfinished run, or lay the first file of a new one."""
    resume, config = run.directory / "resume.pt", trainer.config
    if not resume.exists():
        record = {"config": config.model_dump(mode="json"), "identity": config.identity()}
        record["revision"] = revision(config.model)
        origin = provenance(trainer.device, dataset.sha256)
        write_json(run.directory / "config.json", record | origin)
        return
    with reading(resume, f"; remove it to train {run.run_id} from the start"):
        trainer.load_state(torch.load(resume, map_location=trainer.device, weights_only=True))
    say(f"resuming {run.run_id} after epoch {len(trainer.history)} of {config.epochs}")


@contextmanager
def truthful(run: Run, trainer: Trainer, say: Callable[..., None]) -> Iterator[None]:
    """Keep ``status.json`` true however the block ends."""
    write_status(run, "running", epoch=len(trainer.history))
    try:
        yield
    except KeyboardInterrupt:
        epoch = len(run.history["epoch"])
        write_status(run, "interrupted", epoch=epoch)
        say(f"interrupted; the next start resumes after epoch {epoch}")
        raise
    except BaseException as error:
        write_status(run, "failed", message=f"{type(error).__name__}: {error}")
        raise


def save_epoch(run: Run, trainer: Trainer) -> None:
    """Write what a later start resumes from: ``resume.pt`` decides, the others can be remade."""
    content = io.BytesIO()
    torch.save(trainer.state(), content)
    write_atomic(run.directory / "resume.pt", content.getvalue())
    write_history(run, trainer.history)
    write_status(run, "running", epoch=len(trainer.history))


def finish(run: Run, trainer: Trainer, test: Images) -> None:
    """Score the kept weights on the test set, once, and only then call it finished."""
    write_history(run, trainer.history)
    write_weights(run, "last", trainer.evaluated.state_dict())
    write_weights(run, "model", trainer.kept)
    trainer.model.load_state_dict(trainer.kept)
    scores = score_images(trainer.model.predict, test, trainer.config.given)
    write_atomic(run.directory / "scores.npz", npz(scores))
    write_json(run.directory / "metrics.json", summarise(scores, test.labels.cpu().numpy()))
    write_status(run, "finished", epoch=len(trainer.history), finished=now())
    (run.directory / "resume.pt").unlink(missing_ok=True)


def write_status(run: Run, state: str, **details: Any) -> None:
    """Write ``status.json``: new, running, interrupted, failed or finished."""
    write_json(run.directory / "status.json", {"state": state, "pid": os.getpid(), **details})


def write_history(run: Run, rows: list[dict[str, float]]) -> None:
    """Write ``history.csv``; floats keep every digit."""
    lines = [HISTORY_COLUMNS, *([str(row[name]) for name in HISTORY_COLUMNS] for row in rows)]
    text = "".join(",".join(line) + "\n" for line in lines)
    write_atomic(run.directory / "history.csv", text.encode())


def write_weights(run: Run, name: str, state: dict[str, torch.Tensor]) -> None:
    """Write ``<name>.safetensors``."""
    whole = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    write_atomic(run.directory / f"{name}.safetensors", save(whole))


def npz(scores: dict[str, np.ndarray]) -> bytes:
    """Return the content of ``scores.npz``, in float32."""
    content = io.BytesIO()
    np.savez(content, **{name: values.astype(np.float32) for name, values in scores.items()})
    return content.getvalue()
