"""The explorer: what it shows, its panels, and the notebook in a browser as a person uses it."""

import asyncio
import io
import re
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from conftest import SMALL
from PIL import Image

from halfgen_lib.data import CLASS_NAMES, halves, join, to_unit
from halfgen_lib.evaluation import mse_per_image
from halfgen_lib.explore.completion import complete
from halfgen_lib.explore.controls import Drawing, Slider
from halfgen_lib.explore.explorer import (
    WALK,
    WHAT_TO_RUN,
    Choice,
    Explorer,
    find_models,
    mirroring,
    walk,
)
from halfgen_lib.explore.panels import drawing_panel, image_panel, upload_panel, walk_panel
from halfgen_lib.explore.pictures import PictureError
from halfgen_lib.explore.tiles import AWAITED, OVER, UNDER, UNKNOWN, error_tile, png
from halfgen_lib.files import project_root
from halfgen_lib.models import build_model
from halfgen_lib.runs import RunError, choose_run
from halfgen_lib.runs.published import publish_run
from halfgen_lib.training import fit

ROOT = project_root()
BOOT = CLASS_NAMES.index("Ankle boot")


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {name: build_model(name, SMALL[name]).eval() for name in ("cae", "unet", "cvae")}


@pytest.fixture
def explorer(sample, networks):
    models = {name: (lambda name=name: networks[name], "left") for name in networks}
    return Explorer(sample.test, models)


def images_in(html):
    """Return each image's description and source."""
    return re.findall(r'<img alt="([^"]*)"[^>]* src="([^"]*)"', html)


@pytest.mark.parametrize("given", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_pictures_are_the_images_and_the_models(explorer, networks, sample, given, mirrored):
    view = explorer.view(Choice(BOOT, 1, "cae", given, mirrored))
    position = np.flatnonzero(sample.test.labels.numpy() == BOOT)[1]
    image = to_unit(sample.test.images[position][None])
    pair = (image, image.flip(-1))
    shown = pair[mirrored]
    left, right = halves(shown, given)
    completed = networks["cae"].predict(left)
    covered, whole, truth, _ = view.rows[0]
    assert np.array_equal(truth.pixels, shown[0, 0].numpy())
    assert np.allclose(whole.pixels, join(left, completed, given)[0, 0].numpy(), atol=1e-6)
    hidden = join(torch.zeros_like(left), torch.ones_like(right), given)[0, 0].bool().numpy()
    assert np.allclose(covered.pixels[hidden], UNKNOWN)
    assert np.array_equal(covered.pixels[~hidden][:, 0], truth.pixels[~hidden])
    for each in pair:
        left, right = halves(each, given)
        mse = mse_per_image(networks["cae"].predict(left), right).item()
        assert f"{mse:.4f}" in view.words[0]
    assert ("mirrored." in view.words[0].split("Shown")[1]) == mirrored
    assert any("was trained on left halves alone" in w for w in view.words) == (given != "left")
    assert len(view.rows) == 1  # it draws nothing


def test_draws_follow_their_number_and_seed(explorer):
    def drawn(**changes):
        return [t.pixels for t in explorer.view(Choice(0, 0, "cvae", **changes)).whole().rows[1]]

    three, same, others = drawn(draws=3), drawn(draws=3), drawn(draws=3, seed=1)
    assert len(three) == 3 and len(drawn(draws=5)) == 5
    assert np.array_equal(three, same) and not np.array_equal(three, others)
    assert not np.array_equal(three[0], three[1])
    assert all(np.array_equal(t[:, :14], three[0][:, :14]) for t in others)  # the known half


def test_draws_have_their_places_before_they_are_made(explorer):
    view = explorer.view(Choice(0, 0, "cvae", draws=3))
    later, whole = view.rows[1], view.whole()
    assert [tile.alt for tile in later] == [AWAITED] * 3
    assert all(tile.alt.startswith("Draw ") for tile in whole.rows[1])
    assert whole.rows[0] == view.rows[0] and whole.words == view.words and whole.whole() is whole


def test_the_error_map_tells_too_bright_from_too_dark():
    truth = torch.full((28, 28), 0.5)
    completed = truth.clone()
    completed[3, 20], completed[4, 21] = 1.0, 0.0
    tile = error_tile(completed, truth)
    assert np.allclose(tile.pixels[3, 20], OVER) and np.allclose(tile.pixels[4, 21], UNDER)
    assert (tile.pixels[0] == 1).all() and "row 4 of 28, column 21" in tile.alt


def test_a_walk_is_straight_in_the_code_and_ends_at_the_images(explorer, networks):
    model = networks["cae"]
    left, _ = halves(torch.cat([explorer.image(0, 0), explorer.image(BOOT, 0)]))
    made = walk(model, left, torch.tensor([0.0, 1.0, 0.25]))
    assert torch.allclose(made[:2], model.predict(left), atol=1e-6)
    codes = model.encoder(left)
    assert torch.allclose(made[2:], model.decoder(0.75 * codes[:1] + 0.25 * codes[1:]), atol=1e-6)
    assert explorer.walkers() == ["cae"]
    view = explorer.walk((0, 0), (BOOT, 0), "cae", 0.25)
    assert np.allclose(view.rows[0][1].pixels, made[2, 0].detach().numpy(), atol=1e-6)
    assert len(view.rows[1]) == WALK and np.allclose(view.rows[1][2].pixels, view.rows[0][1].pixels)


def test_mirroring_is_measured_for_each_class(explorer, networks, sample):
    rows = mirroring(explorer, 1000, "left")
    assert [name for name, *_ in rows] == list(CLASS_NAMES)
    images = to_unit(sample.test.images[sample.test.labels == BOOT])
    for view, mse in ((images, rows[BOOT][1]), (images.flip(-1), rows[BOOT][2])):
        left, right = halves(view)
        expected = mse_per_image(networks["cae"].predict(left), right).mean().item()
        assert mse == pytest.approx(expected, rel=1e-5)
    assert mirroring(Explorer(sample.test, {}), 10, "left") == []


def test_an_uploaded_file_is_completed_or_named(explorer):
    pixels = np.full((40, 30), 250, dtype=np.uint8)
    pixels[5:35, 8:22] = 40
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    view = explorer.complete_file("my <photo>.png", content.getvalue(), "left", "cvae", 3, 0)
    assert len(view.whole().rows[0]) == 4 and view.words[0].startswith("Inverted it")
    made = complete(pixels, "left", explorer.model("cvae"), 3)
    for tile, image in zip(view.whole().rows[0][1:], made.completed, strict=True):
        assert np.array_equal(tile.pixels, image[0].numpy())
    with pytest.raises(PictureError, match=r"^my <photo>\.png is not a picture of a known format"):
        explorer.complete_file("my <photo>.png", b"no picture", "left", "cae", 1, 0)


def test_models_are_the_published_ones_and_the_last_run(tiny_config, sample, tmp_path, monkeypatch):
    monkeypatch.setenv("HALFGEN_NETWORKS", str(tmp_path / "networks"))
    assert find_models() == {}
    run = fit(tiny_config(epochs=1), sample, quiet=True)
    choose_run(run)
    assert list(find_models()) == [run.run_id]
    publish_run(run, "cae", sample)
    assert list(find_models()) == ["cae"]  # it is the same network
    other = fit(tiny_config(epochs=1, given="top"), sample, quiet=True)
    choose_run(other)
    models = find_models()
    assert {name: side for name, (_, side) in models.items()} == {
        "cae": "left",
        other.run_id: "top",
    }
    left, _ = sample.test.halves()
    found = Explorer(sample.test, models)
    shown, trained = found.model("cae").predict(left), run.model().predict(left)
    assert torch.allclose(shown, trained, atol=1e-3)  # what is published is in half precision
    (tmp_path / "networks" / "cae" / "model.safetensors").unlink()
    damaged = Explorer(sample.test, models)
    assert damaged.walkers() == [other.run_id]
    with pytest.raises(RunError, match="is missing"):
        damaged.model("cae")
    assert "is missing; restore it" in image_panel(damaged).picture.value


# ---- the panels, without a browser


def controls_of(panel):
    """Return a panel's controls by their descriptions."""
    column = panel.children[-1]
    return {control.description: control for control in column.children[0].children}


def test_every_control_has_a_description_and_every_picture_a_text(explorer):
    panels = [image_panel(explorer), walk_panel(explorer), drawing_panel(explorer, (BOOT, 0))]
    for panel in (*panels, upload_panel(explorer)):
        assert all(controls_of(panel)), panel
    for panel in panels:
        pictures = images_in(panel.picture.value)
        assert len(pictures) > 1 and all(len(alt) > 10 for alt, _ in pictures)
    widget, html = "application/vnd.jupyter.widget-view+json", panels[0].picture.value
    assert panels[0]._repr_mimebundle_().keys() >= {widget, "text/html", "text/plain"}
    assert panels[0]._repr_mimebundle_()["text/html"] == html


def test_the_picture_follows_every_control(explorer):
    panel = image_panel(explorer)
    controls = controls_of(panel)
    seen = {panel.picture.value}
    for name, value in (
        ("class", BOOT), ("image", 2), ("model", "cvae"), ("known side", "top"),
        ("mirror the image", True), ("draws", 6),
    ):  # fmt: skip
        assert controls["draws"].disabled == (controls["model"].value == "cae")
        controls[name].value = value
        assert panel.picture.value not in seen, name
        seen.add(panel.picture.value)
    controls["draw again"].click()
    assert panel.picture.value not in seen
    assert len(images_in(panel.picture.value)) == 4 + 6


def test_only_what_is_still_wanted_is_drawn(explorer, monkeypatch):
    """Where messages wait, as those of a slider that is dragged, the last one alone is drawn."""
    panel = image_panel(explorer)
    controls, drawn, shown = controls_of(panel), [], []
    controls["model"].value = "cvae"
    draw = explorer._drawn
    monkeypatch.setattr(explorer, "_drawn", lambda c, *rest: drawn.append(c) or draw(c, *rest))

    async def drag():
        for number in (1, 2, 3):
            controls["image"].value = number
            shown.append(panel.picture.value)
        await asyncio.sleep(0)

    asyncio.run(drag())
    assert len(set(shown)) == 3 and all(AWAITED in html for html in shown)
    assert [choice.number for choice in drawn] == [3]
    assert AWAITED not in panel.picture.value and len(images_in(panel.picture.value)) == 4 + 4


def test_the_image_stays_within_its_class(sample, networks):
    few = sample.test.select((sample.test.labels != 1) | (torch.arange(100) < 20))
    explorer = Explorer(few, {"cae": (lambda: networks["cae"], "left")})
    assert 0 < explorer.count(1) < explorer.count(0)
    controls = controls_of(image_panel(explorer))
    controls["image"].value = 10**6
    assert controls["image"].value == explorer.count(0) - 1
    controls["class"].value = 1
    assert controls["image"].value == controls["image"].max == explorer.count(1) - 1


def test_a_drawing_is_completed(explorer):
    panel = drawing_panel(explorer, (BOOT, 0))
    drawing = panel.children[0]
    start = explorer.image(BOOT, 0)[0, 0, :, :14].mul(255).round().byte().numpy()
    assert np.array_equal(drawing.pixels(), start)
    before = panel.picture.value
    drawing.value = bytes(28 * 14)
    assert panel.picture.value != before and len(images_in(panel.picture.value)) == 2


def test_what_cannot_be_used_is_said_in_the_panel(explorer):
    panel = upload_panel(explorer)
    assert "Choose a picture" in panel.picture.value
    file = {"name": "<b>.txt", "type": "", "size": 1, "content": memoryview(b"x")}
    controls_of(panel)["choose a picture"].value = (file | {"last_modified": datetime.now(UTC)},)
    assert 'role="alert">&lt;b&gt;.txt is not a picture' in panel.picture.value


def test_without_weights_it_says_what_to_run(sample, networks):
    nothing = Explorer(sample.test, {})
    for panel in (image_panel, walk_panel, upload_panel, drawing_panel):
        assert "Run notebook 02_train" in WHAT_TO_RUN in panel(nothing).picture.value
    unet = Explorer(sample.test, {"unet": (lambda: networks["unet"], "left")})
    assert "train a cae" in walk_panel(unet).picture.value


def test_sliders_and_drawings_hold_what_is_sent():
    slider = Slider(value=5, min=1, max=8, description="draws")
    for sent, held in ((0, 1), (100, 8), (3, 3)):
        slider.value = sent
        assert slider.value == held
    slider.max = 2
    assert slider.value == 2
    pixels = np.arange(392, dtype=np.uint32).reshape(28, 14).astype(np.uint8)
    assert np.array_equal(Drawing(pixels).pixels(), pixels)


def test_a_png_shows_each_pixel_as_a_square():
    pixels = np.random.default_rng(0).random((3, 2))
    with Image.open(io.BytesIO(png(pixels, scale=4))) as image:
        shown = np.asarray(image)
    assert shown.shape == (12, 8) and np.array_equal(shown[::4, ::4], np.rint(pixels * 255))
    assert np.array_equal(shown[3::4, 3::4], shown[::4, ::4])
