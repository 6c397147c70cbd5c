"""What one network makes of the training images is what another one aims at."""

import pytest
import torch

from halfgen_lib.data import halves, split, to_unit
from halfgen_lib.models import build_model
from halfgen_lib.runs import RunError
from halfgen_lib.runs.teachers import taught, teach
from halfgen_lib.training import Trainer, fit


@pytest.mark.parametrize("given", ["left", "bottom"])
def test_a_teachers_completions_are_what_training_aims_at(given, tiny_config, sample):
    teacher = fit(tiny_config(epochs=1, given=given), sample, quiet=True)
    config = tiny_config(epochs=1, given=given, seed=1, teacher=teacher.run_id)
    images = split(sample).train
    left, _ = images.halves(given)
    kept, aimed = taught(images, config).halves(given)
    assert torch.equal(kept, left)
    assert (aimed - teacher.model().predict(left)).abs().max() < 0.51 / 255
    model = build_model("mlp", {})
    assert teach(model, images, tiny_config()) is images
    assert torch.equal(teach(model, images, config).images, taught(images, config).images)
    alone = fit(tiny_config(epochs=1, given=given, seed=1), sample, quiet=True)
    assert fit(config, sample, quiet=True).history["train_loss"] != alone.history["train_loss"]
    with pytest.raises(ValueError, match=f"has given = '{given}'; here it is 'top'"):
        taught(images, tiny_config(given="top", teacher=teacher.run_id))
    with pytest.raises(ValueError, match="has split = 'holdout'; here it is 'as_published'"):
        taught(images, tiny_config(given=given, split="as_published", teacher=teacher.run_id))


@pytest.mark.parametrize("given", ["left", "top"])
def test_several_teachers_teach_their_mean_and_mirrored_images_too(given, tiny_config, sample):
    runs = [fit(tiny_config(epochs=1, given=given, seed=s), sample, quiet=True) for s in (0, 1)]
    config = tiny_config(given=given, seed=2, flip=True, teacher="+".join(r.run_id for r in runs))
    images = split(sample).train
    both = taught(images, config)
    assert torch.equal(both.labels, images.labels.repeat(2))
    shown = torch.cat((images.images, images.images.flip(-1)))
    (left, aimed), (own, _) = both.halves(given), halves(to_unit(shown), given)
    mean = torch.stack([run.model().predict(own) for run in runs]).mean(0)
    assert torch.equal(left, own)
    assert (aimed - mean).abs().max() < 0.51 / 255
    # a completed image is not mirrored again: a target would become what is known
    trainer = Trainer(config, split(sample), torch.device("cpu"))
    assert torch.equal(trainer.train.images, both.images)
    seen = []
    trainer.loss_function = lambda left, right: seen.append(left) or trainer.model(left).mean()
    trainer.run_epoch()
    known = {tuple(x.flatten().tolist()) for x in both.halves(given)[0]}
    assert {tuple(x.flatten().tolist()) for x in torch.cat(seen)} == known


def test_a_teacher_without_a_name_is_refused(tiny_config, sample):
    with pytest.raises(RunError, match="run_id = '' names no folder"):
        taught(split(sample).train, tiny_config(teacher="+"))


UNET = {"widths": [4, 8], "patch": 1, "dropout": 0.0, "norm": "batch", "skips": "added"}
FLOW = {"widths": [4, 8], "mean_widths": [4, 8], "spread_widths": [4]}


@pytest.fixture
def predictor(tiny_config, sample):
    """Return a small U-Net, trained."""
    config = tiny_config(model="unet", model_settings=UNET, train_size=100, epochs=1)
    return fit(config, sample, quiet=True)


def flow_of(tiny_config, teacher, **changes):
    settings = {"model": "residual_flow", "train_size": 100, "epochs": 2, "keep": "last"}
    return tiny_config(**settings | {"model_settings": FLOW, "teacher": teacher} | changes)


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}, {"precision": "bfloat16"}], ids=str)
def test_a_residual_flow_draws_around_its_teachers_mean(changes, predictor, tiny_config, sample):
    """The mean is the teacher's to the bit, statistics too, and the rest has learned the truth."""
    left, _ = sample.test.halves()
    run = fit(flow_of(tiny_config, predictor.run_id, **changes), sample, quiet=True)
    model, teacher = run.model(), predictor.model()
    assert torch.equal(model.predict(left), teacher.predict(left))
    assert model.mean_of == 0  # no mean of draws
    own, its = model.mean.state_dict(), teacher.network.state_dict()
    assert all(torch.equal(own[name], its[name]) for name in its)
    assert run.metrics == predictor.metrics
    first = run.history["train_loss"][0]
    assert run.history["train_loss"][1] < first  # of deviation and velocity: the mean is still


def test_a_residual_flow_with_a_teacher_is_resumed(predictor, tiny_config, sample, tmp_path):
    config = flow_of(tiny_config, predictor.run_id)
    whole = fit(config, sample, quiet=True)

    def stop(trainer):
        raise KeyboardInterrupt

    for watch in (stop, lambda trainer: None):
        try:
            halted = fit(config, sample, quiet=True, runs_dir=tmp_path, watch=watch)
        except KeyboardInterrupt:
            continue
    name = "model.safetensors"
    assert (halted.directory / name).read_bytes() == (whole.directory / name).read_bytes()


def test_a_mean_that_does_not_fit_is_refused(predictor, tiny_config, sample):
    other = flow_of(tiny_config, predictor.run_id, model_settings=FLOW | {"mean_widths": [8]})
    why = r"the mean is a U-Net of widths=\(8,\).*a UNetCompleter, of widths="
    with pytest.raises(ValueError, match=why):
        fit(other, sample, quiet=True)
    two = flow_of(tiny_config, f"{predictor.run_id}+{predictor.run_id}")
    with pytest.raises(ValueError, match="teacher names 2 runs; the mean of residual_flow is one"):
        fit(two, sample, quiet=True)


def test_a_residual_flow_with_a_teacher_sees_mirrored_images(predictor, tiny_config, sample):
    trainer = Trainer(
        flow_of(tiny_config, predictor.run_id, flip=True), split(sample), torch.device("cpu")
    )
    assert trainer.flip and torch.equal(trainer.train.images, split(sample).train.images)
