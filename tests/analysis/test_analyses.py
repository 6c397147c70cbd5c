"""Baselines beside the network, the erratum, the audits and the claims, on the sample."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from halfgen_lib.analysis import claims
from halfgen_lib.analysis import published as analyses
from halfgen_lib.analysis.audits import affine_probe
from halfgen_lib.analysis.summaries import Summary
from halfgen_lib.config import RunConfig
from halfgen_lib.figures import tables
from halfgen_lib.models import build_model
from halfgen_lib.runs import RunError
from halfgen_lib.runs.record import decode, encode, results_path
from halfgen_lib.training import fit

TINY = {"features": [4, 8], "hidden_dim": 16, "latent_dim": 4}

pytestmark = pytest.mark.usefixtures("results_dir")


@pytest.fixture(scope="module")
def made(tmp_path_factory, sample):
    """Every analysis, of three tiny runs of one epoch."""
    folder = tmp_path_factory.mktemp("analyses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALFGEN_RUNS", str(folder / "runs"))
        patch.setenv("HALFGEN_RESULTS", str(folder / "results"))
        patch.setattr(analyses, "load", lambda _: sample)
        patch.setattr(analyses, "fit", lambda *a, **k: fit(*a, **k, quiet=True))
        tiny = {k: v for k, v in TINY.items() if k != "features"}  # paddings are for three layers
        paths = analyses.analyse("sample", epochs=1, model_settings={**tiny, "features": [4, 4, 8]})
        return {path.stem.removesuffix("-sample"): analyses.published(path.stem) for path in paths}


def test_every_analysis_is_published_with_its_origin(made):
    assert {*made, "generative"} == set(analyses.PUBLISHED)
    for values in made.values():
        assert values["data"] == "sample" and values["origin"]["data_sha256"]
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        assert "Computed 2" in tables.computed(values["origin"])


def test_nothing_published_is_none_and_damage_is_named():
    assert analyses.published("baselines") is None
    path = results_path("baselines")
    path.parent.mkdir()
    for content in ("{", "[]", '{"methods": {}}', "[" * 100_000):
        path.write_text(content)
        with pytest.raises(RunError, match=r"baselines\.json"):
            analyses.published("baselines")


def test_baselines_and_network_are_in_one_table(made):
    rows = tables.baseline_rows(made["baselines"])
    assert [row["method"] for row in rows][-1] == "autoencoder" and len(rows) == 7
    beaten, nearest = tables.gate(made["baselines"])
    assert not beaten and nearest in made["baselines"]["differences"]  # after one epoch
    errors = {n: m["overall"]["mse"]["mean"] for n, m in made["baselines"]["methods"].items()}
    for name, difference in made["baselines"]["differences"].items():
        assert difference["mean"] == pytest.approx(errors[name] - errors["network"], abs=1e-8)
        assert difference["low"] <= difference["mean"] <= difference["high"]
    pictures = made["baselines"]["examples"]["completions"]
    assert all(decode(text).shape == (10, 28, 14) for text in pictures.values())


def test_encoding_keeps_the_pixels():
    half = torch.arange(2 * 392).remainder(256).view(2, 1, 28, 14) / 255
    assert np.allclose(decode(encode(half)), half[:, 0].numpy())


def test_the_probe_finds_a_slope_of_one_and_its_rank(made, generator):
    erratum = made["erratum"]
    assert erratum["negative_slope"] == 1 and erratum["affine_error"] < 1e-9
    assert erratum["rank"] == erratum["latent_dim"] == 4
    assert len(erratum["singular_values"]) == 128
    model = build_model("cae", TINY)
    matrix, bias = affine_probe(model)
    left = torch.rand(4, 1, 28, 14, generator=generator, dtype=torch.float64)
    affine = torch.sigmoid(left.flatten(1) @ matrix.T + bias)
    assert (model(left).flatten(1) - affine).abs().max() > 1e-6  # slope 0.01 is not affine


def test_audit_counts_copies_and_compares_groups(made):
    audit = made["audit"]
    assert audit["exact"] == 0 and audit["near"]["mse"]["count"] == 10
    assert 0 < audit["quantiles"]["0"] <= audit["quantiles"]["0.5"] <= audit["quantiles"]["1"]


def test_facing_table_has_all_classes(made):
    rows = tables.facing_rows(made["facing"])
    assert len(rows) == 11 and rows[-1]["class"] == "**all**"


def record(variant="as_published", **changes):
    values = {
        "epochs": 20,
        "best_epoch": 20,
        "val_mse": 0.0271,
        "history": SimpleNamespace(
            train_loss=[0.0273] * 20, val_loss=[0.0273] * 20, lr=[1e-3] * 10 + [5e-4] * 10
        ),
        "test": SimpleNamespace(mse=SimpleNamespace(mean=0.0271)),
    }
    return SimpleNamespace(variant=variant, **{**values, **changes})


def summaries(variant, *records):
    return {variant: Summary(variant, tuple(records))}


def test_claims_without_evidence_are_open():
    for claim in (
        claims.convergence({}),
        claims.learning_rate_drops({}),
        claims.overfitting({}),
        claims.facing(None),
        claims.more_data({}, {}),
        claims.generative(None),
    ):
        assert claim.verdict == claims.OPEN and "not computed yet" in claim.measured
        assert claim.shown_in == ""


def test_verdicts_follow_the_numbers():
    near = summaries("as_published", record())
    assert claims.convergence(near).verdict == "reproduced"
    history = SimpleNamespace(train_loss=[0.02] * 20, val_loss=[0.021] * 20, lr=[1e-3] * 20)
    far = summaries("as_published", record(history=history))
    assert claims.convergence(far).verdict == "not reproduced"
    assert claims.learning_rate_drops(near).measured == "1 in 20 epochs"
    assert claims.learning_rate_drops(near).verdict == "not reproduced"
    curve = SimpleNamespace(train_loss=[0.02, 0.01], val_loss=[0.02, 0.025], lr=[1e-3] * 2)
    long = summaries("long", record("long", history=curve, best_epoch=1))
    assert claims.overfitting(long).verdict == "true"
    flat = SimpleNamespace(train_loss=[0.02, 0.02], val_loss=[0.0201, 0.02], lr=[1e-3] * 2)
    assert claims.overfitting(summaries("long", record("long", history=flat))).verdict == "not seen"
    assert claims.dataset_size(60_000, 10_000).verdict.startswith("not true")


def test_some_seeds_may_reproduce_what_others_do_not():
    far = SimpleNamespace(train_loss=[0.03] * 20, val_loss=[0.03] * 20, lr=[1e-3] * 20)
    both = summaries("as_published", record(), record(history=far))
    assert claims.convergence(both).verdict == "reproduced by 1 of 2 seeds"
    assert (
        claims.convergence(both).measured
        == "training 0.0273 to 0.0300, validation 0.0273 to 0.0300"
    )
    assert claims.learning_rate_drops(both).verdict == "not reproduced"


def as_declared(variant, **changes):
    config = RunConfig.of_variant(variant)
    own = {"seed": 0, "identity": config.identity(), "config_hash": config.hash()}
    own |= {"is_current": True, "train_images": config.train_images}
    return record(variant, **own | changes)


def test_more_data_reads_the_last_step():
    found = {}
    for name, error in {"train-1k": 0.04, "train-3k": 0.03, "default": 0.02}.items():
        test = SimpleNamespace(mse=SimpleNamespace(mean=error))
        found |= summaries(name, as_declared(name, test=test))
    measured = "1,000 images 0.0400, 3,000 0.0300, 50,000 0.0200: the last step lowers it by 33.3%"
    assert claims.more_data(found, {}).measured == measured
    assert claims.more_data(found, {}).verdict.startswith("likely")
    flat = {}
    for name in ("unet-medium-train-1k", "unet-medium-train-3k", "unet-medium"):
        flat |= summaries(name, as_declared(name))
    both = claims.more_data(found, flat)
    assert both.measured.startswith(f"{measured}; U-Net: 1,000 images 0.0271")
    assert both.verdict.startswith("not by much")
    other = as_declared("unet-medium", config_hash="0" * 10)  # of settings that it had before
    assert claims.more_data(found, flat | summaries("unet-medium", other)).measured == measured


def test_easy_and_hard_ranks_by_both_measures(made):
    run = SimpleNamespace(metrics=made["baselines"]["methods"]["network"])
    claim = claims.easy_and_hard(run)
    assert "Sneaker" in claim.measured and claim.shown_in == "@tbl-classes"


def test_rank_correlations_within_and_over_classes():
    labels = np.repeat([0, 1], 50)
    a = np.concatenate([np.arange(50), 100 + np.arange(50)]).astype(float)
    b = np.concatenate([-np.arange(50), 100 - np.arange(50)]).astype(float)
    overall, within = claims.rank_correlations(a, b, labels)
    assert within == pytest.approx(-1) and overall > 0
    claim = claims.symmetry(a, a, labels)
    assert claim.verdict == "true" and "1.00" in claim.measured
    assert len(claim.row(5)) == len(claims.HEADER)


def test_sample_and_full_results_do_not_mix(sample, tmp_path):
    full = replace(sample, name="full")
    analyses.publish("audit", {"exact": 0}, sample)
    assert analyses.published("audit") is None and analyses.published("audit-sample")
    analyses.publish("audit", {"exact": 0}, full)
    assert analyses.published("audit")["data"] == "full"


def interval(mean, width=0.001):
    return {"mean": mean, "low": mean - width, "high": mean + width}


@pytest.mark.parametrize(
    ("mirrored", "against", "verdict"),
    [
        (0.05, {"Bag": 0.04, "Sandal": 0.05}, "true"),
        (0.05, {"Bag": 0.04, "Sandal": 0.0205}, "true of mirrored images"),
        (0.05, {"Bag": 0.04, "Sandal": 0.01}, "the opposite in Sandal"),
        (0.0205, {"Bag": 0.02, "Sandal": 0.02}, "not seen"),
    ],
)
def test_facing_weighs_mirrored_images_and_those_that_really_face_away(mirrored, against, verdict):
    groups = {n: {"with": interval(0.02), "against": interval(m)} for n, m in against.items()}
    groups["Trouser"] = {"with": interval(0.01), "against": None}  # none faces away
    both = {
        name: {"all": interval(value), "Ankle boot": interval(value)}
        for name, value in (("test", 0.02), ("mirrored", mirrored))
    }
    values = {"default": both | {"by_facing": groups}, "flip": both}
    claim = claims.facing(values)
    assert claim.verdict.endswith(verdict)
    assert f"of {len(against)} classes" in claim.measured
