"""The table of methods, on a tenth of the sample."""

import json

import pytest
import torch
from pydantic import BaseModel

from halfgen_lib.analysis import classifier, generative
from halfgen_lib.analysis.baselines import Donor, Mirror, TrainMean
from halfgen_lib.data import halves, split, to_unit
from halfgen_lib.runs.record import decode_errors

IMAGES = 30


def as_published(values):
    """The values as they are read again: plain, without NaN."""
    return json.loads(json.dumps(values, allow_nan=False, default=BaseModel.model_dump))


class Truth:
    """Knows the answer: draws true right halves, all the same."""

    title = "truth"

    def __init__(self, dataset):
        self.left, self.right = dataset.test.halves()

    def predict(self, left):
        """Look the left halves up."""
        return self.right[torch.cdist(left.flatten(1), self.left.flatten(1)).argmin(1)]

    def sample(self, left, n, generator):
        """Look the left halves up, n times."""
        return self.predict(left).expand(n, *left.shape)


@pytest.fixture(scope="module")
def looking(sample):
    """A classifier for the tests: two epochs on the sample's first images."""
    found, _ = classifier.train_classifier(sample.train, sample.test, epochs=2)
    record = {"sha256": "0"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generative, "load_classifier", lambda: (found, record))
        patch.setattr(generative, "COMPARED", "train mean")
        yield found


@pytest.fixture(scope="module")
def methods(sample):
    train = halves(to_unit(split(sample).train.images))
    known = {kind.title: kind(*train) for kind in (TrainMean, Mirror)}
    return {**known, "donor": Donor(*train, 5), "truth": Truth(sample)}


@pytest.fixture(scope="module")
def made(sample, methods, looking):
    values = generative.generative_analysis(methods, sample, images=IMAGES)
    return as_published(values)


def test_values_say_their_sizes(made):
    assert (made["images"], made["draws"]) == (IMAGES, 19)
    assert made["methods"]["donor"]["mse"]["count"] == IMAGES
    assert {name: row["draws"] for name, row in made["methods"].items()} == {
        "train mean": 1, "mirror": 1, "donor": 19, "truth": 19,
    }  # fmt: skip


def test_the_truth_scores_as_the_true_images(made):
    truth, real = made["methods"]["truth"], made["real"]
    assert truth["mse"]["mean"] == truth["crps"]["mean"] == 0
    for key in ("precision", "recall", "agreement", "seam"):
        assert truth[key] == pytest.approx(real[key])
    assert truth["frechet"]["mean"] == pytest.approx(real["frechet"]["mean"])
    assert real["memorised"]["below"]["mean"] <= 0.04


def test_copies_are_found(made):
    assert made["methods"]["donor"]["memorised"]["below"]["mean"] == 1
    assert made["methods"]["mirror"]["memorised"]["below"]["mean"] < 0.1


def test_a_mean_of_draws_errs_less_and_is_another_set_of_images(made):
    donor = made["methods"]["donor"]
    assert donor["mean"]["count"] == 16
    assert donor["mean"]["mse"]["mean"] < donor["mse"]["mean"]
    assert donor["mean"]["frechet"]["mean"] != donor["frechet"]["mean"]


def test_coverage_is_of_unsettled_pixels(made):
    assert 0 < made["unsettled"] < 1
    for method in ("donor", "truth"):
        half, most = (made["methods"][method]["coverage"][level] for level in ("0.5", "0.9"))
        assert 0 < half["unsettled"]["mean"] < most["unsettled"]["mean"] <= 1
    truth = made["methods"]["truth"]["coverage"]  # everything ties: the level, by construction
    found = [truth[level]["unsettled"]["mean"] for level in truth]
    assert found == pytest.approx([0.5, 0.9], abs=0.02)


def test_unsettled_pixels_differ_between_near_images(sample, generator):
    left, right = sample.train.halves()
    right = right.clone()
    right[..., :7] = 0
    found = generative.unsettled(left[:10], left, right).reshape(10, 28, 14)
    assert not found[..., :7].any() and found[..., 7:].any()


def test_the_same_again(made, sample, methods, looking):
    values = generative.generative_analysis({"donor": methods["donor"]}, sample, images=IMAGES)
    again = as_published(values)
    row = made["methods"]["donor"]
    assert again["methods"]["donor"] == {k: v for k, v in row.items() if "above" not in k}


def test_two_sample_tests_tell_blurred_images_and_not_true_ones(made):
    """The mean image is told at once; the truth, and other true images, by chance alone."""
    told = {name: row["two_sample"]["whole"] for name, row in made["methods"].items()}
    assert told["train mean"]["mean"] > 0.9
    for found in (told["truth"], made["real"]["two_sample"]["whole"]):
        assert found["low"] < 0.55 and found["mean"] < 0.75
    assert made["methods"]["mirror"]["two_sample"]["right"]["count"] == IMAGES


def test_shares_of_black_pixels_are_those_of_the_images(made, sample):
    right = sample.test.halves()[1]
    assert made["real"]["black"]["mean"] == pytest.approx(
        (right == 0).double().mean().item(), abs=0.05
    )
    assert made["methods"]["truth"]["black"] == made["real"]["black"]
    assert made["methods"]["train mean"]["black"]["mean"] < made["real"]["black"]["mean"]


def test_methods_are_compared_image_by_image(made, methods, sample):
    rows, errors = made["methods"], made["errors"]
    least = decode_errors(errors["mirror"]) - decode_errors(errors["train mean"])
    assert rows["mirror"]["above"]["mean"] == pytest.approx(least.mean(), abs=1e-4)
    assert "above" not in rows["train mean"]
    assert made["realism"]["lowest"] == "truth"
    above = made["realism"]["above"]["donor"]
    distance = rows["donor"]["frechet"]["mean"] - rows["truth"]["frechet"]["mean"]
    assert above["low"] < above["mean"] < above["high"]
    assert above["mean"] == pytest.approx(distance, rel=0.5)


def test_a_bad_size_is_refused(sample, methods, looking):
    with pytest.raises(ValueError, match="images is 51, allowed: 10 to 50"):
        generative.generative_analysis(methods, sample, images=51)
