"""The explorer: what it shows, and its controls."""

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
from halfgen_lib.explore.explorer import ORDERS, WHAT_TO_RUN, Explorer, find_runs
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


def grey(image):
    """Return what is shown of an image (..., 28, 28) in [0, 1]."""
    return np.rint(image.detach().numpy().reshape(28, -1) * 255)


def made_by(explorer, models, given="left", position=0, **draws):
    """Return a test image's completions: whose, what more there is to say, and pictures."""
    image = to_unit(explorer.test.images[position][None])
    made = explorer.completions(image, given, models, **draws)
    return [(each["name"], each["words"], picture_of(each)) for each in made]


def picture_of(panel):
    return torch.from_numpy(np.frombuffer(panel["image"], np.float32).copy()).view(1, 1, 28, 28)


@pytest.mark.parametrize("given", ["left", "right", "top", "bottom"])
def test_completions_are_the_models(explorer, networks, sample, given):
    (made,) = made_by(explorer, ["cae"], given, 3)  # it draws nothing
    image = to_unit(sample.test.images[3][None])
    left, _ = halves(image, given)
    assert torch.equal(made[2], join(left, networks["cae"].predict(left), given))
    notes = explorer.expect_less(["cae"], given)
    assert len(notes) == (given != "left") and all("left halves alone" in note for note in notes)


def test_all_networks_are_compared(explorer, networks):
    made = made_by(explorer, list(explorer.runs))
    assert [name for name, *_ in made] == [NAMES["default"], NAMES["unet"], NAMES["cvae"]]
    left, _ = halves(to_unit(explorer.test.images[:1]))
    assert torch.equal(made[2][2][..., 14:], networks["cvae"].predict(left))
    assert [words for _, words, _ in made] == ["", "", "mean of 8 draws"]


def test_a_mean_that_a_sampler_predicts_is_not_called_one_of_draws(explorer, monkeypatch):
    model = explorer.model("cvae")
    monkeypatch.setattr(model, "predict", torch.ones_like)
    monkeypatch.setattr(type(model), "mean_of", 0)
    assert [words for _, words, _ in made_by(explorer, ["cvae"])] == [""]


def test_draws_follow_their_number_and_seed(explorer):
    def drawn(**changes):
        return [half for *_, half in made_by(explorer, ["cvae"], **changes)[1:]]

    three, same, others = drawn(draws=3), drawn(draws=3), drawn(draws=3, seed=1)
    assert len(three) == 3 and len(drawn(draws=5)) == 5
    assert all(map(torch.equal, three, same)) and not torch.equal(three[0], others[0])
    assert not torch.equal(three[0], three[1])
    assert all(torch.equal(t[..., :14], three[0][..., :14]) for t in others)  # the known half


def test_the_strip_has_best_median_and_worst(explorer, networks, sample):
    left, right = sample.test.halves()
    mse = mse_per_image(networks["cae"].predict(left), right).numpy()
    ranked = np.argsort(mse)
    strip = {o: explorer.positions(o).numpy() for o in ORDERS}
    assert strip["best"].tolist() == ranked[:20].tolist()
    assert strip["worst"].tolist() == ranked[::-1][:20].tolist()
    assert strip["median"][0] == ranked[50] and len(strip["median"]) == 20
    assert sample.test.labels[strip["in order"]].tolist() == [k for k in range(10) for _ in "ab"]
    assert len(set(strip["at random"].tolist())) == 20
    controls_of(explorer)["class"].value = BOOT
    boots = explorer.positions("worst")
    assert (sample.test.labels[boots] == BOOT).all()
    assert mse[boots].tolist() == sorted(mse[boots].tolist(), reverse=True)
    explorer.runs["cae"].scores = {"mse": -mse}  # a run's own, where they are of these images
    controls_of(explorer)["class"].value = -1
    assert explorer.positions("best").tolist() == ranked[::-1][:20].tolist()


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
    assert torch.allclose(shown, trained, atol=1e-3)  # what is published is rounded
    (tmp_path / "networks" / "cae" / "model.safetensors").unlink()
    damaged = Explorer(sample.test, runs)
    with pytest.raises(RunError, match="is missing"):
        damaged.model("cae")
    assert "is missing; restore it" in damaged.message.value
    assert "is missing; restore it" in damaged._repr_mimebundle_()["text/html"]


# ---- its controls, without a browser


def controls_of(explorer):
    """Return the controls by their descriptions."""
    rows = [child for child in explorer.children if isinstance(child, HBox)]
    controls = [
        c for row in rows for child in row.children for c in getattr(child, "children", [child])
    ]
    return {control.description: control for control in controls}


def ask(explorer, image):
    """Ask as the page does: with an image (28, 28) in [0, 1], of which a half is known."""
    asked = {"serial": explorer.hands.value["serial"] + 1, "image": image.astype("<f4").tobytes()}
    explorer.hands.value = asked


def answered(explorer):
    """Return what the page is told: each picture by its name."""
    return {
        each["name"]: np.frombuffer(each["image"], np.float32).reshape(-1, 28, 28)
        for each in explorer.hands.results["panels"]
    }


def test_every_control_has_a_description(explorer):
    assert all(controls_of(explorer))


@pytest.mark.parametrize("name", ["cae", "cvae"])
def test_where_no_widget_can_be_shown_a_described_picture_is(explorer, name):
    controls_of(explorer)["network"].value = name
    bundle = explorer._repr_mimebundle_()
    assert bundle.keys() >= {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    alt, content = re.fullmatch(
        '<img alt="([^"]*)" src="data:image/png;base64,(.*)">', bundle["text/html"]
    ).groups()
    assert NAMES.get(VARIANT.get(name, name)) in alt
    image = to_unit(explorer.test.images[explorer.positions("in order")[:1]])
    with Image.open(io.BytesIO(base64.b64decode(content))) as shown:
        expected = complete(image, "left", explorer.model(name)).sheet()
        assert np.array_equal(np.asarray(shown), np.asarray(expected))


def test_what_is_asked_is_answered_and_follows_every_control(explorer, networks):
    controls = controls_of(explorer)
    ask(explorer, image := np.random.default_rng(0).random((28, 28)).astype("f"))
    assert explorer.hands.results["serial"] == 1
    left = torch.from_numpy(image[None, None, :, :14])
    completed = answered(explorer)[NAMES["default"]][0]
    assert np.array_equal(completed[:, 14:], networks["cae"].predict(left)[0, 0].numpy())
    assert controls["draws"].layout.display == controls["draw again"].layout.display == "none"
    controls["network"].value = "cvae"
    assert controls["draws"].layout.display == "" and len(answered(explorer)) == 1 + 4
    controls["draws"].value = 6
    first = answered(explorer)["draw 1"]
    controls["draw again"].click()
    assert len(answered(explorer)) == 1 + 6 and not np.array_equal(
        first, answered(explorer)["draw 1"]
    )
    controls["compare all networks"].value = True
    assert list(answered(explorer)) == [NAMES["default"], NAMES["unet"], NAMES["cvae"]]
    assert controls["draws"].layout.display == "none"
    controls["known side"].value = "top"
    assert explorer.hands.images["given"] == "top"


def test_test_images_are_chosen_by_class_order_and_number(explorer, sample):
    controls = controls_of(explorer)

    def chosen():
        pixels = np.frombuffer(explorer.hands.images["pixels"], np.uint8).reshape(-1, 28, 28)
        assert len(pixels) == len(explorer.hands.images["titles"])
        return explorer.hands.images["titles"], pixels

    assert len(chosen()[0]) == 20
    controls["class"].value = BOOT
    assert all(title.startswith("Ankle boot, test image ") for title in chosen()[0])
    for name in ORDERS:
        controls[name].click()
        positions = [int(title.split()[-1]) for title in chosen()[0]]
        expected = sample.test.images[positions, 0].numpy()
        assert np.array_equal(chosen()[1], expected), name
    controls["from test image"].value = 97
    assert [int(title.split()[-1]) for title in chosen()[0]] == [97, 98, 99]


def upload(explorer, name, content):
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    controls_of(explorer)["a picture of yours"].value = (
        file | {"last_modified": datetime.now(UTC)},
    )


def test_a_picture_of_ones_own_is_put_on_the_drawing(explorer, monkeypatch):
    sent = []
    monkeypatch.setattr(explorer.hands, "send", lambda content, buffers: sent.append(buffers[0]))
    pixels = np.full((40, 30), 250, dtype=np.uint8)
    pixels[5:35, 8:22] = 40
    Image.fromarray(pixels).save(content := io.BytesIO(), "PNG")
    upload(explorer, "mine.png", content.getvalue())
    (image,) = (np.frombuffer(each, np.uint8).reshape(28, 28) for each in sent)
    made = complete(pixels, "left", explorer.model("cae"))
    assert np.array_equal(image, grey(made.image))
    ask(explorer, image / 255)
    assert np.abs(grey(made.completed) - 255 * answered(explorer)[NAMES["default"]][0]).max() < 1
    assert explorer.hands.results["notes"][0].startswith(
        "Inverted it: its corners are brighter than"
    )
    controls_of(explorer)["worst"].click()
    ask(explorer, image / 255)
    assert explorer.hands.results["notes"] == []


def test_what_cannot_be_used_is_said(explorer):
    upload(explorer, "<b>.txt", b"x")
    assert 'role="alert">&lt;b&gt;.txt is not a picture' in explorer.message.value


def test_without_weights_it_says_what_to_run(sample):
    nothing = Explorer(sample.test, {})
    assert "Run notebook 02_train" in WHAT_TO_RUN in nothing.message.value
    assert nothing._repr_mimebundle_()["text/html"] == nothing.message.value
    assert nothing.children == (nothing.message,)
