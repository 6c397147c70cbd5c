"""The networks beyond the seed, measured beside every baseline: tiny ones, on the sample."""

import json

import pytest
import torch
from conftest import SMALL, small_analyses

from halfgen_lib.analysis import claims, classifier, generative, networks
from halfgen_lib.analysis import published as analyses
from halfgen_lib.analysis.networks import NETWORKS, analyse_networks
from halfgen_lib.data import split
from halfgen_lib.figures import tables
from halfgen_lib.models import REVISIONS, build_model
from halfgen_lib.runs.published import publish_run
from halfgen_lib.training import fit
from halfgen_lib.variants import NAMES


@pytest.fixture(scope="module")
def looking(sample):
    """A classifier and its record, as :func:`classifier.load_classifier` returns them."""
    network, _ = classifier.train_classifier(sample.train, sample.test, epochs=1)
    return network, {"sha256": "0", "test_accuracy": {}}


@pytest.fixture(scope="module")
def made(sample, looking, tmp_path_factory):
    with small_analyses(sample, tmp_path_factory.mktemp("beyond")) as patch:
        for module in (networks, generative):
            patch.setattr(module, "load_classifier", lambda: looking)
        path = analyse_networks("sample", images=20)
        return analyses.published(path.stem)


def test_every_network_has_its_row_beside_the_baselines(made):
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    titles = [method["title"] for method in made["methods"].values()]
    assert titles[-len(NETWORKS) :] == [NAMES[name] for name in NETWORKS]
    assert {"donor, k = 1", "donor, k = 3", "ridge", "k nearest"} <= {*titles}
    assert {name for name, row in made["methods"].items() if row["draws"] > 1} == {
        "donor-1",
        "donor-3",
        "donor",
        "cvae",
        "gan",
        "flow",
        "residual-flow",
    }
    assert set(made["runs"]) == set(NETWORKS)
    assert made["runs"]["flow"]["run_id"].startswith("flow-flow-seed0-")


def test_settings_of_draws_are_measured_one_by_one_on_validation_images(
    sample, looking, made, monkeypatch
):
    assert [row["stretch"] for row in made["draw_settings"]["rows"]] == [1, 1.1, 1.1]
    monkeypatch.setattr(networks, "load_classifier", lambda: looking)
    torch.manual_seed(0)
    model = build_model("residual_flow", SMALL["residual_flow"] | {"stretch": 5.0}).eval()
    effect = networks.effect_of_draw_settings(model, split(sample, "holdout"), 20)
    assert (effect["images"], effect["covered"], effect["draws"]) == (15, 15, 19)  # of 30
    narrow, wide, chosen = effect["rows"]
    settings = [(row["stretch"], row["black_below"]) for row in effect["rows"]]
    assert settings == [(1, 0), (5, 0), (5, 0.04)]
    assert wide["black"] < chosen["black"] < 1
    # of the same noise, stretched intervals hold more
    assert 0 < narrow["coverage"] < wide["coverage"] < 1
    assert narrow["frechet"] > 0 and narrow["crps"] != wide["crps"]
    assert tables.cells(chosen, tables.DRAW_SETTINGS)["stretch"] == "5"


def interval(mean, width=0.001):
    return {"mean": mean, "low": mean - width, "high": mean + width}


def test_claim_9_weighs_paired_differences_of_error_and_realism():
    better, worse = interval(-0.01), interval(-0.0005)
    assert claims.generative_verdict([worse, better], [better]) == (
        "true of the error, true of how real it looks"
    )
    assert claims.generative_verdict([worse], [worse]) == (
        "not seen of the error, not seen of how real it looks"
    )
    gan = {"title": "GAN", "mean": {"mse": interval(0.02)}, "above": better}
    gan |= {"frechet_above": worse}
    default = {"title": "autoencoder", "mse": interval(0.021)}
    methods = {"default": default, "gan": gan, "cvae": gan | {"title": "CVAE"}}
    claim = claims.generative({"methods": methods, "images": 2000})
    assert claim.measured == "CVAE 0.0200; GAN 0.0200; autoencoder 0.0210 (2,000 images)"
    assert claim.verdict == "true of the error, not seen of how real it looks"


def test_a_network_that_is_published_is_not_trained_again(
    tiny_config, sample, tmp_path, monkeypatch
):
    monkeypatch.setenv("HALFGEN_NETWORKS", str(tmp_path / "networks"))
    config, other = tiny_config(epochs=1), tiny_config(epochs=1, seed=1)
    run = fit(config, sample, runs_dir=tmp_path / "elsewhere", quiet=True)
    publish_run(run, "cae", sample)
    monkeypatch.setattr(analyses, "fit", lambda config, _: config)
    found = analyses.finished_run(config, sample)
    ours, theirs = (each.metrics["overall"]["mse"]["mean"] for each in (found, run))
    assert ours == pytest.approx(theirs, rel=1e-3)  # what is published is rounded
    assert found.config.run_id == run.run_id and found.run_id == "cae"
    assert analyses.finished_run(other, sample) == other  # that one has to be trained
    monkeypatch.setitem(REVISIONS, "cae", "0123456789")
    assert analyses.finished_run(config, sample) == config  # its model was revised since
