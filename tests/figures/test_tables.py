"""Rows of tables: of the published results, and of values that show the sums."""

import pytest

from halfgen_lib.analysis.published import published
from halfgen_lib.figures import tables


def test_an_interval_may_show_its_sign():
    value = {"mean": 0.00123, "low": -0.00011, "high": 0.00254}
    assert tables.interval(value, 3) == "0.001 [-0.000, 0.003]"
    assert tables.interval(value, 4, "+") == "+0.0012 [-0.0001, +0.0025]"


def test_gate_on_the_published_results():
    """The default network beats every baseline, each paired 95 % interval above zero."""
    baselines = published("baselines")
    assert baselines["data"] == "full" and len(baselines["differences"]) == 6
    beaten, nearest = tables.gate(baselines)
    assert beaten, baselines["differences"][nearest]


def test_the_table_ends_with_the_true_images():
    generative = published("generative")
    rows = tables.sampling_rows(generative)
    assert len(rows) == len(generative["methods"]) + 1
    assert rows[-1]["method"] == "**true\u00a0images**"
    assert all(list(row) == list(rows[0]) for row in rows)
    by_name = {row["method"]: row for row in rows}
    assert by_name["ridge"]["90% covers"] == "–" and by_name["flow"]["90% covers"].endswith("%")


def test_draws_are_compared_with_true_images():
    rows = tables.memory_rows(published("generative"))
    assert [row["halves"] for row in rows][:2] == ["donor", "CVAE"] and len(rows) == 5 + 1
    assert rows[-1] | {"halves": "**true images**", "share that near": "0.010"} == rows[-1]


@pytest.mark.parametrize("left_out", ["", "residuals", "ensemble"])
def test_the_lowest_bound_is_the_least_of_those_that_err_upwards(left_out):
    generative = published("generative")
    floor = {name: values for name, values in generative["floor"].items() if name != left_out}
    rows = tables.floor_rows(generative | {"floor": floor})
    upper = [float(row["variance"].split()[0]) for row in rows if row["errs"] == "too high"]
    found = tables.lowest_upper_bound(generative | {"floor": floor})
    assert len(upper) == len(floor) and min(upper) == pytest.approx(found, abs=5e-5)
    assert len(rows) == 5 + 5 - {"": 0, "residuals": 2, "ensemble": 1}[left_out]


def ensemble_values(one, every, infinite, disagreement):
    means = {"one": one, "all": every, "infinite": infinite, "disagreement": disagreement}
    return {"count": 3} | {name: {"mean": mean, "count": 10_000} for name, mean in means.items()}


def test_what_an_ensemble_gains_is_told_and_shown():
    test, validation = ensemble_values(0.02, 0.018, 0.017, 0.003), ensemble_values(1, 1, 0.1, 0.5)
    analysis = {"ensembles": [{"title": "`unet` and `b`", "test": test, "validation": validation}]}
    assert tables.ensemble_finding(analysis) == (
        "On all 10,000 test images 3 U-Nets (U-Net and `b`) err by 0.02000, their mean by 0.01800;"
        " that of infinitely many would by 0.01700."
    )
    assert tables.ensemble_finding({"methods": {}}) == ""
    assert tables.ensemble_rows(analysis) == [
        {
            "networks": "U-Net and `b`",
            "trained": "3",
            "one": "0.02000",
            "disagreement": "0.00300",
            "mean of 5": "0.01760",
            "of infinitely many": "0.01700",
            "mean of 5, validation": "0.20000",
        }
    ]
