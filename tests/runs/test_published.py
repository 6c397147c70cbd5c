"""A published network is a run directory, read only as it was recorded."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SMALL

from halfgen_lib import cli
from halfgen_lib.config import RunConfig
from halfgen_lib.evaluation import score_images
from halfgen_lib.files import project_root, write_json, write_published
from halfgen_lib.models.affine import AffineMap
from halfgen_lib.runs import Run, RunError, choose_run, published
from halfgen_lib.runs.card import card
from halfgen_lib.runs.checkpoint import write_status, write_weights
from halfgen_lib.runs.published import (
    networks_dir,
    origin,
    publish_run,
    published_runs,
    shown_run,
)
from halfgen_lib.runs.record import record_of
from halfgen_lib.runs.weights import packed, unpacked
from halfgen_lib.training import fit

MAX_BYTES = 12_000_000  # of all networks together: they are part of every clone
ROUNDED = 1e-3  # more than the rounding of published weights changes what is computed
FILES = [
    "README.md",
    "config.json",
    "history.csv",
    "manifest.json",
    "metrics.json",
    "model.safetensors",
    "scores.npz",
    "status.json",
]


def mse_of(run):
    return run.metrics["overall"]["mse"]["mean"]


@pytest.fixture(scope="module")
def run(tiny_config, sample, tmp_path_factory):
    return fit(tiny_config(epochs=3), sample, runs_dir=tmp_path_factory.mktemp("runs"), quiet=True)


@pytest.fixture(autouse=True)
def folder(sample, tmp_path, monkeypatch):
    """An empty folder of networks; only the tests' few images can be loaded."""
    monkeypatch.setenv("HALFGEN_NETWORKS", str(tmp_path / "networks"))
    monkeypatch.setattr(published, "load", {"sample": sample}.__getitem__)
    return tmp_path / "networks"


def test_what_is_published_is_the_run_that_was_trained(run, folder, sample):
    ours = publish_run(run, "small")
    assert ours == published_runs()["small"] == Run(folder / "small") and networks_dir() == folder
    assert sorted(file.name for file in ours.directory.iterdir()) == FILES
    assert ours.is_finished and ours.config == run.config and ours.config.run_id == run.run_id
    trained = run.model().state_dict()
    for key, values in unpacked(packed(trained)).items():
        found = ours.model().state_dict()[key]
        assert torch.equal(found, values.to(found)) and found.dtype == trained[key].dtype
    stored, whole = (each.directory / "model.safetensors" for each in (ours, run))
    assert stored.stat().st_size < 0.4 * whole.stat().st_size
    left, _ = sample.test.halves()
    assert torch.allclose(ours.model().predict(left), run.model().predict(left), atol=ROUNDED)
    assert not ours.model().training
    for name, column in run.history.items():
        assert np.array_equal(ours.history[name], column)
    found, expected = (record_of(each).model_dump() for each in (ours, run))
    assert {k for k in found if found[k] != expected[k]} <= {"test"}


def test_a_network_without_nonlinearities_is_published_as_its_map(tiny_config, sample, tmp_path):
    settings = SMALL["cae"] | {"negative_slope": 1.0}
    run = fit(tiny_config(model_settings=settings), sample, runs_dir=tmp_path, quiet=True)
    ours = publish_run(run, "map", sample)
    names = [file.name for file in ours.directory.iterdir()]
    assert sorted(names) == [name for name in FILES if name != "scores.npz"]
    assert isinstance(ours.model(), AffineMap) and ours.config == run.config
    left, _ = sample.test.halves()
    assert torch.allclose(ours.model().predict(left), run.model().predict(left), atol=2e-3)
    assert mse_of(ours) == pytest.approx(mse_of(run), rel=ROUNDED)


def test_the_scores_are_those_of_the_stored_weights(run, sample):
    ours = publish_run(run, "small", sample)
    again = score_images(ours.model().predict, sample.test, "left")
    for name, values in again.items():
        assert np.array_equal(ours.scores[name], values.astype(np.float32))
        assert np.allclose(ours.scores[name], run.scores[name], atol=ROUNDED)
    assert mse_of(ours) == pytest.approx(again["mse"].mean())
    assert mse_of(ours) == pytest.approx(mse_of(run), rel=ROUNDED)


def test_names_stand_side_by_side_and_can_be_replaced(run, folder, tiny_config, sample, tmp_path):
    for name in ("b", "a", "b"):
        publish_run(run, name)
    write_published(folder / "classifier", {"model.safetensors": b"something else"})
    assert list(published_runs()) == ["a", "b"]
    other = fit(tiny_config(epochs=1, seed=1), sample, runs_dir=tmp_path / "other", quiet=True)
    publish_run(other, "a")
    assert [each.config.seed for each in published_runs().values()] == [1, 0]
    assert mse_of(published_runs()["a"]) == pytest.approx(mse_of(other), rel=ROUNDED)


READERS = {
    "config.json": lambda run: run.config,
    "history.csv": lambda run: run.history,
    "metrics.json": lambda run: run.metrics,
    "model.safetensors": lambda run: run.model(),
    "scores.npz": lambda run: run.scores,
    "status.json": lambda run: run.status,
}


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_refused(run, name):
    path = publish_run(run, "small").directory / name
    recorded = hashlib.sha256(path.read_bytes()).hexdigest()
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(RunError) as error:
        READERS[name](published_runs()["small"])
    for part in (f"{path} is not the file", found, recorded, "git checkout", "halfgen publish RUN"):
        assert part in str(error.value)
    if name == "status.json":
        return  # without one, a run has not begun
    path.unlink()
    with pytest.raises(RunError, match=r"is missing; restore it .*halfgen publish RUN_ID --as"):
        READERS[name](Run(path.parent))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"manifest\.json cannot be read.*restore it"),
        ("[1]", r"manifest\.json cannot be read"),
        ('{"config.json": "abc"}', r"config\.json is not the file .* recorded is abc"),
        ('{"config.json": 1}', r"config\.json is not the file .* recorded is 1"),
    ],
)
def test_an_edited_manifest_is_refused(run, text, message):
    ours = publish_run(run, "small")
    (ours.directory / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=message):
        published_runs()["small"].model()


def test_what_has_no_manifest_is_not_published(run, folder):
    publish_run(run, "small")
    shutil.copytree(folder / "small", folder / "other")
    (folder / "other" / "manifest.json").unlink()
    assert list(published_runs()) == ["small"]


def test_settings_of_other_code_are_refused(run, folder):
    ours = publish_run(run, "small")
    contents = {path.name: path.read_bytes() for path in ours.directory.iterdir()}
    del contents["manifest.json"]
    contents["config.json"] = contents["config.json"].replace(b'"default"', b'"forgotten"')
    write_published(ours.directory, contents)
    with pytest.raises(RunError, match=r"config\.json cannot be read: .*'forgotten' is not known"):
        _ = published_runs()["small"].config


def test_other_images_are_refused(run, folder, sample):
    other = replace(sample, sha256=dict.fromkeys(sample.sha256, "0" * 64))
    with pytest.raises(RunError, match=r"was trained on other images than those in .*sample"):
        publish_run(run, "small", other)
    assert not folder.exists()


def test_a_network_that_does_not_fit_is_refused(run, folder, tmp_path):
    copy = Run(shutil.copytree(run.directory, tmp_path / run.run_id))
    wider = RunConfig(data="sample", epochs=1, model_settings={"latent_dim": 5})
    record = run.record | {"config": wider.model_dump(mode="json"), "identity": wider.identity()}
    write_json(copy.directory / "config.json", record)
    with pytest.raises(RunError, match=r"model\.safetensors cannot be .* for ConvAutoencoder"):
        publish_run(Run(copy.directory), "small")
    (copy.directory / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        publish_run(copy, "small")
    (copy.directory / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        publish_run(copy, "small")
    write_status(copy, "failed")
    with pytest.raises(RunError, match="is failed, not finished"):
        publish_run(copy, "small")
    assert not folder.exists()


def test_weights_that_half_precision_cannot_hold_are_refused(run, folder, tmp_path):
    copy = Run(shutil.copytree(run.directory, tmp_path / run.run_id))
    state = run.model().state_dict()
    name = next(name for name in state if name.endswith("bias"))
    state[name][:] = 1e5  # the largest is 65,504
    write_weights(copy, "model", state)
    with pytest.raises(RunError, match=f"{name} has values that half precision cannot hold"):
        publish_run(copy, "small")
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "../cae", "CAE", "a.b", "-a", "a" * 51, "a\n"])
def test_names_that_could_not_be_folders_are_refused(run, name):
    with pytest.raises(ValueError, match="allowed: lower-case letters"):
        publish_run(run, name)


def test_the_command_line_publishes(run, folder, monkeypatch, capsys):
    monkeypatch.setenv("HALFGEN_RUNS", str(run.directory.parent))
    assert cli.main(["publish", run.run_id, "--as", "small"]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "small")
    assert cli.main(["publish", "nothing", "--as", "small"]) == 1
    assert "run nothing is not in" in capsys.readouterr().err


# ---- the model's card


def test_the_card_says_what_the_files_say(run):
    ours = publish_run(run, "small")
    text = (ours.directory / "README.md").read_text()
    mse = ours.metrics["overall"]["mse"]
    assert f"| {mse['mean']:.4g} | {mse['low']:.4g} to {mse['high']:.4g} |" in text
    weights = (ours.directory / "model.safetensors").read_bytes()
    for said in ("# small\n", hashlib.sha256(weights).hexdigest(), "MIT", "a small sample", "$"):
        assert (said in text) == (said != "$")
    for name, scores in ours.metrics["per_class"].items():
        assert f"{name} | {scores['mse']['mean']:.4g} |" in text
    assert "taught" not in text


def test_the_card_names_the_teachers(run, tiny_config, sample):
    publish_run(run, "small")  # a teacher may be a published network
    config = tiny_config(epochs=1, seed=1, teacher=f"{run.run_id}+{run.run_id}")
    ours = publish_run(fit(config, sample, quiet=True), "pupil")
    told = f"|\n| taught by | `{run.run_id}`, `{run.run_id}` |\n| weights |"
    assert told in (ours.directory / "README.md").read_text()


# ---- what a notebook shows


def test_what_was_trained_here_comes_first(run, tiny_config, sample):
    publish_run(run, "cae")
    assert shown_run() == published_runs()["cae"]
    assert "published run is shown, not one that was trained here" in origin(shown_run())
    assert run.run_id in origin(shown_run())
    own = fit(tiny_config(epochs=1), sample, quiet=True)
    choose_run(own)
    assert shown_run() == own and "trained in this checkout" in origin(shown_run())
    assert shown_run("cae") == published_runs()["cae"]
    assert shown_run(own.run_id) == own
    with pytest.raises(RunError, match="run nothing is not in"):
        shown_run("nothing")


def test_where_nothing_is_published_it_says_what_to_run():
    with pytest.raises(RunError, match="run notebook 02_train first"):
        shown_run()


# ---- what this repository publishes


PUBLISHED = {
    "cae": ("cae-default-seed0-92dbd2fb75", 0.02102, "7155aa7bc66d2b07"),
    "cae-as_published": ("cae-as_published-seed0-8eb2ec553c", 0.027305, "d6f25f5302bc46ec"),
    "residual-flow": (
        "residual_flow-residual-flow-seed0-4557f419d4",
        0.016922,
        "7c00af8c1625df0d395ac069504cf653",
    ),
    "unet": ("unet-unet-distilled-seed0-fc9ad353ab", 0.016922, "3783c7b6e9791621369399c34cf028ea"),
}


def test_the_published_networks_are_whole_and_current(monkeypatch):
    monkeypatch.delenv("HALFGEN_NETWORKS")
    runs = published_runs()
    assert list(runs) == list(PUBLISHED)
    for name, run in runs.items():
        run_id, mse, sha256 = PUBLISHED[name]
        is_map = name == "cae-as_published"  # without each image's scores
        for file, reader in READERS.items():
            if not (is_map and file == "scores.npz"):
                reader(run)
        manifest = json.loads((run.directory / "manifest.json").read_text())
        assert manifest["model.safetensors"].startswith(sha256)
        record = record_of(run)
        assert run.is_finished and run.is_current and record.is_current
        assert run.config.run_id == run_id
        assert record.test.mse.mean == pytest.approx(mse, abs=1e-6)
        if not is_map:
            assert len(run.scores["mse"]) == 10_000
            assert mse_of(run) == pytest.approx(run.scores["mse"].mean(), rel=1e-6)
        # `python scripts/write_readme.py` writes it anew
        assert (run.directory / "README.md").read_text(encoding="utf-8") == card(run)
    files = project_root() / "report" / "networks"
    assert sum(f.stat().st_size for f in files.rglob("*") if f.is_file()) < MAX_BYTES
