import json

import numpy as np
import pytest
import torch

from halfgen_lib import evaluation
from halfgen_lib.runs import RunError, choose_run, restore
from halfgen_lib.runs.record import record_of
from halfgen_lib.runs.restore import origin, restore_run, shown_run
from halfgen_lib.runs.weights import WeightsError, publish_weights
from halfgen_lib.training import fit

HALF = 1e-3  # more than published weights, in half precision, change what is computed


def mse_of(run):
    return run.metrics["overall"]["mse"]["mean"]


@pytest.fixture(scope="module")
def run(tiny_config, sample, tmp_path_factory):
    return fit(tiny_config(epochs=3), sample, runs_dir=tmp_path_factory.mktemp("runs"), quiet=True)


@pytest.fixture
def published(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HALFGEN_WEIGHTS", str(tmp_path / "weights"))
    return publish_weights(run, "cae")


@pytest.fixture(autouse=True)
def loaded(sample, monkeypatch):
    """The names of the data that were loaded; only the tests' few images are."""
    names = []
    monkeypatch.setattr(restore, "load", lambda name: names.append(name) or sample)
    return names


def test_a_restored_run_is_the_one_that_was_published(run, published, runs_dir, sample):
    restored = restore_run("cae")
    assert restored.directory == runs_dir / "published-cae" and restored.is_finished
    assert restored.config == run.config.model_copy(
        update={"model_settings": run.record["identity"]["model_settings"]}
    )
    left, _ = sample.test.halves()
    ours, theirs = (each.model().predict(left) for each in (restored, run))
    assert torch.allclose(ours, theirs, atol=HALF)
    assert np.allclose(restored.scores["ssim"], run.scores["ssim"], atol=HALF)
    assert mse_of(restored) == pytest.approx(mse_of(run), rel=HALF)
    assert restored.best_epoch == run.best_epoch
    for name, column in run.history.items():
        total = name == "seconds"
        ours, theirs = (np.sum(c) if total else c for c in (restored.history[name], column))
        assert ours == pytest.approx(theirs, abs=0.1 if total else 1e-6), name
    ours, theirs = (record_of(each).model_dump() for each in (restored, run))
    rounded = {"val_mse", "seconds", "test"}  # the first two twice, the last with the weights
    assert {k for k in ours if ours[k] != theirs[k]} <= rounded


def test_it_is_scored_once(published, loaded, runs_dir):
    restore_run("cae")
    restore_run("cae")
    assert loaded == ["sample"]
    for damage in ("status.json", "config.json"):
        (runs_dir / "published-cae" / damage).write_text("{")
        restore_run("cae")
    assert loaded == ["sample"] * 3


def test_other_weights_of_the_same_name_are_restored_again(
    published, loaded, tiny_config, sample, tmp_path
):
    before = restore_run("cae")
    replaced, mse = before.record["published"], mse_of(before)
    other = fit(tiny_config(epochs=1, seed=1), sample, runs_dir=tmp_path / "other", quiet=True)
    publish_weights(other, "cae")
    after = restore_run("cae")
    assert after.record["published"] != replaced and after.config.seed == 1
    assert mse_of(after) == pytest.approx(mse_of(other), rel=HALF)
    assert mse_of(after) != pytest.approx(mse, rel=HALF)
    assert loaded == ["sample"] * 2


def test_weights_that_do_not_score_what_was_published_are_refused(published, monkeypatch, runs_dir):
    exact = evaluation.score_images
    monkeypatch.setattr(
        restore,
        "score_images",
        lambda *a: {k: v * 1.01 if k == "mse" else v for k, v in exact(*a).items()},
    )
    with pytest.raises(WeightsError, match=r"cae has a test MSE of 0\.\d+ here, but 0\.\d+ was"):
        restore_run("cae")
    assert not (runs_dir / "published-cae" / "status.json").exists()


def test_changed_weights_and_other_images_are_refused(published, sample, runs_dir):
    class Other:
        sha256, folder = dict.fromkeys(sample.sha256, "0" * 64), "elsewhere"

    with pytest.raises(WeightsError, match="was trained on other images than those in elsewhere"):
        restore_run("cae", Other)
    content = bytearray(published.read_bytes())
    content[-1] ^= 1
    published.write_bytes(content)
    with pytest.raises(WeightsError, match="is not the file that was published"):
        restore_run("cae")
    with pytest.raises(ValueError, match="weights 'unet' is not known"):
        restore_run("unet")
    assert not (runs_dir / "published-cae").exists()


def test_only_one_process_restores(published, runs_dir):
    from halfgen_lib.runs import Run

    with Run(runs_dir / "published-cae").locked(), pytest.raises(RunError, match="process"):
        restore_run("cae")


def test_what_was_trained_here_comes_first(published, run, tiny_config, sample):
    assert shown_run().run_id == "published-cae"
    assert "published run is shown, not one that was trained here" in origin(shown_run())
    assert run.run_id in origin(shown_run())
    own = fit(tiny_config(epochs=1), sample, quiet=True)
    choose_run(own)
    assert shown_run() == own and "trained in this checkout" in origin(shown_run())
    assert shown_run("published-cae").run_id == "published-cae"
    assert shown_run(own.run_id) == own
    with pytest.raises(RunError, match="run nothing is missing"):
        shown_run("nothing")


def test_where_nothing_is_published_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HALFGEN_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(RunError, match="run notebook 02_train first"):
        shown_run()


def test_settings_of_other_code_are_refused(published):
    index = published.with_suffix(".json")
    content = json.loads(index.read_text())
    content["record"]["variant"] = "forgotten"
    index.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="cae: this code has no such settings"):
        restore_run("cae")
