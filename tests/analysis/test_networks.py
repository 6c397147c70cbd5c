"""The networks beyond the seed, measured beside every baseline: tiny ones, on the sample."""

import json

import pytest
from conftest import SMALL

from halfgen_lib.analysis import claims, classifier, generative, networks
from halfgen_lib.analysis import published as analyses
from halfgen_lib.analysis.networks import NETWORKS, analyse_networks
from halfgen_lib.config import RunConfig
from halfgen_lib.figures import tables
from halfgen_lib.models import REVISIONS
from halfgen_lib.runs.published import publish_run
from halfgen_lib.training import fit
from halfgen_lib.variants import NAMES


@pytest.fixture(scope="module")
def made(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("beyond")

    def fit_small(config, dataset):
        small = RunConfig(
            model=config.model,
            variant=config.variant,
            seed=config.seed,
            data="sample",
            model_settings=SMALL[config.model],
            epochs=1,
        )
        return fit(small, dataset, quiet=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALFGEN_RUNS", str(folder / "runs"))
        patch.setenv("HALFGEN_RESULTS", str(folder / "results"))
        patch.setattr(networks, "load", lambda _: sample)
        patch.setattr(analyses, "fit", fit_small)
        looking, _ = classifier.train_classifier(sample.train, sample.test, epochs=1)
        record = {"sha256": "0", "test_accuracy": {}}
        for module in (networks, generative):
            patch.setattr(module, "load_classifier", lambda: (looking, record))
        path = analyse_networks("sample", images=20, ensemble=2)
        return analyses.published(path.stem)


def test_every_network_has_its_row_beside_the_baselines(made):
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    titles = [method["title"] for method in made["methods"].values()]
    assert titles[-len(NETWORKS) - 1 :] == [*(NAMES[name] for name in NETWORKS), "2 U-Nets, mixed"]
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


def test_u_nets_of_several_seeds_are_averaged_and_tell_of_the_floor(made):
    assert made["methods"]["ensemble"]["title"] == "2 U-Nets, mixed"
    assert set(made["floor"]) == {"unet", "ensemble"}
    assert made["floor"]["ensemble"]["mse"]["count"] == 100
    averaged, single = (made["methods"][name]["mse"]["mean"] for name in ("ensemble", "unet"))
    assert averaged != single


@pytest.mark.parametrize("ensemble", [-1, 1])
def test_an_ensemble_of_one_is_refused(ensemble):
    with pytest.raises(ValueError, match=f"ensemble is {ensemble}, allowed: 0 .none. or 2"):
        analyse_networks("sample", ensemble=ensemble)


def test_the_mean_of_u_nets_is_measured_on_all_images_beside_other_variants(made):
    groups = {group["title"]: group for group in made["ensembles"]}
    titles = [NAMES[name] for name in ("unet", "unet-member", "unet-wide", "unet-wide-member")]
    assert list(groups) == [*titles, f"{titles[-1]} and {titles[-2]}, mixed"]
    for group in groups.values():
        assert [group[part]["one"]["count"] for part in ("validation", "test")] == [30, 100]
    ids = [run_id.rsplit("-", 1)[0] for run_id in made["ensembles"][-1]["run_ids"]]
    assert ids == ["unet-unet-wide-member-seed0", "unet-unet-wide-seed1"]
    assert "infinite" not in made["ensembles"][-1]["test"]  # of two kinds
    found = groups[NAMES["unet-wide"]]["test"]
    one, both, infinite = (found[key]["mean"] for key in ("one", "all", "infinite"))
    assert found["count"] == 2
    assert found["disagreement"]["mean"] == pytest.approx(2 * (one - both))
    assert infinite == pytest.approx(2 * both - one)


def test_temperature_and_stretch_are_measured_one_by_one_on_validation_images(made):
    effect = made["temperature"]
    rows = {(row["temperature"], row["stretch"]): row for row in effect["rows"]}
    assert list(rows) == [(1, 1), (1, 1.4), (0.9, 1), (0.9, 1.4)]
    assert (effect["images"], effect["covered"], effect["draws"]) == (15, 15, 19)  # of 30
    for temperature in (1, 0.9):  # of the same noise, stretched intervals hold more
        narrow, wide = rows[temperature, 1], rows[temperature, 1.4]
        assert 0 < narrow["coverage"] < wide["coverage"] < 1
        assert narrow["frechet"] > 0 and narrow["crps"] != wide["crps"]
    assert tables.cells(effect["rows"][-1], tables.TEMPERATURE)["temperature"] == "0.9"


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
    assert claims.generative_verdict([], [better]) == "open of the error, true of how real it looks"
    gan = {"title": "GAN", "mean": {"mse": interval(0.02)}, "above": better}
    methods = {"default": {"mse": interval(0.021)}, "gan": gan}
    claim = claims.generative({"methods": methods, "images": 2000})
    assert claim.measured == "GAN 0.0200; autoencoder 0.0210 (2,000 images)"
    assert claim.verdict == "true of the error, open of how real it looks"
    methods.pop("gan")
    assert claims.generative({"methods": methods, "images": 2000}).verdict == claims.OPEN


def test_what_is_not_measured_now_stays_without_what_depends_on_the_reference(made):
    fewer = made | {
        "methods": {n: row for n, row in made["methods"].items() if n not in ("cvae", "ensemble")},
        "examples": made["examples"] | {"draws": {}, "point": {}},
        "runs": {},
    }
    kept = networks.with_earlier(fewer, made)
    row = kept["methods"]["cvae"]
    assert row["mse"] == made["methods"]["cvae"]["mse"]
    assert row["measured"] == made["origin"]["created"][:10]
    assert not {*networks.OF_SETS} & {*row, *row["mean"]}
    assert "frechet" in made["methods"]["cvae"] and "measured" not in kept["methods"]["flow"]
    assert kept["examples"]["draws"] == {"cvae": made["examples"]["draws"]["cvae"]}
    assert set(kept["runs"]) == set(NETWORKS)
    assert [row["method"] for row in tables.realism_rows(kept)][-1].startswith("**true")
    left_out = {row["title"] for row in kept["methods"].values() if "two_sample" not in row}
    assert left_out == {"CVAE", "2 U-Nets, mixed"}
    assert networks.with_earlier(fewer, None) is fewer
    assert networks.with_earlier(fewer, made | {"images": 10}) is fewer


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match=r"network 'vae' is not known; did you mean 'cvae'\?"):
        analyse_networks("sample", ["vae"])


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
    assert ours == pytest.approx(theirs, rel=1e-3)  # what is published is in half precision
    assert found.config.run_id == run.run_id and found.run_id == "cae"
    assert analyses.finished_run(other, sample) == other  # that one has to be trained
    monkeypatch.setitem(REVISIONS, "cae", "0123456789")
    assert analyses.finished_run(config, sample) == config  # its model was revised since
