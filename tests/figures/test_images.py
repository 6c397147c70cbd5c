"""Pictures of images: what stands where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import SMALL

from halfgen_lib import figures
from halfgen_lib.analysis.published import published
from halfgen_lib.data import CLASS_NAMES
from halfgen_lib.figures.images import pairs_strip, tile
from halfgen_lib.models import build_model


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_tiles_have_gaps_between_them_and_none_around():
    sheet = tile(np.zeros((2, 3, 4, 5)), gap=2)
    assert sheet.shape == (4 + 2 + 4, 5 + 2 + 5 + 2 + 5)
    assert sheet[:4, :5].max() == 0 and np.isnan(sheet[4:6]).all() and np.isnan(sheet[:, 5:7]).all()


def said(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_completions_stand_beside_their_images():
    shades = np.arange(40)[:, None, None] / 100 * np.ones((28, 28))
    positions = np.arange(20).reshape(10, 2)
    figure = figures.completions(shades, shades + 0.5, positions, ["first", "second"])
    assert said(figure) == [*CLASS_NAMES, "first", "second"]
    second = figure.axes[0].images[1].get_array()
    assert second[0, 0] == pytest.approx(0.01) and second[0, -1] == pytest.approx(0.51)


def test_every_method_has_a_column(sample):
    baselines = published("baselines")
    examples = baselines["examples"] | {"positions": list(range(10))}
    figure = figures.baseline_grid(baselines | {"examples": examples}, sample.test, "left")
    told = " ".join(said(figure)[10:]).replace("\n", " ")
    titles = [row["title"] for row in baselines["methods"].values()]
    assert {"true", *" ".join(titles).split()} <= {*told.split()}
    assert len(figure.axes[0].images) == 1 + len(baselines["methods"])


def test_draws_stand_beside_what_is_given_true_and_predicted():
    generative = published("generative")
    networks = [generative["methods"][n] for n in generative["runs"]]
    drawn = [row["title"] for row in networks if row["draws"] > 1]
    sheet = figures.sample_sheet(generative, names=("Bag",))
    assert said(sheet) == ["Bag", "left half", "truth", "autoencoder", "U-Net", *drawn]
    assert len(sheet.axes[0].images) == 4 + 4 * len(drawn)
    pages = figures.sample_pages(generative)
    assert list(pages) == list(CLASS_NAMES)
    assert list(pages["Bag"]) == ["truth, autoencoder, U-Net", *drawn]
    first, *draws = pages["Bag"].values()
    assert {strip.shape for strip in draws} == {first.shape}
    assert not np.isnan(first[:, :28]).any() and np.isnan(first[:, 3 * 32 :]).all()


def test_the_teaser_has_a_row_a_class_and_the_truth_last():
    generative = published("generative")
    right = np.zeros((10, 28, 14))
    figure = figures.teaser(generative, {"black": right}, "flow", ("Bag", "Coat"), count=2)
    assert len(figure.axes[0].images) == 2 * (1 + 1 + 2 + 1)
    assert {"left half", "black", "truth"} < set(said(figure))
    assert "2 draws of the flow: each sharp, each different" in said(figure)


def test_a_network_is_drawn_to_scale(train):
    model = build_model("cae", SMALL["cae"])
    plain = figures.architecture(model)
    assert not plain.axes[0].images
    assert "2 convolutions" in said(plain) and "4 fully connected layers" in said(plain)
    with_ends = figures.architecture(model, train[0][0, 0].numpy())
    assert len(with_ends.axes[0].images) == 2 and "right half" in said(with_ends)


def test_class_pages_follow_their_rules():
    error, labels = np.array([0.4, 0.1, 0.3, 0.2, 0.5]), np.zeros(5, dtype=int)
    images = np.arange(5)[:, None, None] / 5 * np.ones((1, 4, 4))
    pages = figures.class_pages(images, images, error, labels, count=1)
    assert list(pages) == list(CLASS_NAMES) and pages["Bag"] == {}
    shades = {name.split(":")[0]: strip[0, 0] * 5 for name, strip in pages["T-shirt/top"].items()}
    assert shades == pytest.approx({"first": 0, "best": 1, "median": 2, "worst": 4})
    assert pairs_strip(images[:2], images[:2]).shape == (4, 2 * (4 + 1 + 4) + 8)
