"""An error in as few seconds as possible: recipes of our own beside the seed's.

Schedule, optimizer, batch size, learning rate, number of images and LeakyReLU's slope are free
here; the network's layers are the seed's. All were chosen on the validation images alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from halfgen_lib.config import RunConfig
from halfgen_lib.data import Dataset, split
from halfgen_lib.evaluation import SEED_REPORT_MSE
from halfgen_lib.progress import steps
from halfgen_lib.training import Trainer

from .contenders import Contender, plain
from .machine import spread, timed
from .muon import Muon

Values = dict[str, Any]


@dataclass(frozen=True)
class Race:
    """A speedrun beside a recipe in the plain loop, to the same validation error.

    Attributes:
        rival: a name in ``plain_loop.RECIPES``.
        mse: the validation error, reached if it is this or less at four digits.
        speedrun: settings of :class:`RunConfig` and, as ``muon``, of :class:`Muon`;
            None: the library's own optimizer.
    """

    rival: str
    mse: float
    speedrun: Values


# a short run has to forget faster: Adam's second beta is 0.999 else
_MUON = {"learning_rate": 2e-3, "betas": (0.8, 0.97), "kernel_rate": 0.08, "momentum": 0.8}
_FAST = {
    "schedule": "one_cycle",
    "precision": "bfloat16",
    "model_settings": {"negative_slope": 0.2},
    "muon": _MUON,
}
# what each ingredient gives: the settings with the default in its place
ABLATION: dict[str, Values] = {
    "all of it": {},
    "Adam for all weights": {"muon": None, "learning_rate": 4e-3, "momentum": 0.8},
    "Adam's betas 0.9 and 0.999": {"muon": _MUON | {"betas": (0.9, 0.999)}},
    "a constant learning rate": {"schedule": "plateau"},
    "batch size 512": {"batch_size": 512},
    "float32": {"precision": "float32"},
    "slope 0.01": {"model_settings": {}},
    "slope 1, as published": {"model_settings": {"negative_slope": 1.0}},
    "no batch normalisation": {"model_settings": {"negative_slope": 0.2, "batch_norm": False}},
}
_SEED = _FAST | {"epochs": 1, "train_size": 8_000, "batch_size": 64}
_TEXT = _FAST | {"epochs": 2, "train_size": 50_000, "batch_size": 256}
RACES = {
    # where the seed's report ends, beside its public code
    "seed": Race("published", SEED_REPORT_MSE, _SEED),
    # where the recipe of the seed's text ends after 20 epochs: 0.0214, 0.0211, 0.0213 in study.json
    "text": Race("default", 0.0213, _TEXT),
}


def run_race(
    race: Race, epoch_limit: int, dataset: Dataset, device: torch.device, say: Callable[[str], None]
) -> Values:
    """Measure the seconds from the first step to a validation error.

    The rival is trained once, and after each of its epochs a whole speedrun with a seed of its own,
    so that both see the same machine. Validation counts, and so does whatever is compiled; loading
    the images and building the networks do not. The published recipe validates on the test images,
    as it is published; all others hold out 10,000.

    Args:
        race: who runs, and how far.
        epoch_limit: epochs after which the rival is given up.
        dataset: the images.
        device: where to compute.
        say: told what is being done.

    Returns:
        ``mse`` and ``recipe``: the race's error and rival; ``rival``: as :func:`run_to_target`;
        ``speedrun``: its settings, ``seconds``, ``val_mse`` and how many of its ``runs``
        ``reached`` the error; ``times_faster``: None unless all did; ``ablation``.
    """
    from .plain_loop import RECIPES  # its torchvision is no part of our memory

    speedruns: list[Values] = []

    def then_a_speedrun(row: Values) -> None:
        speedruns.append(speedrun(race, dataset, device, seed=len(speedruns)))
        say(
            f"{race.rival} recipe, epoch {row['epoch']}/{epoch_limit} at most:"
            f" {row['val_loss']:.4f}; speedrun: {speedruns[-1]['val_mse']:.4f}"
            f" in {speedruns[-1]['seconds']:.1f} s"
        )

    rival = plain(split(dataset, RECIPES[race.rival].split), device, race.rival)
    slow = run_to_target(rival, race.mse, epoch_limit, device, then_a_speedrun)
    seconds = spread([run["seconds"] for run in speedruns])
    reached = sum(run["reached"] for run in speedruns)
    all_did = slow["reached"] and reached == len(speedruns)
    return {
        "mse": race.mse,
        "recipe": race.rival,
        "rival": slow,
        "speedrun": {
            "settings": race.speedrun,
            "runs": len(speedruns),
            "reached": reached,
            "seconds": seconds,
            "val_mse": spread([run["val_mse"] for run in speedruns]),
        },
        "times_faster": slow["seconds"] / seconds["median"] if all_did else None,
        "ablation": {
            name: {"changes": ABLATION[name], **values}
            for name, values in steps(
                {n: partial(speedrun, race, dataset, device, **c) for n, c in ABLATION.items()}
            )
        },
    }


def run_to_target(
    contender: Contender,
    mse: float,
    epoch_limit: int,
    device: torch.device,
    after_epoch: Callable[[Values], None] = lambda row: None,
) -> Values:
    """Train until the validation error is ``mse`` or less.

    Returns:
        ``seconds`` spent in ``epochs`` epochs, the last ``val_mse``, and whether it ``reached`` it.
    """
    seconds, epoch, reached = 0.0, 0, False
    while epoch < epoch_limit and not reached:
        epoch += 1
        spent, row = timed(contender.run_epoch, device)
        seconds += spent
        after_epoch(row)
        reached = round(row["val_loss"], 4) <= mse  # as the seed reports it
    return {"seconds": seconds, "epochs": epoch, "val_mse": row["val_loss"], "reached": reached}


def speedrun(race: Race, dataset: Dataset, device: torch.device, **changes: Any) -> Values:
    """Train once as ``race.speedrun`` says, changed by ``changes``: :func:`run_to_target` of it."""
    settings = race.speedrun | changes
    muon = settings.pop("muon")
    settings["train_size"] = min(settings["train_size"], len(split(dataset, "holdout").train))
    with torch.random.fork_rng():
        splits = split(dataset, "holdout", train_size=settings["train_size"])
        trainer = Trainer(RunConfig(**settings), splits, device)
        if muon:
            trainer.optimizer = Muon(trainer.model, **muon)
        if muon and settings["schedule"] == "one_cycle":
            trainer.scheduler = trainer.optimizer.one_cycle(trainer.scheduler.total_steps)
        contender = Contender(trainer.run_epoch, trainer.model)
        return run_to_target(contender, race.mse, settings["epochs"], device)
