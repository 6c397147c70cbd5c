"""What one network makes of the training images is what another one aims at."""

import pytest
import torch

from halfgen_lib.data import halves, split, to_unit
from halfgen_lib.runs import RunError
from halfgen_lib.runs.teachers import taught
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
    assert taught(images, tiny_config()) is images
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
