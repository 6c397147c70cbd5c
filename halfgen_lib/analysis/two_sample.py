"""A two-sample test: how well a network learns to tell completed images from true ones.

It is trained on some images and judged on others; what it finds is there (Lopez-Paz and Oquab 2017,
classifier two-sample tests). It sees what distances of features do not: grain, edges, the ground.
Its share of right answers depends on a threshold, the area under the ROC curve does not: 0.5 is
guessing, 1 is never wrong. A better network might see more, so it is no upper limit of realism.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from ..data import HALF_WIDTH, Images, to_grey, to_unit
from ..evaluation import Interval
from .classifier import Classifier, train_classifier

EPOCHS = 6
RESAMPLES = 500
TRUE, COMPLETED = 0, 1  # the labels


def auc(true: np.ndarray, completed: np.ndarray) -> Interval:
    """Return the area under the ROC curve of scores, (N,) and (M,), and its 95 % interval.

    It is the probability that a completed image's score is above a true one's, ties half (Hanley
    and McNeil 1982). Both sets are resampled; the network that gave the scores is not trained anew.
    """

    def area(low: np.ndarray, high: np.ndarray) -> float:
        return stats.mannwhitneyu(high, low).statistic / (len(low) * len(high))

    options = {"n_resamples": RESAMPLES, "method": "percentile", "vectorized": False, "rng": 0}
    found = stats.bootstrap((true, completed), area, **options).confidence_interval
    count = min(len(true), len(completed))
    return Interval(mean=area(true, completed), low=found.low, high=found.high, count=count)


def learn(true: Tensor, completed: Tensor) -> Classifier:
    """Train a classifier to tell two sets of as many images, uint8 (N, 1, 28, 28), N >= 10, apart.

    The epoch is the one that does best on a tenth of either that was not learned from.
    """
    held_out, labels = len(true) // 10, torch.tensor([TRUE, COMPLETED])

    def both(part: slice) -> Images:
        images = torch.cat((true[part], completed[part]))
        return Images(images, labels.repeat_interleave(len(images) // 2))

    return train_classifier(both(slice(held_out, None)), both(slice(held_out)), epochs=EPOCHS)[0]


def two_sample_test(
    learned: tuple[Tensor, Tensor], judged: tuple[Tensor, Tensor]
) -> dict[str, Interval]:
    """Learn on one pair of sets (true, completed) and return the AUC on the other.

    Of whole images in [0, 1], (N, 1, 28, 28), as ``whole``, and with their left half blackened as
    ``right``. No image may be in two of the sets.
    """
    found = {}
    for name, left in (("whole", 0), ("right", HALF_WIDTH)):
        known, asked = (
            [F.pad(to_grey(images)[..., left:], (left, 0)) for images in pair]
            for pair in (learned, judged)
        )
        network = learn(*known)
        with torch.inference_mode():  # how much more completed than true images look
            scores = [network(to_unit(images)).double() for images in asked]
        found[name] = auc(*((own[:, COMPLETED] - own[:, TRUE]).numpy() for own in scores))
    return found
