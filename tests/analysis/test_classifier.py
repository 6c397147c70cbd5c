"""The classifier learns, repeats itself, and only the recorded weights are used."""

import hashlib

import pytest
import torch

from halfgen_lib.analysis import classifier
from halfgen_lib.cli import main
from halfgen_lib.files import read_json
from halfgen_lib.runs import RunError
from halfgen_lib.runs.published import networks_dir
from halfgen_lib.runs.record import results_path


@pytest.fixture(autouse=True)
def networks(tmp_path, monkeypatch):
    monkeypatch.setenv("HALFGEN_NETWORKS", str(tmp_path / "networks"))


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


def test_publish_and_load(sample, monkeypatch):
    monkeypatch.setattr(classifier, "load", lambda _: sample)
    record = classifier.publish_classifier()
    network, loaded = classifier.load_classifier()
    assert loaded == record
    assert loaded["origin"]["data_sha256"] == sample.sha256 and not network.training
    reached = classifier.accuracy(network, sample.test).double().mean().item()
    assert reached == pytest.approx(record["test_accuracy"]["whole"]["mean"])
    path = networks_dir() / classifier.NAME / "model.safetensors"
    assert path.stat().st_size < 1_000_000
    assert loaded["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    card = path.with_name("README.md").read_text(encoding="utf-8")
    assert loaded["sha256"] in card and f"{record['test_accuracy']['whole']['mean']:.1%} of" in card

    for changed in (path, path.with_name("record.json")):
        content = bytearray(changed.read_bytes())
        content[-1] ^= 1
        changed.write_bytes(content)
        with pytest.raises(RunError, match=r"has SHA-256 .* recorded is .*halfgen class"):
            classifier.load_classifier()
        content[-1] ^= 1
        changed.write_bytes(content)


def test_the_command_publishes(sample, monkeypatch, capsys):
    monkeypatch.setattr(classifier, "load", lambda _: sample)
    assert main(["classifier"]) == 0
    lines = capsys.readouterr().out.splitlines()
    reached = classifier.load_classifier()[1]["test_accuracy"]["whole"]["mean"]
    assert f"test accuracy: {reached:.4f}" in lines
    assert lines[-1] == str(networks_dir() / "classifier")


def test_missing_or_damaged_weights_say_what_to_do():
    with pytest.raises(RunError, match=r"is missing.*`halfgen classifier` trains"):
        classifier.load_classifier()
    manifest = networks_dir() / classifier.NAME / "manifest.json"
    manifest.parent.mkdir(parents=True)
    for text in ("{", "[]", "{}", "1", '{"model.safetensors": "0"}'):
        manifest.write_text(text)
        with pytest.raises(RunError, match=r"cannot be read|is missing"):
            classifier.load_classifier()


def test_no_epochs_are_refused(few):
    with pytest.raises(ValueError, match="positive integer total_steps"):
        classifier.train_classifier(*few, epochs=0)


def test_the_published_classifier_is_good_enough(monkeypatch):
    monkeypatch.delenv("HALFGEN_NETWORKS")
    record = classifier.load_classifier()[1]
    assert read_json(results_path("generative"))["classifiers"]["whole"] == record["sha256"]
    reached = record["test_accuracy"]["whole"]
    assert record["data"] == "full" and reached["count"] == 10_000 and reached["mean"] >= 0.91
