"""Charts of the published results: what is drawn, and that nothing is in another's way."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from halfgen_lib import figures
from halfgen_lib.analysis import curves
from halfgen_lib.analysis.published import published
from halfgen_lib.analysis.summaries import Summary, factor_summaries, summarise_variants
from halfgen_lib.evaluation import SEED_REPORT_MSE
from halfgen_lib.runs.record import read_results, results_path


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def study():
    return {
        name: summarise_variants(read_results(results_path(name)).records.values(), name)
        for name in ("study", "beyond")
    }


@pytest.fixture(scope="module")
def generative():
    return published("generative")


def legend(figure):
    return [text.get_text() for text in figure.legends[0].texts]


def test_a_factor_is_a_panel_and_the_default_a_line(study):
    factors = factor_summaries(study["study"])
    few = {name: factors[name] for name in ("flip", "optimizer", "loss")}
    figure = figures.factor_dots(few, study["study"]["default"])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["flip", "optimizer", "loss", ""]
    assert legend(figure) == ["validation", "test"]
    (line,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert line.get_xdata()[0] == study["study"]["default"].mean("val_mse")
    without = figures.factor_dots(few, Summary("default"))
    assert all(line.get_linestyle() != "--" for line in without.axes[0].lines)


def test_curves_have_round_numbers_below_and_the_floor_across(study):
    figure = figures.error_curves(curves.error_curves(study), floor=0.005)
    assert [ax.get_xlabel() for ax in figure.axes] == list(curves.AXES)
    figure.draw_without_rendering()
    images = figure.axes[list(curves.AXES).index("training images")]
    labels = [label.get_text() for label in images.get_xticklabels()]
    assert labels == ["1k", "3k", "10k", "30k"]
    assert all(ax.lines[-1].get_ydata()[0] == 0.005 for ax in figure.axes)


def test_the_curves_of_all_seeds_are_drawn(study):
    records = study["study"]["default"].records[:3]
    figure = figures.seed_curves({"a": records, "b": records[:1]}, SEED_REPORT_MSE)
    figure.draw_without_rendering()
    losses, other, rates, _ = figure.axes
    assert [len(ax.lines) for ax in (losses, other, rates)] == [3 * 3 + 1, 3 + 1, 3]
    best = losses.lines[2]
    assert best.get_xdata() == [records[0].best_epoch]
    assert best.get_ydata() == [min(records[0].history.val_loss)]
    assert legend(figure) == ["training", "validation", "lowest"]


def test_scores_have_a_panel_a_measure_and_their_reference_a_line():
    scores = {
        name: {key: {"mean": mean, "low": mean / 2, "high": 2 * mean} for key in ("mse", "ssim")}
        for name, mean in (("a", 0.1), ("b", 0.2))
    }
    figure = figures.score_dots(scores, reference="b")
    assert [ax.get_xlabel()[:4] for ax in figure.axes] == ["MSE ", "SSIM"]
    for ax in figure.axes:
        points, *_, line = ax.lines
        assert list(points.get_xdata()) == [0.1, 0.2] and line.get_xdata()[0] == 0.2
        (bars,) = ax.collections
        assert np.allclose([bar[:, 0] for bar in bars.get_segments()], [[0.05, 0.2], [0.1, 0.4]])


def test_no_label_in_the_plane_meets_another_or_a_line_or_leaves_the_frame(generative):
    """If this fails after new results, the labels need new places: `samples.PLACES`."""
    figure = figures.perception_distortion(generative["methods"], generative["real"])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}
    assert len(boxes) == 9 + 2 * 5 + 1  # predictions, samplers, the true images
    meeting = [(a, b) for a, b in combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]
    assert meeting == []
    lines = [line.get_transform().transform_path(line.get_path()) for line in axes.lines]
    bars = [axes.transData.transform_path(p) for c in axes.collections for p in c.get_paths()]
    frame = axes.get_window_extent()
    for name, box in boxes.items():
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1, name
        assert frame.y0 <= box.y0 and box.y1 <= frame.y1, name
        assert not any(path.intersects_bbox(box, filled=False) for path in lines + bars), name


def test_a_method_without_a_place_of_its_own_is_labelled_too(generative):
    methods = {"new": generative["methods"]["mirror"] | {"title": "new"}}
    methods["sampler"] = generative["methods"]["flow"] | {"title": "sampler"}
    figure = figures.perception_distortion(methods, generative["real"])
    names = [text.get_text() for text in figure.axes[0].texts]
    assert names == ["new", "sampler, one draw", "sampler, mean of 16", "true images"]


def test_draws_have_a_curve_and_a_bar_each(generative):
    methods = generative["methods"]
    many = figures.draw_curves(methods, ["default", "unet"])
    assert [len(ax.lines) for ax in many.axes] == [5 + 2] * 2
    bars = figures.coverage_bars(methods)
    assert len(bars.axes[0].patches) == 5 * 2
    assert legend(bars) == ["intervals of 50%", "intervals of 90%"]
    for figure in (many, bars):
        figure.draw_without_rendering()
