import errno
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial

import pytest
import torch
from conftest import SMALL
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from halfgen_lib import training
from halfgen_lib.config import RunConfig
from halfgen_lib.data import Splits, batches, split
from halfgen_lib.files import write_atomic
from halfgen_lib.models import build_model
from halfgen_lib.runs import Run, RunError, choose_run, find_run
from halfgen_lib.training import LOSSES, Trainer, TrainingError, choose_device, fit


def weights(run, name="model"):
    return (run.directory / f"{name}.safetensors").read_bytes()


def losses(run):
    """The history's text without its last column, the seconds."""
    lines = (run.directory / "history.csv").read_text().splitlines()
    return [line.rsplit(",", 1)[0] for line in lines]


def test_one_batch_can_be_learned_by_heart(sample):
    """A network that trains at all drives the error of a few images near zero."""
    images = sample.train.select(torch.arange(16))
    left, right = images.halves()
    torch.manual_seed(0)
    model = build_model("cae", {})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_function = partial(model.loss, criterion=LOSSES["mse"])
    before = training.validation_mse(model, images, "left")
    for _ in range(80):
        loss = training.train_epoch(model, [(left, right)], loss_function, optimizer)
    assert loss < 0.01 < 0.05 < before


def test_validation_mse_is_the_mean_over_all_pixels(sample):
    model = build_model("cae", {"features": [4], "hidden_dim": 8, "latent_dim": 2})
    left, right = sample.test.halves()
    expected = (model.predict(left) - right).square().mean().item()
    assert training.validation_mse(model, sample.test, "left") == pytest.approx(expected, rel=1e-5)


def test_a_run_is_whole(tiny_config, sample):
    run = fit(tiny_config(), sample, quiet=True)
    assert run.is_finished and not (run.directory / "resume.pt").exists()
    record = run.record
    assert record["identity"] == run.config.identity() and run.config == tiny_config()
    assert record["data_sha256"] == sample.sha256 and record["versions"]["torch"]
    assert len(run.history["epoch"]) == 2
    assert len(run.scores["mse"]) == len(sample.test)
    overall = run.metrics["overall"]["mse"]
    assert overall["mean"] == pytest.approx(run.scores["mse"].mean(), rel=1e-5)
    left, right = sample.test.halves()
    again = (run.model().predict(left) - right).square().mean().item()
    assert again == pytest.approx(overall["mean"], rel=1e-5)


def test_same_seed_same_bytes_other_seed_other_bytes(tiny_config, sample, tmp_path):
    first, second = (fit(tiny_config(), sample, runs_dir=tmp_path / d, quiet=True) for d in "ab")
    assert losses(first) == losses(second)
    assert weights(first) == weights(second) and weights(first, "last") == weights(second, "last")
    other = fit(tiny_config(seed=1), sample, quiet=True)
    assert losses(other) != losses(first)


def test_the_outside_random_state_neither_matters_nor_changes(tiny_config, sample, tmp_path):
    torch.manual_seed(123)
    expected = torch.rand(1)
    torch.manual_seed(123)
    first = fit(tiny_config(epochs=1), sample, runs_dir=tmp_path / "a", quiet=True)
    assert torch.equal(torch.rand(1), expected)
    second = fit(tiny_config(epochs=1), sample, runs_dir=tmp_path / "b", quiet=True)
    assert losses(first) == losses(second)


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    tiny_config, sample, tmp_path, monkeypatch, capsys, stop_after
):
    config = tiny_config(epochs=3, plateau_epochs=1)
    whole = fit(config, sample, runs_dir=tmp_path / "whole", quiet=True)
    original, calls = training.save_epoch, []

    def save_and_stop(run, trainer):
        original(run, trainer)
        calls.append(1)
        if len(calls) == stop_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "save_epoch", save_and_stop)
        fit(config, sample)
    halted = Run(whole.directory.parent.parent / "runs" / config.run_id)
    assert halted.status["state"] == "interrupted" and halted.status["epoch"] == stop_after
    with pytest.raises(RunError, match="interrupted, not finished"):
        find_run(config.run_id)
    resumed = fit(config, sample)
    assert f"resuming {config.run_id} after epoch {stop_after} of 3" in capsys.readouterr().out
    assert losses(resumed) == losses(whole)
    assert weights(resumed) == weights(whole) and weights(resumed, "last") == weights(whole, "last")


def test_a_finished_run_is_used_as_it_is(tiny_config, sample, capsys):
    run = fit(tiny_config(epochs=1), sample, quiet=True)
    before = {path.name: path.stat().st_mtime_ns for path in run.directory.iterdir()}
    fit(tiny_config(epochs=1), sample)
    assert "finished already" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in run.directory.iterdir()} == before


def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_the_cause(tiny_config, sample):
    config = tiny_config(learning_rate=10.0, model_settings={"batch_norm": False})
    trainer = Trainer(config, Splits(sample.train, sample.test, sample.test), torch.device("cpu"))
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"epoch 1 .*learning rate, 10, is too high"):
        trainer.run_epoch()


def test_a_failed_run_says_so(tiny_config, sample, monkeypatch):
    monkeypatch.setattr(training, "validation_mse", lambda *_: float("nan"))
    with pytest.raises(TrainingError):
        fit(tiny_config(), sample, quiet=True)
    run = Run(training.default_runs_dir() / tiny_config().run_id)
    assert run.status["state"] == "failed" and "not finite" in run.status["message"]


def test_the_learning_rate_falls_after_two_epochs_without_progress(
    tiny_config, sample, monkeypatch
):
    val_losses = iter([0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.39])
    monkeypatch.setattr(training, "validation_mse", lambda *_: next(val_losses))
    run = fit(tiny_config(epochs=7, train_size=20), sample, quiet=True)
    halvings = [1, 1, 1, 1, 0.5, 0.5, 0.25]  # epochs 3 and 4 are bad, so 5 is slower; 5 and 6 too
    assert run.history["lr"].tolist() == [1e-3 * factor for factor in halvings]
    assert run.best_epoch == 7


def test_a_checkpoint_that_cannot_be_used_is_named_and_kept(tiny_config, sample):
    config = tiny_config()
    run = Run(training.default_runs_dir() / config.run_id)
    run.directory.mkdir(parents=True)
    resume = run.directory / "resume.pt"
    resume.write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match=r"resume\.pt"):
        fit(config, sample, quiet=True)
    assert resume.read_bytes() == b"not a checkpoint"
    other = Trainer(
        tiny_config(seed=5), Splits(sample.train, sample.test, sample.test), torch.device("cpu")
    )
    torch.save(other.state(), resume)
    with pytest.raises(RunError, match="belongs to configuration"):
        fit(config, sample, quiet=True)


def test_two_processes_cannot_train_one_run(tiny_config, sample):
    config = tiny_config()
    directory = training.default_runs_dir() / config.run_id
    code = (
        "import sys, pathlib; from halfgen_lib.runs import Run\n"
        "with Run(pathlib.Path(sys.argv[1])).locked(): print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(directory)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"by process {holder.pid}"):
            fit(config, sample, quiet=True)
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert fit(config, sample, quiet=True).is_finished  # the dead process's lock is gone with it


def test_progress_is_a_line_an_epoch(tiny_config, sample, capsys):
    fit(tiny_config(epochs=2), sample)
    out = capsys.readouterr().out
    first, last = (line for line in out.splitlines() if line.startswith("epoch "))
    assert (
        first.startswith("epoch   1/2  train 0.") and "(default seed 0); 1 left, about 0:" in first
    )
    assert re.search(r", until \w+ \d\d:\d\d$", first) and last.endswith("; 0 left")
    assert "training on" in out


@pytest.mark.parametrize(("precision", "pays"), [("float32", 0), ("bfloat16", 0), ("bfloat16", 1)])
def test_slow_arithmetic_is_told_of_before_it_is_used(
    precision, pays, tiny_config, sample, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("halfgen_lib.training.bfloat16_pays", lambda device: pays)
    fit(tiny_config(epochs=1, precision=precision), sample, runs_dir=tmp_path)
    told = "bfloat16 is slow here" in capsys.readouterr().out
    assert told == (precision == "bfloat16" and not pays)


def test_a_folder_that_has_no_locks_is_not_a_run_in_use(tiny_config, sample, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(RunError, match=r"cannot be locked: No locks available; .*HALFGEN_RUNS"):
        fit(tiny_config(), sample, quiet=True)


def test_the_device_is_checked():
    assert choose_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device 'cuda' is not there; this machine has: "):
            choose_device("cuda")


def test_runs_are_found_by_name_and_as_the_current_one(tiny_config, sample):
    with pytest.raises(RunError, match="no run was trained yet"):
        find_run()
    with pytest.raises(RunError, match=r"cae-default-seed0-0000000000 is not in .*; train it"):
        find_run("cae-default-seed0-0000000000")
    run = fit(tiny_config(epochs=1), sample, quiet=True)
    choose_run(run)
    assert find_run() == find_run(run.run_id) == run
    (run.directory / "status.json").write_text('{"state": "running"}')
    with pytest.raises(RunError, match="running, not finished"):
        find_run()
    (run.directory / "status.json").write_text("{")
    with pytest.raises(RunError, match=r"status\.json cannot be read"):
        find_run()
    with pytest.raises(RunError, match=f"did you mean '{run.run_id}'"):
        find_run(run.run_id + "0")
    shutil.rmtree(run.directory)
    with pytest.raises(
        RunError, match=f"{run.run_id} was the last one trained, but is no longer in"
    ):
        find_run()


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_flip_trains_on_mirrored_images_too(sample):
    images = sample.train
    plain = torch.cat([torch.cat(p, 3) for p in batches(images, 50, torch.Generator())])
    flipped = torch.cat(
        [torch.cat(p, 3) for p in batches(images, 50, torch.Generator(), flip=True)]
    )
    same = (plain == flipped).flatten(1).all(1)
    mirrored = (plain.flip(3) == flipped).flatten(1).all(1)
    assert (same | mirrored).all() and 60 < mirrored.sum() < 140


def test_config_json_can_be_read_by_anyone(tiny_config, sample):
    run = fit(tiny_config(epochs=1), sample, quiet=True)
    for name in ("config.json", "metrics.json", "status.json"):
        json.loads((run.directory / name).read_text())


class NoFloat64(TorchDispatchMode):
    """Refuse what Apple's GPUs cannot do: numbers of double precision."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for each in tree_leaves(found):
            assert getattr(each, "dtype", None) != torch.float64, function
        return found


@pytest.mark.parametrize("model", SMALL)
def test_an_epoch_needs_no_numbers_that_a_gpu_may_lack(model, sample):
    settings = {"data": "sample", "schedule": "one_cycle", "ema": 0.9, "flip": True, "shift": 1}
    config = RunConfig(model=model, model_settings=SMALL[model], **settings)
    trainer = Trainer(config, split(sample), torch.device("cpu"))
    with NoFloat64():
        trainer.run_epoch()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_least_for_the_truth_and_trains(loss, tiny_config, sample):
    _, right = sample.train.halves()
    assert LOSSES[loss](right, right) < LOSSES[loss]((right + 0.2).clamp(0, 1), right)
    run = fit(tiny_config(loss=loss, epochs=3), sample, quiet=True)
    assert run.history["train_loss"][-1] < run.history["train_loss"][0]


OTHER_SETTINGS = [
    {"optimizer": "adamw", "weight_decay": 0.1},
    {"optimizer": "rmsprop"},
    {"optimizer": "sgd", "momentum": 0.5, "learning_rate": 0.1},
    {"schedule": "one_cycle", "ema": 0.9, "keep": "last"},
    {"flip": True, "shift": 2},
    {"precision": "bfloat16"},
    *({"model": name, "model_settings": SMALL[name]} for name in SMALL if name != "cae"),
]


@pytest.mark.parametrize("settings", OTHER_SETTINGS, ids=str)
def test_a_run_of_any_kind_trains_and_resumes(settings, tiny_config, sample, monkeypatch, tmp_path):
    config = tiny_config(**({"learning_rate": 3e-3, "epochs": 3} | settings))
    whole = fit(config, sample, runs_dir=tmp_path / "whole", quiet=True)
    assert whole.history["train_loss"][-1] < whole.history["train_loss"][0]
    original = training.save_epoch

    def stop(run, trainer):
        original(run, trainer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "save_epoch", stop)
        fit(config, sample, quiet=True)
    resumed = fit(config, sample, quiet=True)
    assert weights(resumed, "last") == weights(whole, "last")
    if config.keep == "last":
        assert weights(resumed) == weights(whole, "last") and resumed.kept_epoch == 3


def test_a_moving_average_is_what_is_validated_and_kept(tiny_config, sample):
    """After each step the average moves by 1 - d towards the weights; d grows to its value."""
    config = tiny_config(ema=0.3, epochs=1, batch_size=20)
    trainer = Trainer(config, split(sample), torch.device("cpu"))
    seen, original = [], trainer.averaged.update_parameters

    def update(model):
        seen.append(next(model.parameters()).detach().clone())
        original(model)

    trainer.averaged.update_parameters = update
    row = trainer.run_epoch()
    expected = seen[0]
    for count, weight in enumerate(seen[1:], 1):
        decay = min(0.3, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * weight
    assert len(seen) > 1 and not torch.equal(expected, seen[-1])
    assert torch.allclose(next(trainer.evaluated.parameters()), expected, atol=1e-6)
    assert row["val_loss"] == training.validation_mse(
        trainer.averaged.module, trainer.validation, "left"
    )
    name = next(iter(trainer.kept))
    assert torch.allclose(trainer.kept[name], expected, atol=1e-6)


def test_one_cycle_rises_to_the_learning_rate_and_falls_to_nothing(tiny_config, sample):
    config = tiny_config(schedule="one_cycle", epochs=4, batch_size=20, learning_rate=2e-3)
    trainer = Trainer(config, split(sample), torch.device("cpu"))
    rates, original = [], trainer._after_step

    def after_step():
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        original()

    trainer._after_step = after_step
    for _ in range(config.epochs):
        trainer.run_epoch()
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(2e-3, rel=0.05) and rates[-1] < 1e-6
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_a_run_that_another_process_finishes_meanwhile_is_used(tiny_config, sample, monkeypatch):
    config = tiny_config()

    with monkeypatch.context() as patch:

        def finished_meanwhile(*arguments, **options):
            patch.undo()
            fit(config, sample, quiet=True)
            patch.setattr(training, "Trainer", None)  # a second training would fail
            return split(*arguments, **options)

        patch.setattr(training, "split", finished_meanwhile)
        assert fit(config, sample, quiet=True).is_finished
