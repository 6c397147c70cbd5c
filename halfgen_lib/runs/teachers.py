"""Networks that teach another one: what they make of its training images is what it aims at."""

from dataclasses import replace
from itertools import product

import torch

from ..config import RunConfig
from ..data import Images, join, to_grey
from ..models.base import Completer
from . import Run, find_run
from .published import published_runs


def teachers(config: RunConfig) -> list[Run]:
    """Return the finished or published runs that teach a run with these settings.

    ValueError if one saw images that validate here, or other halves of them.
    """
    published = {run.config.run_id: run for run in published_runs().values()}
    runs = [published.get(name) or find_run(name) for name in config.teacher.split("+")]
    for teacher, name in product([run.config for run in runs], ("data", "split", "given")):
        its, own = getattr(teacher, name), getattr(config, name)
        if its != own:
            raise ValueError(f"teacher {teacher.run_id} has {name} = {its!r}; here it is {own!r}")
    return runs


def taught(images: Images, config: RunConfig) -> Images:
    """Return training images with what the teachers make of them for unknown halves.

    A smaller network learns more from a larger one's answers, which have less noise than the truth
    (Hinton et al. 2015); of several teachers, from the mean of theirs. They are rounded to 256 grey
    values, as images are. With ``flip`` the mirrored images are completed, too, and follow the
    others: no teacher has learned these by heart.
    """
    runs = teachers(config)
    if config.flip:
        both = torch.cat((images.images, images.images.flip(-1)))
        images = Images(both, images.labels.repeat(2))
    left, _ = images.halves(config.given)
    mean = sum(run.model().to(left.device).predict(left) for run in runs) / len(runs)
    return replace(images, images=to_grey(join(left, mean, config.given)))


def teach(model: Completer, images: Images, config: RunConfig) -> Images:
    """Return the images that a network with these settings learns from: `taught`, or the truth.

    One that draws around a mean learns from the truth, and takes its teacher's network as the mean.
    """
    if not config.teacher:
        return images
    if not hasattr(model, "take_mean"):
        return taught(images, config)
    if len(runs := teachers(config)) > 1:
        raise ValueError(
            f"teacher names {len(runs)} runs; the mean of {config.model} is one network"
        )
    model.take_mean(runs[0].model())
    return images
