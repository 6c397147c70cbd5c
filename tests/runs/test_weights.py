import json
import re
import shutil

import pytest
import torch

from halfgen_lib import cli
from halfgen_lib.config import RunConfig
from halfgen_lib.runs import Run, RunError, sealed, weights
from halfgen_lib.runs.weights import (
    WeightsError,
    load_weights,
    publish_weights,
    published_weights,
    weights_dir,
)
from halfgen_lib.training import fit


@pytest.fixture(scope="module")
def run(tiny_config, sample, tmp_path_factory):
    return fit(tiny_config(epochs=1), sample, runs_dir=tmp_path_factory.mktemp("runs"), quiet=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HALFGEN_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_what_is_published_is_what_the_run_trained(run, folder, sample):
    path = publish_weights(run, "small")
    assert path == folder / "small.safetensors" and weights_dir() == folder
    left, _ = sample.test.halves()
    model = load_weights("small")
    assert torch.allclose(model.predict(left), run.model().predict(left), atol=2e-3)
    trained = run.model().state_dict()
    for key, values in model.state_dict().items():
        rounded = trained[key].half() if values.is_floating_point() else trained[key]
        assert torch.equal(values, rounded.to(trained[key])) and values.dtype == trained[key].dtype
    assert path.stat().st_size < 0.6 * (run.directory / "model.safetensors").stat().st_size
    assert not model.training
    entry = published_weights()["small"]
    assert entry.run_id == run.run_id and entry.record.identity == run.record["identity"]
    assert entry.record.test.mse.mean == pytest.approx(run.metrics["overall"]["mse"]["mean"], 1e-4)
    assert entry.record.origin.git_commit == run.record["git_commit"]
    assert sorted(f.name for f in folder.iterdir()) == ["small.json", "small.safetensors"]


def test_names_stand_side_by_side_and_can_be_replaced(run, folder):
    for name in ("b", "a", "b"):
        publish_weights(run, name)
    assert list(published_weights()) == ["a", "b"]
    sealed.write_sealed("classifier", b"something else", {"test_accuracy": 0.9})
    assert list(published_weights()) == ["a", "b"]


def test_a_changed_file_is_refused(run, folder):
    path = publish_weights(run, "small")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"small\.safetensors is not the file .* it has SHA-256"):
        load_weights("small")
    path.unlink()
    with pytest.raises(WeightsError, match=r"is missing; restore it .*halfgen publish RUN_ID --as"):
        load_weights("small")


def test_an_unknown_name_lists_the_known_ones(run, folder):
    with pytest.raises(WeightsError, match=r"no weights are published in .*halfgen train"):
        load_weights("small")
    publish_weights(run, "small")
    with pytest.raises(ValueError, match=r"weights 'smal' is not known; .*'small'\? Known: small"):
        load_weights("smal")


def test_a_file_without_a_record_is_not_loaded(run, folder):
    publish_weights(run, "small")
    shutil.copy(folder / "small.safetensors", folder / "other.safetensors")
    with pytest.raises(ValueError, match="weights 'other' is not known"):
        load_weights("other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"seed": 0', '"seed": 1'), "one was edited|says otherwise"),
        (lambda text: text.replace('"bytes": ', '"bytes": -'), "bytes"),
        (lambda text: text[:-20], "cannot be read"),
        (lambda text: re.sub('"sha256": "[^"]*', '"sha256": "abc', text, count=1), "sha256"),
    ],
)
def test_an_edited_record_is_refused(run, folder, change, message):
    publish_weights(run, "small")
    path = folder / "small.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(WeightsError, match=rf"(?s)small\.json.*({message})"):
        load_weights("small")


def test_a_network_that_does_not_fit_is_refused(run, folder, tmp_path):
    copy = Run(shutil.copytree(run.directory, tmp_path / run.run_id))
    wider = RunConfig(data="sample", epochs=1, model_settings={"latent_dim": 5})
    record = json.loads((copy.directory / "config.json").read_text())
    record |= {"config": wider.model_dump(mode="json"), "identity": wider.identity()}
    (copy.directory / "config.json").write_text(json.dumps(record))
    with pytest.raises(WeightsError, match=r"do not fit the code: .* for ConvAutoencoder"):
        publish_weights(copy, "small")
    (copy.directory / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="weights do not fit the code"):
        publish_weights(copy, "small")
    (copy.directory / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="is missing: train the run again"):
        publish_weights(copy, "small")
    copy.write_status("failed")
    with pytest.raises(RunError, match="is failed, not finished"):
        publish_weights(copy, "small")
    assert not folder.exists()


def test_all_files_together_have_a_limit(run, folder, monkeypatch):
    size = publish_weights(run, "first").stat().st_size
    monkeypatch.setattr(weights, "MAX_BYTES", 2 * size)
    publish_weights(run, "second")
    publish_weights(run, "second")  # in its own place
    with pytest.raises(WeightsError, match=f"third has {size:,} bytes; with the {2 * size:,}"):
        publish_weights(run, "third")
    assert list(published_weights()) == ["first", "second"]


def test_weights_that_half_precision_cannot_hold_are_refused(run, folder, tmp_path):
    copy = Run(shutil.copytree(run.directory, tmp_path / run.run_id))
    state = run.model().state_dict()
    name = next(iter(state))
    state[name][:] = 1e5  # the largest is 65,504
    copy.write_weights("model", state)
    with pytest.raises(WeightsError, match=f"{name} has values that half precision cannot hold"):
        publish_weights(copy, "small")
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "../cae", "CAE", "a.b", "-a", "a" * 51, "a\n"])
def test_names_that_could_not_be_file_names_are_refused(run, folder, name):
    with pytest.raises(ValueError, match="allowed: lower-case letters"):
        publish_weights(run, name)


def test_the_command_line_publishes(run, folder, monkeypatch, capsys):
    monkeypatch.setenv("HALFGEN_RUNS", str(run.directory.parent))
    assert cli.main(["publish", run.run_id, "--as", "small"]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "small.safetensors")
    assert cli.main(["publish", "nothing", "--as", "small"]) == 1
    assert "run nothing is missing" in capsys.readouterr().err
