"""Every figure of the report: in millimetres, letters large enough, nothing on anything else."""

from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from halfgen_lib import figures
from halfgen_lib.analysis import summaries
from halfgen_lib.analysis.published import published
from halfgen_lib.analysis.summaries import factor_summaries, summarise_variants
from halfgen_lib.data import CLASS_NAMES, load
from halfgen_lib.evaluation import SEED_REPORT_MSE
from halfgen_lib.files import read_json
from halfgen_lib.paper.display import figure_svg
from halfgen_lib.runs.published import published_runs
from halfgen_lib.runs.record import decode, read_results, results_path

WIDER = 1.06  # the page's letters, beside those that measure here


def study(name):
    return summarise_variants(read_results(results_path(name)).values(), name)


def histories(**variants):
    found = study("study")
    return {t: [r.history.model_dump() for r in found[v].records] for t, v in variants.items()}


def losses():
    seed = read_json(results_path("seed-curve"))
    panels = histories(**{"the public code": "as_published", "the text": "long"})
    return figures.loss_curves(panels, SEED_REPORT_MSE, seed)


def symmetry():
    scores = published_runs()["cae"].scores
    labels = np.arange(len(scores["mse"])) % 10
    noise = np.random.default_rng(0).lognormal(0, 0.7, len(labels))
    return figures.symmetry(scores["mse"] ** 0.7 * (1 + labels) * noise, scores["mse"], labels)


def architecture(name):
    left = decode(published("generative")["examples"]["left"])[-1]
    return figures.architecture(published_runs()[name].model(), left)


def teaser():
    generative = published("generative")
    point = generative["examples"]["point"]
    names = {"the seed’s\npublic code": "low_rank", "U-Net": "unet"}
    predictions = {title: decode(point[name]) for title, name in names.items()}
    return figures.teaser(generative, predictions, "residual-flow")


def of_generative(draw, *names, **options):
    return draw(*(published("generative")[name] for name in names), **options)


DRAWN = {
    "teaser": teaser,
    "architecture": lambda: architecture("cae"),
    "architecture of the U-Net": lambda: architecture("unet"),
    "architecture of the residual flow": lambda: architecture("residual-flow"),
    "losses": losses,
    "one network's losses": lambda: figures.loss_curves(histories(one="default"), SEED_REPORT_MSE),
    "symmetry": symmetry,
    "variants": lambda: figures.factor_dots(
        factor_summaries(study("study")), study("study")["default"]
    ),
    "growth": lambda: figures.error_curves(
        summaries.error_curves({name: study(name) for name in ("study", "beyond")})
    ),
    "plane": lambda: of_generative(figures.perception_distortion, "methods", "real"),
    "draws": lambda: figures.sample_sheet(published("generative")),
    "singular values": lambda: figures.singular_values(published("erratum")["singular_values"], 64),
    "histogram": lambda: figures.pixel_histogram(np.geomspace(1e7, 1e4, 256)),
    "classes": lambda: figures.score_dots(published_runs()["cae"].metrics["per_class"], height=62),
    "methods": lambda: figures.baseline_grid(
        published("baselines"), published_test(), "left", width=145
    ),
    "pictures": lambda: figures.image_grid(np.zeros((1, 10, 28, 28)), [""], CLASS_NAMES),
}


def published_test():
    test = load("sample").test
    first = np.arange(max(published("baselines")["examples"]["positions"]) + 1) % len(test)
    return replace(test, images=test.images[first], labels=test.labels[first])


def words(figure):
    """Return each text that is seen, and its box: names of ticks only within their axis."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not low <= tick.get_loc() <= high or not axes.axison:
                    hidden |= {tick.label1, tick.label2}
    found = [text for text in figure.findobj(Text) if text.get_visible() and text not in hidden]
    found = [text for text in found if text.get_text().strip()]
    return [(text, widened(text)) for text in found]


def widened(text):
    """Return a text's box as wide as the page's letters may make it, from where it is held."""
    box, held = Text.get_window_extent(text), {"left": 0, "center": 0.5, "right": 1}[text.get_ha()]
    more = (WIDER - 1) * box.width
    return Bbox.from_extents(box.x0 - held * more, box.y0, box.x1 + (1 - held) * more, box.y1)


def marks(figure):
    """Return the boxes of all points, but not those of the legend."""
    for axes in figure.axes:
        for line in axes.lines:
            if line.get_marker() not in ("None", "", None) and len(line.get_xdata()):
                half = line.get_markersize() * figure.dpi / 144
                for point in line.get_transform().transform(line.get_xydata()):
                    yield Bbox([point - half, point + half])


def faults(figure):
    """Return what a reader would stumble over."""
    figure.draw_without_rendering()
    texts, found = words(figure), []
    for text, box in texts:
        name = text.get_text()
        if text.get_fontsize() < 8:
            found.append(f"{name!r} has {text.get_fontsize()} points")
        if text.get_rotation() or "$" in name:
            found.append(f"{name!r} is turned, or a formula")
        inside = figure.bbox
        if box.x0 < inside.x0 - 1 or box.x1 > inside.x1 + 1:
            found.append(f"{name!r} leaves the figure at a side")
        if box.y0 < inside.y0 - 1 or box.y1 > inside.y1 + 1:
            found.append(f"{name!r} leaves the figure above or below")
    small = [(text, box.shrunk(1, 0.8)) for text, box in texts]  # a line's height has room in it
    for (one, a), (other, b) in combinations(small, 2):
        if a.overlaps(b):
            found.append(f"{one.get_text()!r} meets {other.get_text()!r}")
    for mark in marks(figure):
        found += [f"{t.get_text()!r} meets a mark" for t, box in small if box.overlaps(mark)]
    return found


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_can_be_read(name):
    figure = DRAWN[name]()
    assert faults(figure) == []
    width = figure.get_size_inches()[0] * 25.4
    assert width == pytest.approx(156) or name == "methods"


def test_what_would_be_stumbled_over_is_found():
    figure, axes = plt.subplots()
    axes.plot([0.5], [0.5], "o")
    for words, size in (("$x^2$", 9), ("small", 7), ("turned", 9)):
        axes.text(0.5, 0.5, words, fontsize=size, rotation=90 * (words == "turned"), va="center")
    axes.text(1.6, 0.5, "far away")
    told = " ".join(faults(figure))
    for words in ("'small' has 7.0 points", "'$x^2$' is turned", "'turned' is turned"):
        assert words in told
    assert "'far away' leaves the figure at a side" in told and "meets a mark" in told
    assert "'small' meets 'turned'" in told


def test_ink_and_ground_are_the_page_s():
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], color="#0072B2")
    svg = figure_svg(figure, "one")
    assert "#000000" not in svg and "#0072b2" in svg and "<style" not in svg
    assert svg.count('fill="currentColor"') == 1
    assert svg == figure_svg(figure, "one") and "fill: #ffffff" not in svg
    figure.set_facecolor("#123456")
    assert "#123456" in figure_svg(figure) and "#000000" in figure_svg(figure)
