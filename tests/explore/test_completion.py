import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from halfgen_lib import cli
from halfgen_lib.analysis.baselines import Mirror
from halfgen_lib.data import halves, to_unit
from halfgen_lib.explore.completion import complete
from halfgen_lib.models import build_model
from halfgen_lib.runs import RunError, choose_run
from halfgen_lib.runs.published import publish_run
from halfgen_lib.training import fit

SIDES = ("left", "right", "top", "bottom")
FLAT = torch.zeros(2, 1, 28, 14)


class Noise:
    """A model that draws: noise, whatever the left half is."""

    def sample(self, left, n, generator):
        return torch.rand(n, *left.shape, generator=generator)


@pytest.fixture(scope="module")
def network(tiny_config):
    torch.manual_seed(0)
    return build_model("cae", tiny_config().model_settings)


@pytest.fixture
def published(tiny_config, sample, tmp_path, monkeypatch):
    """A tiny run that is published as cae."""
    monkeypatch.setenv("HALFGEN_NETWORKS", str(tmp_path / "networks"))
    run = fit(tiny_config(epochs=1), sample, quiet=True)
    publish_run(run, "cae", sample)
    return run


def reference(sample):
    left, right = sample.train.halves()
    return Mirror(left, right)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIDES), arrays(np.uint8, (28, 28)), st.integers(1, 3))
def test_the_known_half_stays_bit_for_bit_and_the_other_is_the_models(side, pixels, n):
    completion = complete(pixels, side, Noise(), n)
    known, _ = halves(completion.image, side)
    kept, made = halves(completion.completed, side)
    assert torch.equal(kept, known.expand(n, -1, -1, -1))
    draws = torch.rand(n, 1, 1, 28, 14, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made, draws[:, 0])


def test_without_the_unknown_half_the_completion_is_the_same(network, sample):
    image = to_unit(sample.test.images[5])
    for side, cut in {
        "left": np.s_[:, :14],
        "right": np.s_[:, 14:],
        "top": np.s_[:14],
        "bottom": np.s_[14:],
    }.items():
        whole = complete(image, side, network)
        half = complete(image[0].numpy()[cut], side, network)
        assert torch.equal(half.completed, whole.completed)
        assert (halves(half.image, side)[1] == 0).all() and half.given == side


def test_other_sides_are_the_left_one_turned(network, sample):
    image = to_unit(sample.test.images[:1])
    expected = complete(image, "left", network).completed
    turned = {
        "right": lambda x: x.flip(-1),
        "top": lambda x: x.mT,
        "bottom": lambda x: x.flip(-1).mT,
    }
    for side, turn in turned.items():
        assert torch.equal(complete(turn(image), side, network).completed, turn(expected))


def test_it_completes_as_the_model_does(network, sample):
    image = to_unit(sample.test.images[2])
    left, _ = halves(image[None])
    completion = complete(image, model=network)
    assert torch.equal(halves(completion.completed)[1], network.predict(left))
    assert completion.model == "ConvAutoencoder" and completion.completed.shape == (1, 1, 28, 28)
    mirrored = complete(image, model=reference(sample)).completed
    assert torch.equal(mirrored, mirrored.flip(-1))


def test_draws_are_those_of_the_generator(sample):
    image = sample.test.images[0]
    first, same, other = (
        complete(image, "left", Noise(), 4, torch.Generator().manual_seed(seed)).completed
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert len(first.unique(dim=0)) == 4


def test_names_of_weights_and_runs_are_found(published, sample):
    image = sample.test.images[0]
    by_name, by_run = complete(image), complete(image, model=published.run_id)
    choose_run(published)
    # what is published is rounded
    assert torch.allclose(by_name.completed, by_run.completed, atol=1e-3)
    assert torch.equal(by_run.completed, complete(image, model="current").completed)
    assert (by_name.model, by_run.model) == ("cae", published.run_id)
    assert complete(image, "top").notes[-1].startswith("turned it for a network that saw only left")
    with pytest.raises(RunError, match=r"model 'ca': run ca is not in .*; published: cae$"):
        complete(image, model="ca")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 0}, ValueError, "n is 0, allowed: an integer of 1 or more"),
        ({"n": 2.0}, ValueError, "n is 2.0"),
        ({"n": True}, ValueError, "n is True"),
        ({"given": "front"}, ValueError, "given is 'front', allowed: left, right"),
        ({"model": object()}, TypeError, "model is a object, which can neither predict nor sample"),
        (
            {"model": Mirror(FLAT, FLAT), "n": 2},
            ValueError,
            "n is 2, but Mirror makes one completion",
        ),
        ({"picture": None}, TypeError, "picture is a NoneType"),
    ],
)
def test_bad_arguments_are_refused_by_name(sample, arguments, error, message):
    with pytest.raises(error, match=message):
        complete(**{"picture": sample.test.images[0], "model": Noise()} | arguments)


def test_the_sheet_shows_the_picture_and_each_completion(sample):
    completion = complete(sample.test.images[0], "top", Noise(), 2)
    sheet = np.asarray(completion.sheet(scale=3))
    assert sheet.shape == (28 * 3 + 6, 3 * (28 * 3 + 6))
    for i, image in enumerate([completion.image[0], *completion.completed]):
        shown = sheet[4:-3:3, 90 * i + 4 : 90 * i + 87 : 3]  # the middle of each square
        assert np.array_equal(shown, (image[0] * 255).round().numpy())
    margins = np.concatenate([sheet[:, :3], sheet[:, 87:93]], axis=1)
    assert (sheet[:, :3] == 255).all() and (margins < 255).any()  # ticks beside completions alone
    for scale in (0, 65, 1.5, True):
        with pytest.raises(ValueError, match="allowed: 1 to 64"):
            completion.sheet(scale)
    assert completion.sheet(1).size == (3 * 32, 32)


def test_a_large_sheet_says_which_is_which_and_a_notebook_shows_it(sample):
    for draws in (1, 3):
        completion = complete(sample.test.images[0], "left", Noise(), draws)
        sheet = completion.sheet()
        assert sheet.size == ((1 + draws) * 30 * 8, (30 + 4) * 8)
        names = np.asarray(sheet)[30 * 8 :]
        assert all((part < 100).any() for part in np.split(names, 1 + draws, axis=1))
        with Image.open(io.BytesIO(completion._repr_png_())) as shown:
            assert shown.format == "PNG" and np.array_equal(np.asarray(shown), np.asarray(sheet))


def test_a_file_is_written_whole_and_not_over_another(sample, tmp_path):
    completion = complete(sample.test.images[0], "left", Noise())
    path = tmp_path / "made.PNG"
    completion.save(path)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), np.asarray(completion.sheet()))
    with pytest.raises(FileExistsError, match=r"made\.PNG is there already"):
        completion.save(path, scale=2)
    completion.save(path, scale=2, overwrite=True)
    assert Image.open(path).size == completion.sheet(2).size
    for name, error in (("made", ValueError), ("a.pdf", ValueError), ("x/a.png", OSError)):
        with pytest.raises(
            error, match=r"must end as a picture does|No such file or directory: .*x/a\.png"
        ):
            completion.save(tmp_path / name)
    assert [f.name for f in tmp_path.iterdir()] == ["made.PNG"]


def test_the_command_line_completes_a_photograph(published, tmp_path, capsys):
    pixels = np.full((60, 90, 3), 250, dtype=np.uint8)
    pixels[10:50, 30:60] = (30, 60, 120)
    photo, made = tmp_path / "photo.png", tmp_path / "made.png"
    Image.fromarray(pixels).save(photo)
    command = ["complete", str(photo), "-o", str(made), "--given", "bottom", "--scale", "2"]
    assert cli.main(command) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "made grey of its colours" and said[-1] == str(made)
    with Image.open(made) as image:
        expected = complete(photo, "bottom").sheet(2)
        assert np.array_equal(np.asarray(image), np.asarray(expected))
    for more, message in (
        ([], "made.png is there already"),
        (["--force", "-n", "3"], "n is 3, but cae makes one completion and draws none"),
        (["--force", "--model", "unet"], "is not in"),
        (["--force", "--scale", "0"], "scale is 0, allowed: 1 to 64"),
        (["--force", "--seed", str(2**70)], "seed is 118"),
        (["--force", "-o", str(tmp_path)], "must end as a picture does"),
    ):
        assert cli.main(command + more) == 1, more
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert cli.main([*command, "--force"]) == 0
