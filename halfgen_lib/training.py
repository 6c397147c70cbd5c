"""Train a network: a loop that reads like the textbook, in a run directory that cannot lie."""

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .config import RunConfig
from .data import Dataset, Images, Splits, batches, load, split
from .evaluation import structural_similarity
from .models import build_model
from .progress import countdown
from .runs import Run, default_runs_dir
from .runs.checkpoint import begin, finish, save_epoch, truthful
from .runs.provenance import bfloat16_pays, choose_device, device_name
from .runs.teachers import teach

EVALUATION_BATCH = 2000
Loss = Callable[[Tensor, Tensor], Tensor]


class TrainingError(RuntimeError):
    """Training cannot go on."""


# whatever training minimises, the validation loss is the mean squared error
LOSSES: dict[str, Loss] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": partial(F.huber_loss, delta=0.1),  # quadratic up to a tenth of the grey range
    "bce": F.binary_cross_entropy,
    # of right halves (N, 1, 28, 14): MSE + (1 - SSIM), SSIM as in Wang et al. 2004
    "mse_ssim": lambda *both: F.mse_loss(*both) + 1 - structural_similarity(*both),
}


def build_optimizer(config: RunConfig, weights: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Return the rule of the gradient step; ``momentum`` is SGD's, or Adam's first beta."""
    adam = {"betas": (config.momentum, 0.999), "fused": True}  # fused: one pass over the weights
    rule, options = {
        "adam": (torch.optim.Adam, adam),
        "adamw": (torch.optim.AdamW, adam),
        "rmsprop": (torch.optim.RMSprop, {}),
        "sgd": (torch.optim.SGD, {"momentum": config.momentum, "fused": True}),
    }[config.optimizer]
    return rule(weights, lr=config.learning_rate, weight_decay=config.weight_decay, **options)


def train_epoch(
    model: nn.Module,
    pairs: Iterable[tuple[Tensor, Tensor]],
    loss_function: Loss,
    optimizer: torch.optim.Optimizer,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Take one gradient step for each batch; return the mean loss over the images seen.

    A batch's loss is taken before its step, so an epoch's mean is that of a moving network. Of
    ``pairs`` of left and right halves, (B, 1, 28, 14) each, ``loss_function`` is the forward pass
    and its loss; ``after_step`` moves what goes with each step: a schedule, an average of weights.
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
        total += F.mse_loss(model(left), right, reduction="sum").item()  # as float64, on any device
        pixels += right.numel()
    return total / pixels


class Trainer:
    """All that changes while a run is trained, so that it can be saved and taken up again."""

    def __init__(self, config: RunConfig, splits: Splits, device: torch.device):
        self.config, self.device = config, device
        self.validation = splits.validation.to(device)
        torch.manual_seed(config.seed)  # weights and dropout; `fit` restores the old state
        self.model = build_model(config.model, config.model_settings).to(device)
        with torch.random.fork_rng():  # a teacher's first weights are drawn, too
            self.train = teach(self.model, splits.train.to(device), config)
        self.flip = config.flip and len(self.train) == len(splits.train)  # or it is done already
        self.order = torch.Generator().manual_seed(config.seed)
        self.optimizer = build_optimizer(config, self.model.parameters())
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
            options = {"factor": config.plateau_factor, "patience": config.plateau_epochs - 1}
            return ReduceLROnPlateau(self.optimizer, **options)
        steps = config.epochs * math.ceil(len(self.train) / config.batch_size)
        options = {"total_steps": steps, "cycle_momentum": False}
        return OneCycleLR(self.optimizer, config.learning_rate, **options)

    def _loss_function(self) -> Loss:
        """Return the forward pass and its loss, in the settings' precision and form."""
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

        A loss that is not finite is a TrainingError.
        """
        start, config = time.perf_counter(), self.config
        epoch, lr = len(self.history) + 1, self.optimizer.param_groups[0]["lr"]
        options = {"given": config.given, "flip": self.flip, "shift": config.shift}
        pairs = batches(self.train, config.batch_size, self.order, **options)
        step = (self.loss_function, self.optimizer, self._after_step)
        train_loss = train_epoch(self.model, pairs, *step)
        val_loss = validation_mse(self.evaluated, self.validation, config.given)
        if not math.isfinite(train_loss + val_loss):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch} (training {train_loss}, validation"
                f" {val_loss}); most likely the learning rate, {lr:g}, is too high: try a tenth"
            )
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(val_loss)
        lowest = min((row["val_loss"] for row in self.history), default=math.inf)
        if config.keep == "last" or val_loss < lowest:
            self.kept = {k: v.detach().clone() for k, v in self.evaluated.state_dict().items()}
        losses = {"train_loss": train_loss, "val_loss": val_loss}
        seconds = round(time.perf_counter() - start, 3)
        self.history.append({"epoch": epoch, **losses, "lr": lr, "seconds": seconds})
        return self.history[-1]

    @property
    def _parts(self) -> dict[str, Any]:
        """What brings its own state."""
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        return parts | ({"averaged": self.averaged} if self.averaged else {})

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on."""
        return {
            "config_hash": self.config.hash(),
            "order": self.order.get_state(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
            "kept": self.kept,
            "history": self.history,
            **{name: part.state_dict() for name, part in self._parts.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where ``state`` was taken; another configuration's is a RuntimeError."""
        if state["config_hash"] != self.config.hash():
            raise RuntimeError(f"it belongs to configuration {state['config_hash']}")
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.order.set_state(state["order"].cpu())
        torch.set_rng_state(state["rng"].cpu())
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())
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
    watch: Callable[[Trainer], None] = lambda trainer: None,
) -> Run:
    """Train as ``config`` says, score the test set once, and return the finished run.

    A finished run of the same configuration is returned as it is; an unfinished one goes on after
    its last whole epoch. The images are loaded if no ``dataset`` is given; run directories lie in
    ``runs_dir``, or where ``HALFGEN_RUNS`` says. Unless ``quiet``, each epoch prints a line;
    ``watch`` is called with the trainer after each: :class:`figures.Watch`, say.

    Raises TrainingError for a loss that is not finite, RunError for a run directory that is damaged
    or in use, DataError where the images cannot be had, and ValueError if there is no such device
    or fewer training images than asked for.
    """
    say = (lambda *_, **__: None) if quiet else partial(print, flush=True)
    run = Run((runs_dir or default_runs_dir()) / config.run_id)
    if run.is_finished:
        say(f"{run.run_id} is finished already and is used as it is")
        return run
    device = choose_device(config.device)
    hint = "; no GPU was found: that is fine, it only takes longer" if device.type == "cpu" else ""
    say(f"training on {device_name(device)}{hint}")
    if config.precision == "bfloat16" and not bfloat16_pays(device):
        say("bfloat16 is slow here, for want of such instructions: try precision float32")
    dataset = dataset or load(config.data)
    splits = split(dataset, config.split, train_size=config.train_size)
    with run.locked(), torch.random.fork_rng():
        if run.is_finished:  # by another process, since we looked
            return run
        trainer = Trainer(config, splits, device)
        begin(run, trainer, dataset, say)
        with truthful(run, trainer, say):
            tell = countdown([1] * (config.epochs - len(trainer.history)))
            while len(trainer.history) < config.epochs:
                say(_line(trainer.run_epoch(), config), tell(), sep="; ")
                save_epoch(run, trainer)
                watch(trainer)
            finish(run, trainer, splits.test)
    return run


def _line(row: dict[str, float], config: RunConfig) -> str:
    """Return a line of the history in words, and whose it is: several runs may train at a time."""
    losses = f"train {row['train_loss']:.4f}  validation {row['val_loss']:.4f}"
    numbers = f"epoch {row['epoch']:>3}/{config.epochs}  {losses}  lr {row['lr']:.2g}"
    return f"{numbers}  {row['seconds']:.1f} s  ({config.variant} seed {config.seed})"
