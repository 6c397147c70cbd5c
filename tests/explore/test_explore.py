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
from ipywidgets import HBox
from PIL import Image

from halfgen_lib.data import CLASS_NAMES, halves, join, to_unit
from halfgen_lib.evaluation import mse_per_image
from halfgen_lib.explore.completion import complete
from halfgen_lib.explore.explorer import (
    ORDERS,
    WALK,
    WHAT_TO_RUN,
    Explorer,
    find_runs,
    tile,
    walk,
)
from halfgen_lib.explore.panels import Slider, TryPanel, walk_panel
from halfgen_lib.models import build_model
from halfgen_lib.runs import RunError, choose_run
from halfgen_lib.runs.published import publish_run
from halfgen_lib.training import fit
from halfgen_lib.variants import NAMES

VARIANT = {"cae": "default"}
BOOT = CLASS_NAMES.index("Ankle boot")


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {name: build_model(name, SMALL[name]).eval() for name in ("cae", "unet", "cvae")}


def runs_of(**networks):
    """Return what the explorer asks of the networks' runs."""
    return {
        name: SimpleNamespace(
            model=lambda network=network: network,
            config=SimpleNamespace(
                given="left", variant=VARIANT.get(name, name), run_id="", model=name
            ),
            scores={"mse": np.zeros(0)},
        )
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


def made_by(explorer, models, given="left", position=0, **draws):
    """Return the steps in which a test image is completed: whose, and pictures or None."""
    image = to_unit(explorer.test.images[position][None])
    return list(explorer.completions(image, given, models, **draws))


@pytest.mark.parametrize("given", ["left", "right", "top", "bottom"])
def test_completions_are_the_models(explorer, networks, sample, given):
    ((made,),) = made_by(explorer, ["cae"], given, 3)  # it draws nothing
    image = to_unit(sample.test.images[3][None])
    left, _ = halves(image, given)
    assert torch.equal(made[2], join(left, networks["cae"].predict(left), given))
    notes = explorer.expect_less(["cae"], given)
    assert len(notes) == (given != "left") and all("left halves alone" in note for note in notes)


def test_all_networks_are_compared_those_that_draw_last(explorer, networks):
    first, last = made_by(explorer, list(explorer.runs), draws=3)
    assert [name for name, *_ in first] == [NAMES["default"], NAMES["unet"], NAMES["cvae"]]
    assert [half is None for *_, half in first] == [False, False, True]
    left, _ = halves(to_unit(explorer.test.images[:1]))
    assert torch.equal(last[2][2][..., 14:], networks["cvae"].predict(left))
    assert last[2][1] == "mean of 8 draws"


def test_draws_follow_their_number_and_seed(explorer):
    def drawn(**changes):
        steps = made_by(explorer, ["cvae"], **changes)
        assert [half is None for *_, half in steps[1]] == [False] + [True] * changes["draws"]
        return [half for *_, half in steps[-1][1:]]

    three, same, others = drawn(draws=3), drawn(draws=3), drawn(draws=3, seed=1)
    assert len(three) == 3 and len(drawn(draws=5)) == 5
    assert all(map(torch.equal, three, same)) and not torch.equal(three[0], others[0])
    assert not torch.equal(three[0], three[1])
    assert all(torch.equal(t[..., :14], three[0][..., :14]) for t in others)  # the known half


def test_the_strip_has_best_median_and_worst(explorer, networks, sample):
    left, right = sample.test.halves()
    mse = mse_per_image(networks["cae"].predict(left), right).numpy()
    ranked = np.argsort(mse)
    strip = {o: explorer.strip(o, -1, "cae", "left").numpy() for o in ORDERS}
    assert strip["best"].tolist() == ranked[:20].tolist()
    assert strip["worst"].tolist() == ranked[::-1][:20].tolist()
    assert strip["median"][0] == ranked[50] and len(strip["median"]) == 20
    assert sample.test.labels[strip["in order"]].tolist() == [k for k in range(10) for _ in "ab"]
    assert len(set(strip["at random"].tolist())) == 20
    boots = explorer.strip("worst", BOOT, "cae", "left")
    assert (sample.test.labels[boots] == BOOT).all()
    assert mse[boots].tolist() == sorted(mse[boots].tolist(), reverse=True)
    explorer.runs["cae"].scores = {"mse": -mse}  # a run's own, where they are of these images
    assert explorer.strip("best", -1, "cae", "left").tolist() == ranked[::-1][:20].tolist()


def test_a_walk_is_straight_in_the_code_and_ends_at_the_images(explorer, networks):
    model = networks["cae"]
    left = halves(to_unit(explorer.test.images[[0, 5]]))[0]
    made = walk(model, left, torch.tensor([0.0, 1.0, 0.25]))
    assert torch.allclose(made[:2], model.predict(left), atol=1e-6)
    codes = model.encoder(left)
    assert torch.allclose(made[2:], model.decoder(0.75 * codes[:1] + 0.25 * codes[1:]), atol=1e-6)
    assert explorer.walkers() == ["cae"]
    (html,) = explorer.walk(0, 5, "cae", 25)
    _, here, _, *strip = pictures_in(html)
    assert np.abs(here - grey(made[2])).max() <= 1
    assert len(strip) == WALK and np.array_equal(strip[2], here)


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
    assert "is missing; restore it" in TryPanel(damaged).picture.value


# ---- the panels, without a browser


def controls_of(panel):
    """Return a panel's controls by their descriptions."""
    rows = [child for child in panel.children if isinstance(child, HBox)]
    controls = [
        c for row in rows for child in row.children for c in getattr(child, "children", [child])
    ]
    return {control.description: control for control in controls}


def ask(panel, image):
    """Ask as the page does: with an image (28, 28) in [0, 1], of which a half is known."""
    asked = {"serial": panel.hands.value["serial"] + 1, "image": image.astype("<f4").tobytes()}
    panel.hands.value = asked


def answered(panel):
    """Return what the page is told: each picture by its name."""
    return {
        each["name"]: np.frombuffer(each["image"], np.float32).reshape(-1, 28, 28)
        for each in panel.hands.results["panels"]
    }


def test_every_control_has_a_description_and_every_picture_a_text(explorer):
    panels = [TryPanel(explorer), walk_panel(explorer)]
    for panel in panels:
        assert all(controls_of(panel)), panel
        pictures = images_in(panel.picture.value)
        assert len(pictures) > 1 and all(len(alt) > 10 for alt, _ in pictures)
    widget, html = "application/vnd.jupyter.widget-view+json", panels[0].picture.value
    assert panels[0]._repr_mimebundle_().keys() >= {widget, "text/html", "text/plain"}
    assert panels[0]._repr_mimebundle_()["text/html"] == html


def test_what_is_asked_is_answered_and_follows_every_control(explorer, networks):
    panel = TryPanel(explorer)
    controls = controls_of(panel)
    ask(panel, image := np.random.default_rng(0).random((28, 28)).astype("f"))
    assert panel.hands.results["serial"] == 1
    left = torch.from_numpy(image[None, None, :, :14])
    completed = answered(panel)[NAMES["default"]][0]
    assert np.array_equal(completed[:, 14:], networks["cae"].predict(left)[0, 0].numpy())
    assert controls["draws"].layout.display == controls["draw again"].layout.display == "none"
    controls["network"].value = "cvae"
    assert controls["draws"].layout.display == "" and len(answered(panel)) == 1 + 4
    controls["draws"].value = 6
    first = answered(panel)["draw 1"]
    controls["draw again"].click()
    assert len(answered(panel)) == 1 + 6 and not np.array_equal(first, answered(panel)["draw 1"])
    controls["compare all networks"].value = True
    assert list(answered(panel)) == [NAMES["default"], NAMES["unet"], NAMES["cvae"]]
    assert controls["draws"].layout.display == "none"
    controls["known side"].value = "top"
    assert panel.hands.images["given"] == "top"


def test_test_images_are_chosen_by_class_order_and_number(explorer, sample):
    panel = TryPanel(explorer)
    controls = controls_of(panel)

    def chosen():
        pixels = np.frombuffer(panel.hands.images["pixels"], np.uint8).reshape(-1, 28, 28)
        assert len(pixels) == len(panel.hands.images["titles"])
        return panel.hands.images["titles"], pixels

    assert len(chosen()[0]) == 20
    controls["class"].value = BOOT
    assert all(title.startswith("Ankle boot, test image ") for title in chosen()[0])
    for name in ORDERS:
        controls[name].click()
        positions = [int(title.split()[-1]) for title in chosen()[0]]
        expected = sample.test.images[positions, 0].numpy()
        assert np.array_equal(chosen()[1], expected), name
    controls["test image"].value = 97
    assert [int(title.split()[-1]) for title in chosen()[0]] == [97, 98, 99]


def test_only_what_is_still_wanted_is_drawn(explorer, networks, monkeypatch):
    """Where messages wait, as those of a slider that is dragged, the last one alone is drawn."""
    panel, drawn = TryPanel(explorer), []
    controls_of(panel)["network"].value = "cvae"
    sample = networks["cvae"].sample
    monkeypatch.setattr(
        networks["cvae"],
        "sample",
        lambda left, *rest: drawn.append(left[:1]) or sample(left, *rest),
    )

    async def drag():
        for grey in (0.1, 0.2, 0.3):
            ask(panel, np.full((28, 28), grey))
        await asyncio.sleep(0)

    asyncio.run(drag())
    assert len(drawn) == 1 and torch.allclose(drawn[0], torch.tensor(0.3))
    assert panel.hands.results["serial"] == 3 and len(answered(panel)) == 1 + 4


def upload(panel, name, content):
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    controls_of(panel)["a picture of yours"].value = (file | {"last_modified": datetime.now(UTC)},)


def test_a_picture_of_ones_own_is_put_on_the_drawing(explorer, monkeypatch):
    panel, sent = TryPanel(explorer), []
    monkeypatch.setattr(panel.hands, "send", lambda content, buffers: sent.append(buffers[0]))
    pixels = np.full((40, 30), 250, dtype=np.uint8)
    pixels[5:35, 8:22] = 40
    Image.fromarray(pixels).save(content := io.BytesIO(), "PNG")
    upload(panel, "mine.png", content.getvalue())
    (image,) = (np.frombuffer(each, np.uint8).reshape(28, 28) for each in sent)
    made = complete(pixels, "left", explorer.model("cae"))
    assert np.array_equal(image, grey(made.image))
    ask(panel, image / 255)
    assert np.abs(grey(made.completed) - 255 * answered(panel)[NAMES["default"]][0]).max() < 1
    assert panel.hands.results["notes"][0].startswith("Inverted it: its corners are brighter than")
    controls_of(panel)["worst"].click()
    ask(panel, image / 255)
    assert panel.hands.results["notes"] == []


def test_what_cannot_be_used_is_said_in_the_panel(explorer):
    panel = TryPanel(explorer)
    upload(panel, "<b>.txt", b"x")
    assert 'role="alert">&lt;b&gt;.txt is not a picture' in panel.picture.value


def test_without_weights_it_says_what_to_run(sample, networks):
    nothing = Explorer(sample.test, {})
    for panel in (TryPanel, walk_panel):
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
