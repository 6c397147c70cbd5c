"""The explorer: what it shows, its panels, and the notebook in a browser as a person uses it."""

import asyncio
import base64
import io
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SMALL
from PIL import Image

from halfgen_lib.data import CLASS_NAMES, halves, join, to_unit
from halfgen_lib.evaluation import mse_per_image
from halfgen_lib.explore.completion import complete
from halfgen_lib.explore.explorer import (
    AWAITED,
    OVER,
    UNDER,
    UNKNOWN,
    WALK,
    WHAT_TO_RUN,
    Explorer,
    error_tile,
    find_runs,
    tile,
    walk,
)
from halfgen_lib.explore.panels import (
    Slider,
    drawing_panel,
    image_panel,
    upload_panel,
    walk_panel,
)
from halfgen_lib.models import build_model
from halfgen_lib.runs import RunError, choose_run
from halfgen_lib.runs.published import publish_run
from halfgen_lib.training import fit

BOOT = CLASS_NAMES.index("Ankle boot")


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {name: build_model(name, SMALL[name]).eval() for name in ("cae", "unet", "cvae")}


def runs_of(**networks):
    """Return what the explorer asks of the networks' runs."""
    config = SimpleNamespace(given="left")
    return {
        name: SimpleNamespace(model=lambda network=network: network, config=config)
        for name, network in networks.items()
    }


@pytest.fixture
def explorer(sample, networks):
    return Explorer(sample.test, runs_of(**networks))


def images_in(html):
    """Return each image's description and source."""
    return re.findall(r'<img alt="([^"]*)"[^>]* src="([^"]*)"', html)


def pixels_of(source):
    """Return what an image shows: (H, W) or (H, W, 3), uint8."""
    with Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) as image:
        return np.asarray(image)[::5, ::5]


def pictures_in(html):
    return [pixels_of(source) for _, source in images_in(html)]


def grey(image):
    """Return what is shown of an image (..., 28, 28) in [0, 1]."""
    return np.rint(image.detach().numpy().reshape(28, -1) * 255)


def complete_image(explorer, which, model, given="left", mirrored=False, draws=4, seed=0):
    """Return the pages of a test image, one after the other."""
    return list(explorer.complete_image(which, given, model, mirrored, draws=draws, seed=seed))


@pytest.mark.parametrize("given", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_pictures_are_the_images_and_the_models(explorer, networks, sample, given, mirrored):
    (html,) = complete_image(explorer, (BOOT, 1), "cae", given, mirrored)  # it draws nothing
    position = np.flatnonzero(sample.test.labels.numpy() == BOOT)[1]
    image = to_unit(sample.test.images[position][None])
    pair = (image, image.flip(-1))
    shown = pair[mirrored]
    left, right = halves(shown, given)
    completed = join(left, networks["cae"].predict(left), given)
    covered, whole, truth, _ = pictures_in(html)
    assert np.array_equal(truth, grey(shown))
    assert np.abs(whole - grey(completed)).max() <= 1
    hidden = join(torch.zeros_like(left), torch.ones_like(right), given)[0, 0].bool().numpy()
    assert (covered[hidden] == np.rint(UNKNOWN * 255)).all()
    assert np.array_equal(covered[~hidden][:, 0], truth[~hidden])
    for each in pair:
        left, right = halves(each, given)
        mse = f"{mse_per_image(networks['cae'].predict(left), right).item():.4f}"
        assert mse in html.split("MSE of the unknown half")[1]
        assert f"completed, MSE {mse}<" in html or each is not shown
    assert ("mirrored." in html.split("Shown")[1]) == mirrored
    assert ("was trained on left halves alone" in html) == (given != "left")


def test_draws_follow_their_number_and_seed(explorer):
    def drawn(**changes):
        return pictures_in(complete_image(explorer, (0, 0), "cvae", **changes)[-1])[4:]

    three, same, others = drawn(draws=3), drawn(draws=3), drawn(draws=3, seed=1)
    assert len(three) == 3 and len(drawn(draws=5)) == 5
    assert np.array_equal(three, same) and not np.array_equal(three, others)
    assert not np.array_equal(three[0], three[1])
    assert all(np.array_equal(t[:, :14], three[0][:, :14]) for t in others)  # the known half


def test_draws_have_their_places_before_they_are_made(explorer):
    first, last = complete_image(explorer, (0, 0), "cvae", draws=3)
    assert [alt for alt, _ in images_in(first)[4:]] == [AWAITED] * 3
    drawn = images_in(last)[4:]
    for i, (alt, source) in enumerate(drawn, 1):
        shown = pixels_of(source)[:, 14:] - grey(explorer.image((0, 0)))[:, 14:]
        mse = float(re.search(rf"^Made by cvae: draw {i}, MSE (0\.\d+), of a T-shirt", alt)[1])
        assert mse == pytest.approx(np.square(shown / 255).mean(), rel=0.05)
    assert len(drawn) == 3 and AWAITED not in last
    assert images_in(first)[:4] == images_in(last)[:4]
    assert first.split("</div>")[-1] == last.split("</div>")[-1] != ""  # the words


def test_the_error_map_tells_too_bright_from_too_dark():
    truth = torch.full((1, 1, 28, 28), 0.5)
    completed = truth.clone()
    completed[..., 3, 20], completed[..., 4, 21] = 1.0, 0.0
    ((alt, source),) = images_in(error_tile(completed, truth))
    pixels = pixels_of(source)
    assert (pixels[3, 20] == np.rint(OVER * 255)).all()
    assert (pixels[4, 21] == np.rint(UNDER * 255)).all()
    assert (pixels[0] == 255).all() and "row 4 of 28, column 21" in alt


def test_a_walk_is_straight_in_the_code_and_ends_at_the_images(explorer, networks):
    model = networks["cae"]
    left, _ = halves(torch.cat([explorer.image((0, 0)), explorer.image((BOOT, 0))]))
    made = walk(model, left, torch.tensor([0.0, 1.0, 0.25]))
    assert torch.allclose(made[:2], model.predict(left), atol=1e-6)
    codes = model.encoder(left)
    assert torch.allclose(made[2:], model.decoder(0.75 * codes[:1] + 0.25 * codes[1:]), atol=1e-6)
    assert explorer.walkers() == ["cae"]
    (html,) = explorer.walk((0, 0), (BOOT, 0), "cae", 25)
    _, here, _, *strip = pictures_in(html)
    assert np.abs(here - grey(made[2])).max() <= 1
    assert len(strip) == WALK and np.array_equal(strip[2], here)


def test_mirroring_is_measured_for_each_class(explorer, networks, sample):
    rows = explorer.mirroring(1000, "left")
    assert [name for name, *_ in rows] == list(CLASS_NAMES)
    images = to_unit(sample.test.images[sample.test.labels == BOOT])
    for view, mse in ((images, rows[BOOT][1]), (images.flip(-1), rows[BOOT][2])):
        left, right = halves(view)
        expected = mse_per_image(networks["cae"].predict(left), right).mean().item()
        assert mse == pytest.approx(expected, rel=1e-5)
    assert Explorer(sample.test, {}).mirroring(10, "left") == []


def test_models_are_the_published_ones_and_the_last_run(tiny_config, sample, tmp_path, monkeypatch):
    monkeypatch.setenv("HALFGEN_NETWORKS", str(tmp_path / "networks"))
    assert find_runs() == {}
    run = fit(tiny_config(epochs=1), sample, quiet=True)
    choose_run(run)
    assert list(find_runs()) == [run.run_id]
    publish_run(run, "cae", sample)
    assert list(find_runs()) == ["cae"]  # it is the same network
    other = fit(tiny_config(epochs=1, given="top"), sample, quiet=True)
    choose_run(other)
    runs = find_runs()
    sides = {name: run.config.given for name, run in runs.items()}
    assert sides == {"cae": "left", other.run_id: "top"}
    left, _ = sample.test.halves()
    found = Explorer(sample.test, runs)
    shown, trained = found.model("cae").predict(left), run.model().predict(left)
    assert torch.allclose(shown, trained, atol=1e-3)  # what is published is in half precision
    (tmp_path / "networks" / "cae" / "model.safetensors").unlink()
    damaged = Explorer(sample.test, runs)
    assert damaged.walkers() == [other.run_id]
    with pytest.raises(RunError, match="is missing"):
        damaged.model("cae")
    assert "is missing; restore it" in image_panel(damaged).picture.value


# ---- the panels, without a browser


def controls_of(panel):
    """Return a panel's controls by their descriptions."""
    row, *_ = panel.children[-1].children
    controls = [c for child in row.children for c in getattr(child, "children", [child])]
    return {control.description: control for control in controls}


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


def test_only_what_is_still_wanted_is_drawn(explorer, networks, monkeypatch):
    """Where messages wait, as those of a slider that is dragged, the last one alone is drawn."""
    panel = image_panel(explorer)
    controls, drawn, shown = controls_of(panel), [], []
    controls["model"].value = "cvae"
    sample = networks["cvae"].sample
    monkeypatch.setattr(
        networks["cvae"],
        "sample",
        lambda left, *rest: drawn.append(left[:1]) or sample(left, *rest),
    )

    async def drag():
        for number in (1, 2, 3):
            controls["image"].value = number
            shown.append(panel.picture.value)
        await asyncio.sleep(0)

    asyncio.run(drag())
    assert len(set(shown)) == 3 and all(AWAITED in html for html in shown)
    assert len(drawn) == 1 and torch.equal(drawn[0], halves(explorer.image((0, 3)))[0])
    assert AWAITED not in panel.picture.value and len(images_in(panel.picture.value)) == 4 + 4


def test_the_image_stays_within_its_class(sample, networks):
    few = sample.test.select((sample.test.labels != 1) | (torch.arange(100) < 20))
    explorer = Explorer(few, runs_of(cae=networks["cae"]))
    assert 0 < len(explorer.images[1]) < len(explorer.images[0])
    controls = controls_of(image_panel(explorer))
    controls["image"].value = 10**6
    assert controls["image"].value == len(explorer.images[0]) - 1
    controls["class"].value = 1
    assert controls["image"].value == controls["image"].max == len(explorer.images[1]) - 1


def test_a_drawing_is_completed(explorer):
    panel = drawing_panel(explorer, (BOOT, 0))
    drawing = panel.children[0]
    start = grey(explorer.image((BOOT, 0)))[:, :14]
    assert np.array_equal(np.frombuffer(drawing.value, np.uint8).reshape(28, 14), start)
    assert drawing.start == drawing.value
    before = panel.picture.value
    drawing.value = bytes(28 * 14)
    assert panel.picture.value != before and len(images_in(panel.picture.value)) == 2


def upload(panel, name, content):
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    controls_of(panel)["choose a picture"].value = (file | {"last_modified": datetime.now(UTC)},)


def test_an_uploaded_picture_is_completed(explorer):
    pixels = np.full((40, 30), 250, dtype=np.uint8)
    pixels[5:35, 8:22] = 40
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    panel = upload_panel(explorer)
    assert "Choose a picture" in panel.picture.value
    controls_of(panel)["model"].value = "cvae"
    upload(panel, "mine.png", content.getvalue())
    assert ">Inverted it: its corners are brighter than" in panel.picture.value
    made = complete(pixels, "left", explorer.model("cvae"), 4)
    given, _, *drawn = pictures_in(panel.picture.value)
    assert np.array_equal(given[:, :14, 0], grey(made.image)[:, :14])
    for shown, image in zip(drawn, made.completed, strict=True):
        assert np.array_equal(shown, grey(image))


def test_what_cannot_be_used_is_said_in_the_panel(explorer):
    panel = upload_panel(explorer)
    upload(panel, "<b>.txt", b"x")
    assert 'role="alert">&lt;b&gt;.txt is not a picture' in panel.picture.value


def test_without_weights_it_says_what_to_run(sample, networks):
    nothing = Explorer(sample.test, {})
    for panel in (image_panel, walk_panel, upload_panel, drawing_panel):
        assert "Run notebook 02_train" in WHAT_TO_RUN in panel(nothing).picture.value
    unet = Explorer(sample.test, runs_of(unet=networks["unet"]))
    assert "train a cae" in walk_panel(unet).picture.value


def test_sliders_hold_what_is_in_their_range():
    slider = Slider(value=5, min=1, max=8, description="draws")
    for sent, held in ((0, 1), (100, 8), (3, 3)):
        slider.value = sent
        assert slider.value == held
    slider.max = 2
    assert slider.value == 2


def test_a_tile_shows_each_pixel_as_a_square():
    pixels = np.random.default_rng(0).random((3, 2))
    ((alt, source),) = images_in(tile("<title>", pixels, "2 < 3"))
    with Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) as image:
        shown = np.asarray(image)
    assert shown.shape == (15, 10) and np.array_equal(shown[::5, ::5], np.rint(pixels * 255))
    assert np.array_equal(shown[4::5, 4::5], shown[::5, ::5]) and alt == "2 &lt; 3"
