"""The classifier learns, repeats itself, and only the recorded weights are used."""

import json

import pytest
import torch

from halfgen_lib.analysis import classifier
from halfgen_lib.cli import main
from halfgen_lib.data import Images
from halfgen_lib.runs import sealed


@pytest.fixture(autouse=True)
def weights_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HALFGEN_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def few(sample):
    return sample.train.select(torch.arange(200)), sample.test


def test_it_learns_and_repeats_itself(few):
    state = torch.get_rng_state()
    first, history = classifier.train_classifier(*few, epochs=12)
    again, _ = classifier.train_classifier(*few, epochs=12)
    assert max(history) > 0.4  # a tenth by chance
    assert torch.equal(torch.get_rng_state(), state)
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    best = classifier.accuracy(first, few[1]).double().mean().item()
    assert best == pytest.approx(max(history))


def test_features_are_what_the_classes_are_read_from(few, generator):
    network = classifier.Classifier().eval()
    images = torch.rand(5, 1, 28, 28, generator=generator)
    features, classes = network.look(images, batch_size=2)
    assert features.shape == (5, classifier.FEATURES) and features.dtype == torch.float64
    assert torch.equal(classes, network.head(features.float()).argmax(1))
    assert [len(part) for part in network.look(images[:0])] == [0, 0]


def test_left_only_keeps_the_left_half():
    images = torch.ones(2, 1, 28, 28)
    shown = classifier.left_only(images)
    assert shown[..., :14].all() and not shown[..., 14:].any() and shown.shape == images.shape
    labels = torch.zeros(2, dtype=torch.int64)
    bright = Images((images * 255).byte(), labels)
    assert len(classifier.accuracy(classifier.Classifier(), bright, half=True)) == 2


def test_publish_and_load(sample, monkeypatch):
    record = classifier.publish_classifier(sample, epochs=1)
    network, loaded = classifier.load_classifier()
    assert loaded["test_accuracy"] == record["test_accuracy"]
    assert set(record["test_accuracy"]) == {"whole", "left_only"}
    assert loaded["origin"]["data_sha256"] == sample.sha256 and not network.training
    reached = classifier.accuracy(network, sample.test).double().mean().item()
    assert reached == pytest.approx(record["test_accuracy"]["whole"]["mean"])
    path = sealed.weights_path(classifier.NAMES[False])
    assert loaded["bytes"] == path.stat().st_size < 1_000_000

    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(sealed.WeightsError, match=r"has SHA-256 .* recorded is .*halfgen class"):
        classifier.load_classifier()


def test_the_two_classifiers_do_not_mix(sample):
    record = classifier.publish_classifier(sample, half=True, epochs=1)
    network, loaded = classifier.load_classifier(half=True)
    assert set(record["test_accuracy"]) == {"left_only"} and loaded["trained_on"] == "left halves"
    reached = classifier.accuracy(network, sample.test, half=True).double().mean().item()
    assert reached == pytest.approx(record["test_accuracy"]["left_only"]["mean"])
    with pytest.raises(sealed.WeightsError, match="is missing"):
        classifier.load_classifier()


def test_the_command_publishes(sample, monkeypatch, capsys):
    monkeypatch.setattr(classifier, "load", lambda _: sample)
    assert main(["classifier", "--half"]) == 0
    lines = capsys.readouterr().out.splitlines()
    _, record = classifier.load_classifier(half=True)
    reached = record["test_accuracy"]["left_only"]["mean"]
    assert f"test accuracy, left only: {reached:.4f}" in lines
    assert lines[-1] == str(sealed.weights_path("classifier-left"))


def test_missing_or_damaged_weights_say_what_to_do():
    with pytest.raises(sealed.WeightsError, match=r"is missing.*`halfgen classifier` trains"):
        classifier.load_classifier()
    with pytest.raises(sealed.WeightsError, match=r"`halfgen classifier --half` trains"):
        classifier.load_classifier(half=True)
    record = sealed.weights_path(classifier.NAMES[False]).with_suffix(".json")
    record.parent.mkdir()
    for text in ("{", "[]", "{}", json.dumps({"sha256": "0"})):
        record.write_text(text)
        with pytest.raises(sealed.WeightsError, match=r"cannot be read|is missing"):
            classifier.load_classifier()


def test_bad_settings_are_refused(few):
    with pytest.raises(ValueError, match="epochs is 0"):
        classifier.train_classifier(*few, epochs=0)
    with pytest.raises(ValueError, match="device 'abacus' is not there"):
        classifier.train_classifier(*few, epochs=1, device="abacus")


def test_the_published_classifiers_are_good_enough(monkeypatch):
    """Whole images tell more of the class than left halves, and those more than chance."""
    monkeypatch.delenv("HALFGEN_WEIGHTS")
    whole, half = (classifier.load_classifier(half)[1] for half in (False, True))
    assert whole["data"] == half["data"] == "full"
    assert whole["test_accuracy"]["whole"]["count"] == 10_000
    reached = half["test_accuracy"]["left_only"]["mean"]
    assert whole["test_accuracy"]["whole"]["mean"] >= 0.91 > reached > 0.8
