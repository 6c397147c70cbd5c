"""What a run's directory gets while the run is trained: its first file, each epoch, its end.

Whenever the process stops, what lies there is whole and says how far it came.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from ..data import Dataset, Images
from ..evaluation import score_images, summarise
from ..files import write_atomic, write_json
from ..models import revision
from . import Run, RunError
from .provenance import now, provenance

if TYPE_CHECKING:
    from ..training import Trainer


def begin(run: Run, trainer: Trainer, dataset: Dataset, say: Callable[..., None]) -> None:
    """Take up an unfinished run, or lay the first file of a new one."""
    resume, config = run.directory / "resume.pt", trainer.config
    if not resume.exists():
        record = {
            "config": config.model_dump(mode="json"),
            "identity": config.identity(),
            "revision": revision(config.model),
            **provenance(trainer.device, dataset.sha256),
        }
        write_json(run.directory / "config.json", record)
        return
    try:
        trainer.load_state(torch.load(resume, map_location=trainer.device, weights_only=True))
    except Exception as error:
        raise RunError(
            f"{resume} cannot be used ({error}); remove it to train {run.run_id} from the start"
        ) from error
    say(f"resuming {run.run_id} after epoch {len(trainer.history)} of {config.epochs}")


@contextmanager
def truthful(run: Run, trainer: Trainer, say: Callable[..., None]) -> Iterator[None]:
    """Keep ``status.json`` true however the block ends."""
    run.write_status("running", epoch=len(trainer.history))
    try:
        yield
    except KeyboardInterrupt:
        epoch = len(run.history["epoch"])
        run.write_status("interrupted", epoch=epoch)
        say(f"interrupted; the next start resumes after epoch {epoch}")
        raise
    except BaseException as error:
        run.write_status("failed", message=f"{type(error).__name__}: {error}")
        raise


def save_epoch(run: Run, trainer: Trainer) -> None:
    """Write what a later start resumes from: ``resume.pt`` decides, the others can be remade."""
    content = io.BytesIO()
    torch.save(trainer.state(), content)
    write_atomic(run.directory / "resume.pt", content.getvalue())
    run.write_history(trainer.history)
    run.write_status("running", epoch=len(trainer.history))


def finish(run: Run, trainer: Trainer, test: Images) -> None:
    """Score the kept weights on the test set, once, and only then call it finished."""
    run.write_history(trainer.history)
    run.write_weights("last", trainer.evaluated.state_dict())
    run.write_weights("model", trainer.kept)
    trainer.model.load_state_dict(trainer.kept)
    scores = score_images(trainer.model.predict, test, trainer.config.given)
    run.write_scores(scores)
    write_json(run.directory / "metrics.json", summarise(scores, test.labels.cpu().numpy()))
    run.write_status("finished", epoch=len(trainer.history), finished=now())
    (run.directory / "resume.pt").unlink(missing_ok=True)
