import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from halfgen_lib import models
from halfgen_lib.models import build_model, model_settings
from halfgen_lib.models.base import check_left
from halfgen_lib.models.cae import ConvAutoencoder, encoder_shapes
from halfgen_lib.models.layers import layer_table, stages
from halfgen_lib.models.padding import (
    PaddedConv2d,
    PaddedConvTranspose2d,
    conv_output_size,
    same_padding,
)
from halfgen_lib.variants import VARIANTS

AS_PUBLISHED = {"negative_slope": 1.0, "padding": [1, 0, 1]}
# variant -> the sum of each entry of its first state_dict, and the losses of five steps, as they
# were when the published runs were trained (seed 0; Adam, 64 images of the sample a step)
RECORDED = json.loads((Path(__file__).parent / "autoencoders.json").read_text())


@pytest.mark.parametrize("variant", RECORDED)
def test_the_published_networks_start_and_learn_as_they_did(variant, train):
    left, right = train
    settings = json.loads(json.dumps(VARIANTS[variant].get("model_settings", {})))
    torch.manual_seed(0)
    model, losses = build_model("cae", settings).train(), []
    weights = {key: values.double().sum().item() for key, values in model.state_dict().items()}
    assert list(weights) == list(RECORDED[variant]["weights"])
    assert weights == pytest.approx(RECORDED[variant]["weights"], abs=1e-6)
    optimizer = torch.optim.Adam(model.parameters())
    for start in range(0, 40, 8):
        optimizer.zero_grad()
        loss = F.mse_loss(model(left[start : start + 64]), right[start : start + 64])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Adam divides by the size of gradients, which makes much of another machine's rounding
    assert losses == pytest.approx(RECORDED[variant]["losses"], rel=2e-3)


@pytest.mark.parametrize("size", range(1, 29))
@pytest.mark.parametrize("kernel", (2, 3, 4, 5))
@pytest.mark.parametrize("stride", (1, 2, 3))
def test_same_padding_gives_ceil_of_size_over_stride(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert 0 <= after - before <= 1
    assert conv_output_size(size, kernel, stride, before + after) == -(-size // stride)


def test_equation_1_agrees_with_torch():
    for size, kernel, stride, pad in [(28, 4, 2, 1), (14, 2, 2, 0), (7, 3, 1, 2), (9, 4, 3, 1)]:
        layer = nn.Conv1d(1, 1, kernel, stride, pad)
        expected = layer(torch.zeros(1, 1, size)).shape[2]
        assert conv_output_size(size, kernel, stride, 2 * pad) == expected


def test_default_network_has_the_shapes_and_parameters_of_the_text():
    model = build_model("cae", {})
    sizes, _ = encoder_shapes(model.config)
    assert sizes == [(28, 14), (14, 7), (7, 4), (4, 2)]
    # by hand: convolutions 82400, their norms 192, dense 262400 + 16448 + 16640 + 263168,
    # transposed convolutions 82273, their norms 192
    assert model.parameter_count() == 723_713


def test_as_published_network_has_the_maps_of_the_public_code():
    model = build_model("cae", AS_PUBLISHED)
    sizes, _ = encoder_shapes(model.config)
    assert sizes == [(28, 14), (14, 8), (6, 4), (3, 3)]
    flat, hidden, latent = 128 * 9, 256, 64
    dense = flat * hidden + hidden + hidden * latent + latent
    dense += latent * hidden + hidden + hidden * flat + flat
    assert model.parameter_count() == dense + 82400 + 192 + 82273 + 192


@pytest.mark.parametrize(
    "settings",
    [
        {},
        AS_PUBLISHED,
        {"features": [16, 32]},
        {"features": [8, 8, 8, 8], "batch_norm": False},
        {"kernel_size": [3, 3]},
        {"kernel_size": [5, 5], "stride": 3, "features": [4, 4]},
        {"padding": [0, 0], "features": [4, 4]},
    ],
)
def test_every_shape_of_network_maps_halves_to_halves(settings, generator):
    left = torch.rand(3, 1, 28, 14, generator=generator)
    completed = build_model("cae", settings).predict(left)
    assert completed.shape == left.shape
    assert completed.min() >= 0 and completed.max() <= 1


def test_transposed_convolution_is_the_adjoint_of_the_convolution(generator):
    """<conv(x), y> == <x, transposed(y)> with the same weights: it is cropped where that pads."""
    for size, pads in [
        ((28, 14), ((1, 1), (0, 0))),
        ((14, 7), ((1, 1), (0, 1))),
        ((7, 4), ((1, 2), (0, 0))),
    ]:
        conv = PaddedConv2d(2, 3, (4, 2), 2, size, pads).double()
        x = torch.randn(1, 2, *size, generator=generator, dtype=torch.float64)
        mapped = conv(x) - conv(torch.zeros_like(x))
        mirrored = PaddedConvTranspose2d(conv).double()
        mirrored.weight = conv.weight
        nn.init.zeros_(mirrored.bias)
        y = torch.randn(mapped.shape, generator=generator, dtype=torch.float64)
        assert torch.allclose((mapped * y).sum(), (x * mirrored(y)).sum())


def logits(model, left):
    return torch.logit(model.double().eval()(left))


def test_a_slope_of_one_makes_an_affine_map_of_low_rank(generator):
    """The as-published network before its sigmoid is affine, and its rank is the latent size."""
    model = build_model("cae", AS_PUBLISHED | {"latent_dim": 5, "hidden_dim": 16})
    for module in model.modules():  # as after training: running statistics that do something
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    a, b = torch.rand(2, 8, 1, 28, 14, generator=generator, dtype=torch.float64)
    middle = logits(model, 0.3 * a + 0.7 * b)
    assert torch.allclose(middle, 0.3 * logits(model, a) + 0.7 * logits(model, b), atol=1e-9)
    zero = logits(model, torch.zeros(1, 1, 28, 14, dtype=torch.float64))
    basis = torch.eye(392, dtype=torch.float64).view(392, 1, 28, 14)
    matrix = (logits(model, basis) - zero).flatten(1)
    assert torch.linalg.matrix_rank(matrix, rtol=1e-9) == 5


def test_the_default_slope_is_not_affine(generator):
    model = build_model("cae", {})
    a, b = torch.rand(2, 8, 1, 28, 14, generator=generator, dtype=torch.float64)
    middle = logits(model, 0.3 * a + 0.7 * b)
    assert not torch.allclose(middle, 0.3 * logits(model, a) + 0.7 * logits(model, b), atol=1e-6)


def test_layer_table_is_read_off_the_network():
    model = build_model("cae", {})
    rows = layer_table(model)
    assert sum(row.parameters for row in rows) == model.parameter_count()
    assert rows[-1].output_shape == (1, 28, 14)
    shapes = [shape for _, shape in stages(rows)]
    assert shapes[:4] == [(1, 28, 14), (32, 14, 7), (64, 7, 4), (128, 4, 2)]
    assert (64,) in shapes


def test_predict_keeps_the_mode_takes_none_and_batches(generator):
    model = build_model("cae", {"features": [4], "hidden_dim": 8, "latent_dim": 2}).train()
    left = torch.rand(7, 1, 28, 14, generator=generator)
    assert torch.allclose(model.predict(left), model.predict(left, batch_size=2), atol=1e-6)
    assert model.training
    assert model.predict(left[:0]).shape == (0, 1, 28, 14)


@pytest.mark.parametrize(
    ("left", "error", "words"),
    [
        ([[1.0]], TypeError, "list"),
        (torch.zeros(1, 1, 28, 14, dtype=torch.uint8), TypeError, "uint8"),
        (torch.zeros(1, 28, 14), ValueError, "(1, 28, 14)"),
        (torch.zeros(1, 1, 28, 28), ValueError, "(1, 1, 28, 28)"),
        (torch.full((1, 1, 28, 14), 1.5), ValueError, "1.5"),
        (torch.full((1, 1, 28, 14), float("nan")), ValueError, "nan"),
    ],
)
def test_a_bad_left_half_is_refused_by_name(left, error, words):
    with pytest.raises(error, match="left") as caught:
        check_left(left)
    assert words in str(caught.value)


def test_unknown_models_and_settings_are_refused():
    with pytest.raises(ValueError, match="did you mean 'cae'"):
        build_model("cea", {})
    for bad in (
        {"latent": 3},
        {"latent_dim": 0},
        {"latent_dim": 2.5},
        {"negative_slope": float("nan")},
        {"padding": [1, 0]},
        {"padding": "valid"},
        {"features": []},
        {"kernel_size": [60, 60], "padding": [0, 0, 0]},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            model_settings("cae", bad)


def test_a_model_is_one_file_and_one_line(monkeypatch, tmp_path, tiny_config, sample):
    """What CONTRIBUTING says: a class with Settings, and its place in the table."""
    (tmp_path / "mymodel.py").write_text(
        "import torch\n"
        "from halfgen_lib.models.base import Completer\n"
        "from halfgen_lib.settings import Settings\n"
        "class MySettings(Settings):\n"
        "    width: int = 3\n"
        "class MyModel(Completer):\n"
        "    Settings = MySettings\n"
        "    def __init__(self, config):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Conv2d(1, 1, 2 * config.width + 1, padding=config.width)\n"
        "    def forward(self, left):\n"
        "        return torch.sigmoid(self.layer(left.flip(3)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(models.MODELS, "mine", "mymodel:MyModel")
    from halfgen_lib.training import fit

    run = fit(tiny_config(model="mine", model_settings={"width": 1}, epochs=1), sample, quiet=True)
    assert run.is_finished
    assert run.model().parameter_count() == 10


@pytest.mark.parametrize("build", [lambda: build_model("cae", {}), ConvAutoencoder])
@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (4, 1, 28, 13), (1, 28, 14)], ids=str)
def test_images_of_another_shape_are_refused_by_the_network_itself(build, shape):
    """Halves of 28x13 would come out as 28x14."""
    words = f"{shape}; (N, 1, 28, 14) is needed"
    with pytest.raises(ValueError, match=re.escape(words)):
        build()(torch.zeros(shape))


def test_the_autoencoder_takes_images_of_the_shape_it_is_built_for(generator):
    model = ConvAutoencoder(shape=(3, 33, 10))
    images = torch.rand(2, 3, 33, 10, generator=generator)
    assert model(images).shape == images.shape


@pytest.mark.parametrize("skips", ["concatenated", "added"])
@pytest.mark.parametrize(("norm", "kind"), [("group", nn.GroupNorm), ("batch", nn.BatchNorm2d)])
def test_the_unet_normalises_as_asked_and_completes_each_image_alone(skips, norm, kind, generator):
    model = build_model("unet", {"widths": (4, 8), "skips": skips, "norm": norm})
    layers = {type(m) for m in model.modules() if isinstance(m, nn.GroupNorm | nn.BatchNorm2d)}
    assert layers == {kind}
    left = torch.rand(8, 1, 28, 14, generator=generator)
    model.train()
    model(left)  # moves running means
    torch.testing.assert_close(model.predict(left)[:3], model.predict(left[:3]))
