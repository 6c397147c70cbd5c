"""Baselines beside the network, the erratum, the audits and the claims, on the sample."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SMALL, small_analyses

from halfgen_lib.analysis import audits, claims
from halfgen_lib.analysis import published as analyses
from halfgen_lib.analysis.audits import affine_probe
from halfgen_lib.analysis.summaries import Summary
from halfgen_lib.config import RunConfig
from halfgen_lib.data import hold_out
from halfgen_lib.figures import tables
from halfgen_lib.models import build_model
from halfgen_lib.runs import RunError
from halfgen_lib.runs.record import decode, decode_errors, encode, results_path

TINY = SMALL["cae"]

pytestmark = pytest.mark.usefixtures("results_dir")


@pytest.fixture(scope="module")
def made(tmp_path_factory, sample):
    """Every analysis, of three tiny runs of one epoch."""
    with small_analyses(sample, tmp_path_factory.mktemp("analyses")):
        paths = analyses.analyse("sample")
        return {path.stem.removesuffix("-sample"): analyses.published(path.stem) for path in paths}


def test_every_analysis_is_published_with_its_origin(made):
    assert {*made, "generative", "ensembles"} == set(analyses.PUBLISHED)
    for values in made.values():
        assert values["data"] == "sample" and values["origin"]["data_sha256"]
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        assert "Computed 2" in tables.computed(values["origin"])


def test_what_is_not_published_and_damage_are_named():
    with pytest.raises(RunError, match=r"baselines\.json is not there yet: `halfgen analyse`"):
        analyses.published("baselines")
    path = results_path("baselines")
    path.parent.mkdir()
    for content in ("{", "[]", '{"methods": {}}', "[" * 100_000):
        path.write_text(content)
        with pytest.raises(RunError, match=r"baselines\.json"):
            analyses.published("baselines")


def test_baselines_and_network_are_in_one_table(made):
    rows = tables.baseline_rows(made["baselines"])
    assert [row["method"] for row in rows][-1] == "autoencoder" and len(rows) == 7
    assert rows[-2]["method"] == "fully connected network"
    beaten, nearest = tables.gate(made["baselines"])
    assert not beaten and nearest in made["baselines"]["differences"]  # after one epoch
    errors = {n: m["overall"]["mse"]["mean"] for n, m in made["baselines"]["methods"].items()}
    for name, difference in made["baselines"]["differences"].items():
        assert difference["mean"] == pytest.approx(errors[name] - errors["network"], abs=1e-8)
        assert difference["low"] <= difference["mean"] <= difference["high"]
    for name, text in made["baselines"]["errors"].items():
        assert decode_errors(text).mean() == pytest.approx(errors[name], rel=1e-3)
    pictures = made["baselines"]["examples"]["completions"]
    assert all(decode(text).shape == (10, 28, 14) for text in pictures.values())


def test_encoding_keeps_the_pixels():
    half = torch.arange(2 * 392).remainder(256).view(2, 1, 28, 14) / 255
    assert np.allclose(decode(encode(half)), half[:, 0].numpy())


def test_the_probe_finds_a_slope_of_one_and_its_rank(made, generator):
    erratum = made["erratum"]
    assert erratum["affine_error"] < 1e-9
    assert erratum["rank"] == erratum["latent_dim"] == 4
    assert len(erratum["singular_values"]) == 128
    with torch.random.fork_rng():
        torch.manual_seed(0)  # few weights: some draws of them leave no rectifier to bend
        model = build_model("cae", TINY)
    matrix, bias = affine_probe(model)
    left = torch.rand(4, 1, 28, 14, generator=generator, dtype=torch.float64)
    affine = torch.sigmoid(left.flatten(1) @ matrix.T + bias)
    assert (model(left).flatten(1) - affine).abs().max() > 1e-6  # slope 0.01 is not affine


def test_audit_counts_copies_and_tells_of_symmetry(made):
    audit = made["audit"]
    assert audit["exact"] == 0
    for found in audit["symmetry"].values():
        for value in found.values():
            assert -1 <= value["low"] < value["mean"] < value["high"] <= 1


def test_reported_images_are_set_against_their_own_split_and_class(made, sample, monkeypatch):
    validates = hold_out(sample.train.labels)[0]
    images = [int(validates[0]), int(hold_out(sample.train.labels)[1][0])]
    monkeypatch.setattr(audits, "REPORTED_MISLABELLED", (*images, 10**6))
    wrong = sample.train.images.float().flatten(1).mean(1).double().numpy()
    run = SimpleNamespace(
        model=lambda: SimpleNamespace(predict=None), config=SimpleNamespace(given="")
    )
    monkeypatch.setattr(audits, "halves_mse", lambda *_: wrong)
    rows = audits._reported(run, sample)
    assert [row["split"] for row in rows] == ["validation", "training"]
    own = sample.train.labels[validates] == sample.train.labels[images[0]]
    others = wrong[validates[own].numpy()]
    assert rows[0]["class_mean"] == pytest.approx(others.mean())
    assert rows[0]["below"] == pytest.approx((others < wrong[images[0]]).mean())


def test_facing_table_has_all_classes(made):
    rows = tables.facing_rows(made["facing"])
    assert len(rows) == 11 and rows[-1]["class"] == "**all**"


def interval(mean, width=0.001):
    return {"mean": mean, "low": mean - width, "high": mean + width}


def record(variant="as_published", **changes):
    values = {
        "seed": 0,
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
        claims.more_data({}, {}),
    ):
        assert claim.verdict == claims.OPEN and "not computed yet" in claim.measured


def curves(train, val, lr=(1e-3,)):
    return SimpleNamespace(train_loss=train, val_loss=val, lr=[*lr] * (len(val) // len(lr)))


def test_claims_1_and_2_are_of_both_networks():
    far = curves([0.02] * 20, [0.021] * 20)
    found = summaries("as_published", record()) | summaries("long", record("long", history=far))
    assert claims.convergence(found).verdict == "public code: reproduced; text: not reproduced"
    drops = claims.learning_rate_drops(found)
    assert drops.measured == "public code: 1 in 1 seed; text: 0 in 1 seed"
    assert drops.verdict == "public code: not reproduced; text: not reproduced"


def test_some_seeds_may_reproduce_what_others_do_not():
    far = curves([0.03] * 20, [0.03] * 20, [1e-3, 5e-4, 2.5e-4, 1e-4, 5e-5])
    both = summaries("as_published", record(seed=0), record(seed=1, history=far))
    claim = claims.convergence(both)
    assert claim.verdict == "public code: reproduced by 1 of 2 seeds"
    assert claim.measured.endswith("training 0.0273 to 0.0300, validation 0.0273 to 0.0300")
    far.lr = [1e-3] * 4 + [5e-4] * 4 + [2e-4] * 4 + [1e-4] * 4 + [5e-5] * 4
    assert claims.learning_rate_drops(both).verdict == "public code: reproduced by 1 of 2 seeds"
    far.lr += [1e-5]  # after the seed's epochs: it does not count
    assert claims.learning_rate_drops(both).verdict == "public code: reproduced by 1 of 2 seeds"


def test_of_a_seed_the_longest_run_counts():
    long = record("as_published-long", epochs=60, seed=1)
    found = summaries("as_published", record(seed=0), record(seed=1))
    found |= summaries("as_published-long", long)
    assert claims.followed(found)["public code"][1] is long
    assert claims.followed(found, 40) == {"public code": [long]}


@pytest.mark.parametrize(
    ("rise", "gap", "verdict"),
    [
        ([0.02, 0.011], [0.3, 0.3], "true"),
        ([0.02, 0.009], [0.3, 0.05], "true in part: a gap opens, the error hardly rises"),
        ([0.02, 0.009], [0.3, 0.04], "not seen"),
    ],
)
def test_overfitting_is_a_rise_or_a_gap(rise, gap, verdict):
    assert claims.overfits(rise, gap) == verdict


def test_claim_3_is_of_long_runs_of_both_networks():
    up = record("long", history=curves([0.02, 0.01] * 20, [0.02, 0.025] * 20), epochs=40, seed=0)
    flat = curves([0.02] * 40, [0.02] * 40)
    public = record("as_published-long", history=flat, epochs=40, seed=0)
    found = summaries("long", up) | summaries("as_published-long", public)
    claim = claims.overfitting(found)
    assert claim.verdict == "public code: not seen; text: true"
    assert "of 40 (one seed)" in claim.measured
    assert claims.overfitting(summaries("as_published", record(seed=0))).verdict == claims.OPEN


def as_declared(variant, **changes):
    config = RunConfig.of_variant(variant)
    own = {"seed": 0, "identity": config.identity(), "config_hash": config.hash()}
    own |= {"is_current": True, "train_images": config.train_images}
    own |= {"parameters": 1, "epochs": config.epochs}
    return record(variant, **own | changes)


def test_more_data_reads_the_last_step():
    found = {}
    for name, error in {"train-1k": 0.04, "train-3k": 0.03, "default": 0.02}.items():
        test = SimpleNamespace(mse=SimpleNamespace(mean=error))
        found |= summaries(name, as_declared(name, test=test))
    measured = "autoencoder: 3,000 images 0.0300, 50,000 0.0200"
    assert claims.more_data(found, {}).measured == measured
    assert claims.more_data(found, {}).verdict.startswith("likely")
    flat = {}
    for name in ("unet-medium-train-1k", "unet-medium-train-3k", "unet-medium"):
        flat |= summaries(name, as_declared(name))
    both = claims.more_data(found, flat)
    assert both.measured.startswith(f"{measured}; U-Net: 3,000 images 0.0271")
    assert both.verdict.startswith("not by much")
    steps = {}
    for name in ("steps-10k", "steps-30k"):
        test = SimpleNamespace(mse=SimpleNamespace(mean=0.0201))
        steps |= summaries(name, as_declared(name, test=test))
    both = claims.more_data(found | steps, {})
    assert "autoencoder, as many steps: 30,000 images 0.0201, 50,000 0.0200" in both.measured
    assert both.verdict.startswith("not by much")
    other = as_declared("default", config_hash="0" * 10)  # of settings that it had before
    assert "50,000" not in claims.more_data(found | summaries("default", other), {}).measured


def test_ranks_are_as_sure_as_the_intervals():
    scores = {name: interval(mean) for name, mean in {"a": 0.01, "b": 0.0115, "c": 0.02}.items()}
    assert [claims.rank_range(name, scores) for name in "abc"] == [(1, 2), (1, 2), (3, 3)]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "true"),
        ({"Dress": (3, 6), "Sneaker": (5, 9)}, "true"),
        ({"Dress": (4, 6), "Sneaker": (1, 8)}, "not true of Dress, Sneaker"),
        (dict.fromkeys((*claims.SEED_EASY, *claims.SEED_HARD), (5, 6)), "not true"),
    ],
)
def test_claim_4_says_what_fails(changes, verdict):
    ranks = {"Trouser": (1, 1), "T-shirt/top": (2, 3), "Dress": (2, 3)}
    ranks |= {"Sneaker": (9, 10), "Ankle boot": (9, 10)}
    assert claims.easy_and_hard_verdict(ranks | changes) == verdict


def test_claim_4_reads_a_run(made):
    run = SimpleNamespace(metrics=made["baselines"]["methods"]["network"])
    claim = claims.easy_and_hard(run)
    assert "Sneaker" in claim.measured


def test_rank_correlations_within_and_over_classes():
    labels = np.repeat([0, 1], 50)
    a = np.concatenate([np.arange(50), 100 + np.arange(50)]).astype(float)
    b = np.concatenate([-np.arange(50), 100 - np.arange(50)]).astype(float)
    overall, within = audits.rank_correlations(a, b, labels)
    assert within == pytest.approx(-1) and overall > 0


@pytest.mark.parametrize(
    ("overall", "within", "verdict"),
    [(0.4, 0.35, "true"), (0.4, 0.3, "true in part"), (0.1, 0.05, "true in part"),
     (0.09, 0.05, "not seen")],
)  # fmt: skip
def test_claim_5_goes_by_the_asymmetry_that_is_expected(made, overall, within, verdict):
    expected = {"overall": interval(overall), "within": interval(within)}
    claim = claims.symmetry({"symmetry": made["audit"]["symmetry"] | {"expected": expected}})
    assert (
        claim.verdict == verdict and f"{overall:.2f}, within a class {within:.2f}" in claim.measured
    )
    assert len(claim.row(5)) == len(claims.HEADER)


def test_sample_and_full_results_do_not_mix(sample, tmp_path):
    full = replace(sample, name="full")
    analyses.publish("audit", {"exact": 0}, sample)
    assert analyses.published("audit-sample") and not results_path("audit").exists()
    analyses.publish("audit", {"exact": 0}, full)
    assert analyses.published("audit")["data"] == "full"


@pytest.mark.parametrize(
    ("mirrored", "against", "verdict"),
    [
        (0.05, {"Bag": 0.04, "Sandal": 0.05}, "true"),
        (0.05, {"Bag": 0.04, "Sandal": 0.0205}, "true of mirrored images; of real ones in Bag"),
        (0.05, {"Bag": 0.0205}, "true of mirrored images; not seen of real ones"),
        (0.05, {"Bag": 0.04, "Sandal": 0.01}, "of real ones in Bag, the opposite in Sandal"),
        (0.0205, {"Bag": 0.04, "Sandal": 0.04}, "not seen"),
    ],
)
def test_claim_6_weighs_mirrored_images_and_those_that_really_face_away(mirrored, against, verdict):
    relative = {n: {"with": interval(0.02), "against": interval(m)} for n, m in against.items()}
    errors = {"test": {"all": interval(0.02)}, "mirrored": {"all": interval(mirrored)}}
    assert claims.facing_verdict(errors, relative).endswith(verdict)
    sides = {name: {"share": 0.9, "relative": own} for name, own in relative.items()}
    sides["Sneaker"] = {"share": 1.0, "relative": {"with": interval(0.01)}}  # none faces away
    claim = claims.facing({"default": errors | {"by_facing": sides}})
    assert claim.verdict.endswith(verdict) and "Sneaker" not in claim.measured


def test_errors_over_content_do_not_depend_on_how_much_there_is(made, sample):
    found = made["facing"]["default"]["by_facing"]
    assert set(found) <= {*audits.FACING}
    for sides in found.values():
        assert 0 <= sides["share"] <= 1
        assert set(sides) == {"share", "relative"} and set(sides["relative"]) <= {"with", "against"}


def test_any_run_is_compared_with_the_published_baselines(sample, tmp_path, monkeypatch):
    """Of the published network's own errors the differences are the published ones."""
    monkeypatch.delenv("HALFGEN_RESULTS", raising=False)
    known = analyses.published("baselines")
    own = decode_errors(known["errors"]["network"])
    run = SimpleNamespace(
        run_id="another",
        config=RunConfig(),
        metrics={"overall": {}, "per_class": {}},
        scores={"mse": own},
        model=lambda: SimpleNamespace(predict=lambda left: left),
    )
    found = analyses.compared(run, sample)
    assert found["run_id"] == "another" and found["methods"]["network"]["overall"] == {}
    assert found["errors"] == known["errors"]
    assert list(found["differences"]) == list(known["differences"])
    for name, value in known["differences"].items():
        assert found["differences"][name]["mean"] == pytest.approx(value["mean"], abs=2e-6)
