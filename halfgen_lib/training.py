"""Train a network: a loop that reads like the textbook, in a run directory that cannot lie."""

from __future__ import annotations

import io
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from .config import RunConfig
from .data import Dataset, Images, Splits, batches, load, split
from .evaluation import score_images, summarise
from .models import build_model, revision
from .objectives import LOSSES, build_optimizer
from .runs import Run, RunError, default_runs_dir, write_atomic, write_json
from .runs.provenance import device_name, now, provenance

EVALUATION_BATCH = 2000


class TrainingError(RuntimeError):
    """Training cannot go on."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device to compute on; ``auto`` takes a GPU where there is one.

    Raises:
        ValueError: if the device asked for is not there.
    """
    there = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())]
    kinds = [kind for kind, is_there in there if is_there] + ["cpu"]
    if name != "auto" and name not in kinds:
        raise ValueError(f"device {name!r} is not there; this machine has: {', '.join(kinds)}")
    return torch.device(kinds[0] if name == "auto" else name)


def train_epoch(
    model: nn.Module,
    pairs: Iterable[tuple[Tensor, Tensor]],
    loss_function: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Take one gradient step for each batch; return the mean loss over the images seen.

    A batch's loss is taken before its step, so an epoch's mean is that of a moving network.

    Args:
        model: the network, set to training mode.
        pairs: batches of left and right halves, (B, 1, 28, 14) each.
        loss_function: the forward pass and its loss, from the two halves: ``model.loss``.
        optimizer: of the model's weights.
        after_step: moves what goes with each step: a schedule, an average of the weights.
    """
    model.train()
    total, seen = 0.0, 0
    for left, right in pairs:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_function(left, right)
        loss.backward()
        optimizer.step()
        after_step()
        total = total + loss.detach() * len(left)  # stays on the device: no wait in each batch
        seen += len(left)
    return float(total) / seen


@torch.inference_mode()
def validation_mse(model: nn.Module, images: Images, given: str) -> float:
    """Return the mean squared error over all pixels of all right halves, in evaluation mode."""
    model.eval()
    total, pixels = 0.0, 0
    for left, right in batches(images, EVALUATION_BATCH, None, given=given):
        total = total + F.mse_loss(model(left), right, reduction="sum").double()
        pixels += right.numel()
    return float(total) / pixels


class Trainer:
    """All that changes while a run is trained, so that it can be saved and taken up again."""

    def __init__(self, config: RunConfig, splits: Splits, device: torch.device):
        self.config, self.device = config, device
        self.train, self.validation = splits.train.to(device), splits.validation.to(device)
        torch.manual_seed(config.seed)  # weights and dropout; `fit` restores the old state
        self.model = build_model(config.model, config.model_settings).to(device)
        self.order = torch.Generator().manual_seed(config.seed)
        self.optimizer = build_optimizer(
            config.optimizer,
            self.model.parameters(),
            config.learning_rate,
            config.weight_decay,
            config.momentum,
        )
        self.scheduler = self._scheduler()
        self.averaged = None
        if config.ema:
            average = partial(_average, decay=config.ema)
            self.averaged = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        self.loss_function = self._loss_function()
        self.history: list[dict[str, float]] = []
        self.kept: dict[str, Tensor] = {}

    def _scheduler(self) -> ReduceLROnPlateau | OneCycleLR:
        config = self.config
        if config.schedule == "plateau":
            return ReduceLROnPlateau(
                self.optimizer, factor=config.plateau_factor, patience=config.plateau_epochs - 1
            )
        steps = config.epochs * math.ceil(len(self.train) / config.batch_size)
        return OneCycleLR(
            self.optimizer, config.learning_rate, total_steps=steps, cycle_momentum=False
        )

    def _loss_function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the forward pass and its loss, in the precision and the form of the settings."""
        function = partial(self.model.loss, criterion=LOSSES[self.config.loss])
        if self.config.precision == "bfloat16":
            function = torch.autocast(self.device.type, torch.bfloat16)(function)
        return torch.compile(function) if self.config.compile else function

    def _after_step(self) -> None:
        if isinstance(self.scheduler, OneCycleLR):
            self.scheduler.step()
        if self.averaged:
            self.averaged.update_parameters(self.model)

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated and kept: the average of the weights if there is one."""
        return self.averaged.module if self.averaged else self.model

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch, validate, move the schedule; return the history's new line.

        Raises:
            TrainingError: if a loss is not finite.
        """
        start, config = time.perf_counter(), self.config
        epoch, lr = len(self.history) + 1, self.optimizer.param_groups[0]["lr"]
        pairs = batches(
            self.train,
            config.batch_size,
            self.order,
            given=config.given,
            flip=config.flip,
            shift=config.shift,
        )
        train_loss = train_epoch(
            self.model, pairs, self.loss_function, self.optimizer, self._after_step
        )
        val_loss = validation_mse(self.evaluated, self.validation, config.given)
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch} (training {train_loss}, validation"
                f" {val_loss}); most likely the learning rate, {lr:g}, is too high: try a tenth"
            )
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(val_loss)
        lowest = min((row["val_loss"] for row in self.history), default=math.inf)
        if config.keep == "last" or val_loss < lowest:
            self.kept = {k: v.detach().clone() for k, v in self.evaluated.state_dict().items()}
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "val_loss": val_loss,
            "lr": lr,
            "seconds": round(time.perf_counter() - start, 3),
        }
        self.history.append(row)
        return row

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on."""
        return {
            "config_hash": self.config.hash(),
            "model": self.model.state_dict(),
            "kept": self.kept,
            "averaged": self.averaged.state_dict() if self.averaged else None,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "order": self.order.get_state(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
            "history": self.history,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where ``state`` was taken.

        Raises:
            KeyError, RuntimeError: if it is not the state of a run with these settings.
        """
        if state["config_hash"] != self.config.hash():
            raise RuntimeError(f"it belongs to configuration {state['config_hash']}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.order.set_state(state["order"].cpu())
        torch.set_rng_state(state["rng"].cpu())
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())
        if self.averaged:
            self.averaged.load_state_dict(state["averaged"])
        self.kept, self.history = state["kept"], state["history"]


def _average(averages: list[Tensor], weights: list[Tensor], count: Tensor, decay: float) -> None:
    """Move averages towards the weights after the first ``count`` steps.

    The decay grows to its value, so that early averages are not those of the first random weights.
    """
    decay = min(decay, (1 + int(count)) / (10 + int(count)))
    get_ema_multi_avg_fn(decay)(averages, weights, count)


def fit(
    config: RunConfig,
    dataset: Dataset | None = None,
    *,
    runs_dir: Path | None = None,
    quiet: bool = False,
) -> Run:
    """Train as ``config`` says, score the test set once, and return the finished run.

    A finished run of the same configuration is returned as it is; an unfinished one goes on after
    its last whole epoch.

    Args:
        config: what to do.
        dataset: the images; loaded if not given.
        runs_dir: where run directories lie; :func:`runs.default_runs_dir` if not given.
        quiet: print nothing and show no progress.

    Raises:
        TrainingError: if a loss is not finite.
        RunError: if the run directory is damaged or in use by another process.
        DataError: if the images cannot be had.
        ValueError: if there is no such device, or fewer training images than asked for.
    """
    say = (lambda *_: None) if quiet else print
    run = Run((runs_dir or default_runs_dir()) / config.run_id)
    if run.is_finished:
        say(f"{run.run_id} is finished already and is used as it is")
        return run
    device = choose_device(config.device)
    hint = "; no GPU was found: that is fine, it only takes longer" if device.type == "cpu" else ""
    say(f"training on {device_name(device)}{hint}")
    dataset = dataset or load(config.data)
    splits = split(dataset, config.split, train_size=config.train_size)
    with run.locked(), torch.random.fork_rng():
        if run.is_finished:  # by another process, since we looked
            return run
        trainer = Trainer(config, splits, device)
        _open(run, trainer, dataset, say)
        with _truthful(run, trainer, say), _Progress(trainer, quiet) as progress:
            while len(trainer.history) < config.epochs:
                progress.show(trainer.run_epoch())
                _save_epoch(run, trainer)
            _finish(run, trainer, splits.test)
    return run


def _open(run: Run, trainer: Trainer, dataset: Dataset, say: Callable[..., None]) -> None:
    """Take up an unfinished run, or lay the first file of a new one."""
    resume = run.directory / "resume.pt"
    if not resume.exists():
        config = trainer.config
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
    say(f"resuming {run.run_id} after epoch {len(trainer.history)} of {trainer.config.epochs}")


class _Progress:
    """A bar where a person looks on, a line for each epoch where a log is kept, or nothing."""

    def __init__(self, trainer: Trainer, quiet: bool):
        looked_at = {"JPY_SESSION_NAME", "VSCODE_PID"} & set(os.environ) or sys.stderr.isatty()
        self.lines = not quiet and not looked_at
        self.total = trainer.config.epochs
        self.bar = tqdm(
            total=self.total,
            initial=len(trainer.history),
            unit="epoch",
            disable=quiet or not looked_at,
        )

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, row: dict[str, float]) -> None:
        """Show the line of the history that has just been made."""
        train, val = f"{row['train_loss']:.4f}", f"{row['val_loss']:.4f}"
        self.bar.set_postfix(train=train, validation=val, lr=f"{row['lr']:.2g}", refresh=False)
        self.bar.update()
        if self.lines:
            print(
                f"epoch {row['epoch']:>3}/{self.total}  train {train}  validation {val}"
                f"  lr {row['lr']:.2g}  {row['seconds']:.1f} s",
                flush=True,
            )


@contextmanager
def _truthful(run: Run, trainer: Trainer, say: Callable[..., None]) -> Iterator[None]:
    """Keep ``status.json`` true however the block ends."""
    run.write_status("running", epoch=len(trainer.history))
    try:
        yield
    except KeyboardInterrupt:
        run.write_status("interrupted", epoch=len(run.history["epoch"]))
        say(f"interrupted; the next start resumes after epoch {len(run.history['epoch'])}")
        raise
    except BaseException as error:
        run.write_status("failed", message=f"{type(error).__name__}: {error}")
        raise


def _save_epoch(run: Run, trainer: Trainer) -> None:
    """Write what a later start resumes from: ``resume.pt`` decides, the others can be remade."""
    content = io.BytesIO()
    torch.save(trainer.state(), content)
    write_atomic(run.directory / "resume.pt", content.getvalue())
    run.write_history(trainer.history)
    run.write_status("running", epoch=len(trainer.history))


def _finish(run: Run, trainer: Trainer, test: Images) -> None:
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
