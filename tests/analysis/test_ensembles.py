"""Means of several networks: tiny ones, on the sample."""

import pytest
from conftest import small_analyses

from halfgen_lib.analysis import published as analyses
from halfgen_lib.analysis.ensembles import analyse_ensemble
from halfgen_lib.evaluation import bootstrap
from halfgen_lib.figures import tables
from halfgen_lib.runs.record import decode_errors
from halfgen_lib.variants import NAMES

MIXED = f"{NAMES['unet-wide-member']} and {NAMES['unet-wide']} in turn"


@pytest.fixture(scope="module")
def groups(sample, tmp_path_factory):
    with small_analyses(sample, tmp_path_factory.mktemp("ensembles")):
        analyse_ensemble(["unet"], 3, "sample")
        analyse_ensemble(["unet-wide-member", "unet-wide"], 2, "sample")
        path = analyse_ensemble(["unet"], 2, "sample")  # in place of the first
        return analyses.published(path.stem)["groups"]


def test_a_group_takes_the_place_of_one_of_the_same_variants(groups):
    assert [*groups] == [NAMES["unet"], MIXED]
    ids = {title: [each.rsplit("-", 1)[0] for each in g["run_ids"]] for title, g in groups.items()}
    assert ids[NAMES["unet"]] == ["unet-unet-seed0", "unet-unet-seed1"]
    assert ids[MIXED] == ["unet-unet-wide-member-seed0", "unet-unet-wide-seed1"]


def test_the_mean_is_measured_on_all_images(groups):
    for group in groups.values():
        assert [group[part]["one"]["count"] for part in ("validation", "test")] == [30, 100]
    assert "infinite" not in groups[MIXED]["test"]  # of two kinds
    found = groups[NAMES["unet"]]["test"]
    one, both, infinite = (found[key]["mean"] for key in ("one", "all", "infinite"))
    assert found["count"] == 2
    assert found["disagreement"]["mean"] == pytest.approx(2 * (one - both))
    assert infinite == pytest.approx(2 * both - one)


def test_the_means_errors_and_what_could_be_avoided_of_them_are_the_same_networks(groups):
    for group in groups.values():
        every, avoidable = group["test"]["all"]["mean"], group["avoidable"]
        assert bootstrap(decode_errors(group["errors"])).mean == pytest.approx(every, rel=1e-3)
        assert avoidable["all"]["mse"]["mean"] == pytest.approx(every)
    assert "one" not in groups[MIXED]["avoidable"]  # which of the two kinds?
    assert groups[NAMES["unet"]]["avoidable"]["one"]["mse"]["mean"] != pytest.approx(every)
    assert f"of one {NAMES['unet']}, which" in tables.floor_finding(groups)


@pytest.mark.parametrize("count", [-1, 1])
def test_a_mean_of_one_is_refused(count):
    with pytest.raises(ValueError, match=f"count is {count}, allowed: 2 networks or more"):
        analyse_ensemble(["unet"], count)
