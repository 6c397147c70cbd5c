"""Charts of the published results: what is drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from halfgen_lib import figures
from halfgen_lib.analysis import summaries
from halfgen_lib.analysis.published import published
from halfgen_lib.analysis.summaries import factor_summaries, summarise_variants
from halfgen_lib.evaluation import SEED_REPORT_MSE
from halfgen_lib.figures.studies import last_doubling
from halfgen_lib.runs.record import read_results, results_path
from halfgen_lib.variants import FACTORS, GROUPS, NAMES


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def study():
    return {
        name: summarise_variants(read_results(results_path(name)).values(), name)
        for name in ("study", "beyond")
    }


@pytest.fixture(scope="module")
def generative():
    return published("generative")


def legend(figure):
    return [text.get_text() for text in figure.legends[0].texts]


def said(axes):
    return [text.get_text() for text in axes.texts]


def test_variants_stand_on_one_scale_and_the_band_is_the_seeds(study):
    default = study["study"]["default"]
    figure = figures.factor_dots(factor_summaries(study["study"]), default)
    page, chart = figure.axes
    words = said(page)
    assert [w for w in words if w in GROUPS] == list(GROUPS)
    shown = {n for f in FACTORS if f != "epochs" for n in FACTORS[f]} - {"default"}
    there = [NAMES[name] for name in shown if study["study"][name].count]
    star = {n + "*" * (not study["study"][k].can_be_chosen) for k, n in NAMES.items() if n in there}
    assert star <= set(words) and len(star) == len(there)
    (band,) = chart.patches
    mean, sd = default.mean("val_mse"), default.sd("val_mse")
    assert band.get_x() == pytest.approx(mean - 2 * sd)
    assert band.get_width() == pytest.approx(4 * sd)
    filled = [line for line in chart.lines if line.get_marker() == "o"]
    for line in filled:
        clear = abs(line.get_xdata()[0] - mean) > 2 * sd
        assert (line.get_markerfacecolor() != "none") == clear
    arrows = [text for text in said(chart) if text.endswith("→")]
    assert f"{study['study']['sgd'].mean('val_mse'):.4f} →" in arrows
    assert len(filled) + len(arrows) == len(there)


def test_curves_share_their_scales_and_tell_the_last_doubling(study):
    found = summaries.error_curves(study)
    figure = figures.error_curves(found)
    assert [ax.get_xlabel() for ax in figure.axes] == list(summaries.AXES)
    figure.draw_without_rendering()
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    decades = [
        ax.get_window_extent().width / np.log10(np.divide(*ax.get_xlim()[::-1]))
        for ax in figure.axes
    ]
    assert max(decades) == pytest.approx(min(decades), rel=0.01)
    assert legend(figure) == ["autoencoder", "U-Net", "autoencoder, as many steps"]
    change = last_doubling(found["epochs"]["U-Net"])
    assert said(figure.axes[-1]) == [f"{change:+.1%}".replace("-", "\u2212")]


def test_the_curves_of_all_seeds_are_drawn(study):
    records = study["study"]["default"].records[:3]
    three = [record.history.model_dump() for record in records]
    figure = figures.loss_curves({"a": three, "b": three[:1]}, SEED_REPORT_MSE, three[0])
    one, other = figure.axes
    assert [len(ax.lines) for ax in (one, other)] == [1 + 3 * 4 + 2, 1 + 4]
    lowest = one.lines[3]
    assert lowest.get_xdata() == [records[0].best_epoch]
    assert lowest.get_ydata() == [min(records[0].history.val_loss)]
    assert one.get_ylim() == other.get_ylim()
    own = ["the seed’s validation", "the seed’s training"]
    assert legend(figure)[-2:] == own
    assert not set(own) & set(legend(figures.loss_curves({"a": three}, SEED_REPORT_MSE)))


def test_symmetry_shows_the_means_and_the_correlations():
    labels = np.arange(1000) % 10
    mirror = np.random.default_rng(0).lognormal(-3, 1, 1000)
    error = np.where(labels == 5, mirror, 0.01 / mirror)
    cloud, rows = figures.symmetry(mirror, error, labels).axes
    drawn = {tuple(point) for line in cloud.lines for point in line.get_xydata()}
    means = {(mirror[labels == c].mean(), error[labels == c].mean()) for c in range(10)}
    assert drawn == means
    names = [text.get_text() for text in rows.get_yticklabels()]
    assert names[0] == "Sandal" and names[-1] == "all images" and len(names) == 11
    assert said(rows)[0] == "1.00" and said(rows)[1] == "\u22121.00"


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


def test_the_plane_names_every_method_once(generative):
    figure = figures.perception_distortion(generative["methods"], generative["real"])
    methods = generative["methods"]
    page, axes = figure.axes
    told = " ".join(said(page))
    assert all((row["title"] in said(axes)) != (row["title"] in told) for row in methods.values())
    assert "mirror at" in told and len(said(axes)) == len(methods) - 2
    drawing = [name for name, row in methods.items() if row["draws"] > 1]
    open_marks = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert len(open_marks) == len(drawing) + 1  # the legend's own


def test_a_method_that_nobody_knows_is_drawn_too(generative):
    methods = {"new": generative["methods"]["mirror"] | {"title": "new"}}
    figure = figures.perception_distortion(methods, generative["real"])
    assert said(figure.axes[1]) == ["new"]
