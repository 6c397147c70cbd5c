"""Pictures of images: what stands where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from halfgen_lib import figures
from halfgen_lib.analysis.published import published
from halfgen_lib.data import CLASS_NAMES
from halfgen_lib.figures.images import pairs_strip, tile


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_tiles_have_gaps_between_them_and_none_around():
    sheet = tile(np.zeros((2, 3, 4, 5)), gap=2)
    assert sheet.shape == (4 + 2 + 4, 5 + 2 + 5 + 2 + 5)
    assert sheet[:4, :5].max() == 0 and sheet[4:6].min() == 1 and sheet[:, 5:7].min() == 1


def test_completions_stand_beside_their_images():
    shades = np.arange(40)[:, None, None] / 100 * np.ones((28, 28))
    positions = np.arange(20).reshape(10, 2)
    figure = figures.completions(shades, shades + 0.5, positions, ["first", "second"])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["first", "second"]
    assert [text.get_text() for text in figure.axes[0].texts] == [*CLASS_NAMES]
    second = figure.axes[1].images[0].get_array()
    assert second[0, 0] == pytest.approx(0.01) and second[0, -1] == pytest.approx(0.51)


def test_every_method_has_a_column(sample):
    baselines = published("baselines")
    positions = list(range(10))
    examples = baselines["examples"] | {"positions": positions}
    figure = figures.baseline_grid(baselines | {"examples": examples}, sample.test, "left")
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    assert titles == ["true", *(m["title"] for m in baselines["methods"].values())]


def test_all_strips_of_a_sheet_of_draws_are_as_high_as_each_other():
    sheet = figures.sample_sheet(published("generative"), "unet")
    titles = [ax.get_title(loc="left") for ax in sheet.axes]
    assert titles[:4] == ["given", "true", "U-Net", "donor"] and len(titles) == 3 + 5
    single, drawn = (sheet.axes[i].images[0].get_array().shape for i in (0, -1))
    assert abs(single[0] - drawn[0]) <= 1
    sheet.draw_without_rendering()


def test_class_pages_follow_their_rules():
    error, labels = np.array([0.4, 0.1, 0.3, 0.2, 0.5]), np.zeros(5, dtype=int)
    images = np.arange(5)[:, None, None] / 5 * np.ones((1, 4, 4))
    pages = figures.class_pages(images, images, error, labels, count=1)
    assert list(pages) == list(CLASS_NAMES) and pages["Bag"] == {}
    shades = {name.split(":")[0]: strip[0, 0] * 5 for name, strip in pages["T-shirt/top"].items()}
    assert shades == pytest.approx({"first": 0, "best": 1, "median": 2, "worst": 4})
    assert pairs_strip(images[:2], images[:2]).shape == (4, 2 * (4 + 1 + 4) + 8)
