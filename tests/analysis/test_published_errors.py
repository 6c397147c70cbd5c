"""The numbers of the paper's tables, computed again from each image's published error."""

import numpy as np
import pytest

from halfgen_lib.analysis.generative import COMPARED
from halfgen_lib.analysis.published import published
from halfgen_lib.evaluation import bootstrap
from halfgen_lib.runs.published import published_runs
from halfgen_lib.runs.record import decode_errors

HALF = 1e-3  # half-precision numbers, relative


def same(found, stored):
    for end in ("mean", "low", "high"):
        assert found[end] == pytest.approx(stored[end], rel=HALF, abs=2e-6)


@pytest.fixture(scope="module", params=["baselines", "erratum", "generative"])
def analysis(request):
    return request.param, published(request.param)


def test_means_and_intervals_follow_from_the_errors(analysis):
    name, values = analysis
    for method, text in values["errors"].items():
        stored = values["test_mse"] if name == "erratum" else values["methods"][method]
        if name == "baselines":
            stored = stored["overall"]["mse"]
        if name == "generative":
            stored = stored.get("mean", stored)["mse"]
        errors = decode_errors(text)
        assert len(errors) == stored["count"]
        same(bootstrap(errors), stored)


def test_means_of_several_networks_follow_from_the_errors():
    measured = [g for g in published("ensembles")["groups"].values() if "errors" in g]
    for group in measured:
        same(bootstrap(decode_errors(group["errors"])), group["test"]["all"])


def test_paired_differences_follow_from_the_errors():
    baselines, drawn = published("baselines"), published("generative")
    for values, other, stored in (
        (baselines, "network", baselines["differences"]),
        (drawn, COMPARED, {n: m["above"] for n, m in drawn["methods"].items() if "above" in m}),
    ):
        errors = {name: decode_errors(text) for name, text in values["errors"].items()}
        for name, difference in stored.items():
            found = bootstrap(errors[name] - errors[other])
            assert found["mean"] == pytest.approx(difference["mean"], abs=2e-5)


def test_the_same_network_has_the_same_errors_wherever_it_stands():
    """The autoencoder of the baselines and the published network are one run."""
    errors = published_runs()["cae"].scores["mse"]
    assert np.allclose(
        decode_errors(published("baselines")["errors"]["network"]), errors, rtol=HALF
    )
