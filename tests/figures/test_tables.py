"""Rows of tables: of the published results, and of values that show the sums."""

from halfgen_lib.analysis.published import published
from halfgen_lib.figures import tables


def test_an_interval_may_show_its_sign_and_its_ends():
    value = {"mean": 0.00123, "low": -0.00011, "high": 0.00254}
    assert tables.formatted(value, "[.3f]") == "0.001 [-0.000, 0.003]"
    assert tables.formatted(value, "[+.4f]") == "+0.0012 [-0.0001, +0.0025]"
    assert tables.formatted(value, ".3f") == "0.001" and tables.formatted(None, ".3f") == "–"


def test_a_cell_finds_its_value_or_says_that_there_is_none():
    columns = {"a": ("x > 0.9", ".1f"), "b": ("x > y > z", ".1f"), "c": ("n", ",")}
    assert tables.cells({"x": {"0.9": 1.5}, "n": 2000}, columns) == {
        "a": "1.5",
        "b": "–",
        "c": "2,000",
    }


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
    assert rows[-1]["method"] == "**true images**"
    assert all(list(row) == list(rows[0]) for row in rows)
    by_name = {row["method"]: row for row in rows}
    assert by_name["ridge"]["90% covers"] == "–" and by_name["flow"]["90% covers"].endswith("%")


def test_what_could_be_avoided_is_told_of_each_predictor():
    value = {"mean": 0.01, "low": 0.009, "high": 0.011}
    found = {"mse": value, "shared": value, "floor": value}
    sizes, both = {"test": {"count": 3}}, {"avoidable": {"one": found, "all": found}}
    groups = {"U-Net": sizes | {"validation": {"all": {"mean": 0.1}}} | both}
    groups["other"] = sizes | {"validation": {"all": {"mean": 0.2}}}
    one, every = tables.floor_rows(groups)
    assert one["predictor"] == "U-Net" and one["left"] == "0.0100 [0.0090, 0.0110]"
    assert every["predictor"] == "mean of 3, U-Net"
    finding = "Neighbours share 100% of the error of one U-Net, which leaves 0.0100"
    of_mean = "100% of the error of the mean of 3 networks (U-Net), which leaves 0.0100."
    assert tables.floor_finding(groups) == f"{finding}, and {of_mean}"
    groups["other"]["validation"]["all"]["mean"] = 0.05  # the best mean, of which nothing is known
    assert tables.floor_finding(groups) == f"{finding}."


def realism(lowest, above, auc):
    row = {"draws": 19, "frechet": {"mean": 9.1}}
    methods = {
        name: row | {"title": name, "two_sample": {"whole": {"mean": value}}}
        for name, value in auc.items()
    }
    return {"methods": methods, "realism": {"lowest": lowest, "above": above}}


def test_most_real_is_said_only_where_images_tell_it():
    far, near = ({"mean": 1.0, "low": low, "high": 2.0} for low in (0.5, -0.5))
    auc = {"donor": 0.66, "flow": 0.6}
    alone = tables.realism_finding(realism("donor", {"flow": far}, auc))
    assert "the donor look most real (9.1), and no other" in alone and "sure of the flow" in alone
    shared = tables.realism_finding(realism("donor", {"flow": near}, auc))
    assert "which the images do not tell from the flow" in shared and "no other" not in shared
    assert tables.realism_finding({"methods": {}, "realism": {}}) == ""


def ensemble_values(one, every, infinite, disagreement):
    means = {"one": one, "all": every, "infinite": infinite, "disagreement": disagreement}
    return {"count": 3} | {name: {"mean": mean, "count": 10_000} for name, mean in means.items()}


def test_what_an_ensemble_gains_is_told_and_shown():
    test, validation = ensemble_values(0.02, 0.018, 0.017, 0.003), ensemble_values(1, 1, 0.1, 0.5)
    for values in (test, validation):
        del values["infinite"]  # they are of two kinds
    groups = {"a and b": {"test": test, "validation": validation}}
    worse = groups["a and b"] | {"validation": ensemble_values(2, 2, 0.1, 0.5)}
    assert tables.ensemble_finding({"c": worse} | groups) == (
        "On all 10,000 test images 3 networks (a and b) err by 0.02000, their mean by 0.01800."
    )
    assert tables.ensemble_rows(groups) == [
        {
            "networks": "a and b",
            "trained": "3",
            "one": "0.02000",
            "disagreement": "0.00300",
            "mean of 5": "0.01800",
            "of infinitely many": "–",
            "mean of 5, validation": "1.00000",
        }
    ]
