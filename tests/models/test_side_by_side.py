"""The fast path computes what the plain layers compute, and is taken where it should be."""

from copy import deepcopy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel

from halfgen_lib.models import build_model, side_by_side
from halfgen_lib.models.cae import CAESettings, ConvAutoencoder
from halfgen_lib.models.padding import PaddedConv2d, PaddedConvTranspose2d
from halfgen_lib.models.side_by_side import convolve, lay, part
from halfgen_lib.variants import VARIANTS

NETWORKS = {
    name: CAESettings(**variant.get("model_settings", {}))
    for name, variant in VARIANTS.items()
    if "model" not in variant and (name == "default" or "model_settings" in variant)
}
SMALL = CAESettings(features=(4, 8, 8), hidden_dim=16, latent_dim=4)


def pair(config, dtype=torch.float32):
    """The network as it is built, and the plain one with the same weights."""
    torch.manual_seed(0)
    fast = build_model("cae", config.model_dump(mode="json")).to(dtype)
    plain = ConvAutoencoder(config).to(dtype)
    plain.load_state_dict(fast.state_dict())
    return fast, plain


@pytest.fixture
def laid(monkeypatch):
    """The layers that worked on strips since."""
    layers = []

    def recorded(layer, *arguments):
        layers.append(layer)
        return convolve(layer, *arguments)

    monkeypatch.setattr(side_by_side, "convolve", recorded)
    return layers


def test_strips_are_images_side_by_side_and_come_apart_again(generator):
    images = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]]).view(4, 1, 1, 2).repeat(16, 1, 1, 1)
    assert lay(images, 4)[0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    images = torch.rand(48, 3, 5, 4, generator=generator)
    strips = lay(images, 3)
    assert strips.shape == (16, 3, 5, 12)
    assert strips.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(strips[1, :, :, 4:8], images[4])
    assert torch.equal(part(strips, 3), images)


@pytest.mark.parametrize(
    "pads", [((0, 0), (0, 0)), ((1, 1), (0, 0)), ((1, 2), (0, 1)), ((0, 2), (1, 1))], ids=str
)
@pytest.mark.parametrize(("height", "stride"), [(4, 2), (5, 2), (1, 2), (3, 3), (2, 1)])
def test_convolutions_are_torchs_with_their_gradients(height, stride, pads, generator):
    """Those of strips and those of images, which may differ from torch's in their padding."""

    def draw(*shape):
        made = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return made.requires_grad_()

    def check(layer, images, theirs):
        inputs = (images, layer.weight, layer.bias)
        factor = torch.randn(theirs.shape, generator=generator, dtype=torch.float64)
        gradients = torch.autograd.grad((theirs * factor).sum(), inputs)
        for ours in (layer(images), part(convolve(layer, lay(images, 3), 3), 3)):
            torch.testing.assert_close(ours, theirs)
            torch.testing.assert_close(
                torch.autograd.grad((ours * factor).sum(), inputs), gradients
            )

    (top, bottom), (left, right) = pads
    layer = PaddedConv2d(3, 5, (height, stride), stride, (11, 9), pads).double()
    images = draw(6, 3, 11, 9)
    theirs = F.conv2d(F.pad(images, (left, right, top, bottom)), layer.weight, layer.bias, stride)
    check(layer, images, theirs)

    layer, maps = PaddedConvTranspose2d(layer).double(), draw(*theirs.shape)
    whole = F.conv_transpose2d(maps, layer.weight, None, stride)
    whole = F.pad(whole, (0, stride, 0, stride))  # what no kernel reaches is the bias alone
    theirs = whole[:, :, top : top + 11, left : left + 9] + layer.bias[:, None, None]
    check(layer, maps, theirs)


@pytest.mark.parametrize("name", NETWORKS)
def test_both_paths_complete_alike(name, test):
    fast, plain = pair(NETWORKS[name])
    for count in (3, 5, 36):
        left = test[0][:count]
        assert (fast.predict(left) - plain.predict(left)).abs().max() < 2e-6
    for count in (1, 2, 16):  # no two of these would share a strip
        assert torch.equal(fast.predict(left[:count]), plain.predict(left[:count]))


@pytest.mark.parametrize("name", NETWORKS)
def test_in_float64_both_paths_have_the_same_outputs_and_gradients(name, test):
    left, right = (half[:12].double() for half in test)
    outputs, gradients = [], []
    for model in pair(NETWORKS[name], torch.float64):
        completed = model(left)
        F.mse_loss(completed, right).backward()
        outputs.append(completed.detach())
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


def losses(model, optimizer, steps, both):
    """The losses of some steps on 64 images each."""
    rule, (left, right) = optimizer(model.train().parameters()), both
    for step in range(steps):
        chosen = slice(8 * step, 8 * step + 64)
        rule.zero_grad()
        loss = F.mse_loss(model(left[chosen]), right[chosen])
        loss.backward()
        rule.step()
        yield loss.item()


@pytest.mark.parametrize("name", NETWORKS)
def test_in_float64_both_paths_have_the_same_losses(name, train):
    both = [half.double() for half in train]
    models = pair(NETWORKS[name], torch.float64)
    steps = 20 if name == "default" else 5
    fast, plain = (list(losses(model, torch.optim.Adam, steps, both)) for model in models)
    assert fast == pytest.approx(plain, rel=1e-10) and fast[-1] < fast[0]


def test_in_float32_both_paths_have_the_same_losses_but_for_rounding(train):
    """By gradient descent: Adam divides by the size of gradients, and makes much of rounding."""
    descent = partial(torch.optim.SGD, lr=0.1)
    fast, plain = (list(losses(model, descent, 20, train)) for model in pair(CAESettings()))
    assert fast == pytest.approx(plain, rel=1e-4) and fast[-1] < fast[0]


def test_strips_are_for_batches_on_a_cpu(laid):
    model, images = build_model("cae", SMALL.model_dump(mode="json")), torch.zeros(64, 1, 28, 14)
    model.predict(images)
    assert len(laid) == 6
    model.predict(images[:1])
    model.predict(images[:16])
    ConvAutoencoder(SMALL).predict(images)
    model.to("meta")(images.to("meta"))
    assert len(laid) == 6


@pytest.mark.parametrize("kernel", [(4, 4), (3, 1), (1, 2)], ids=str)
def test_strips_are_for_kernels_that_span_one_image_and_several_rows(kernel, laid):
    model = build_model("cae", {"features": [4, 8], "kernel_size": kernel})
    assert model.predict(torch.zeros(64, 1, 28, 14)).shape == (64, 1, 28, 14)
    assert not laid and type(model.encoder) is nn.Sequential


def test_a_hook_sees_images(laid, generator):
    model = build_model("cae", SMALL.model_dump(mode="json")).eval()
    left = torch.rand(32, 1, 28, 14, generator=generator)
    completed, seen = model(left), []
    hook = model.encoder[3].register_forward_hook(lambda *call: seen.append(call[2].shape))
    laid.clear()
    assert torch.allclose(model(left), completed, atol=1e-6)
    assert seen == [(32, 8, 7, 4)] and not set(laid) & set(model.encoder)
    hook.remove()
    assert torch.equal(model(left), completed)


def test_weights_are_the_plain_networks_and_copies_stay_fast(laid, generator):
    fast, plain = pair(SMALL)
    assert list(fast.state_dict()) == list(plain.state_dict())
    left = torch.rand(32, 1, 28, 14, generator=generator)
    expected = fast.predict(left)
    changed = {key: torch.zeros_like(value) for key, value in plain.state_dict().items()}
    plain.load_state_dict(fast.state_dict())
    for copy in (deepcopy(fast), AveragedModel(fast).module):
        laid.clear()
        assert torch.equal(copy.predict(left), expected) and len(laid) == 6
        copy.load_state_dict(changed)
    assert torch.equal(fast.predict(left), expected)
    part = fast.eval().encoder[:4](left), fast.encoder[3](fast.encoder[:3](left))
    torch.testing.assert_close(*part, rtol=0, atol=2e-6)  # sums in another order


def test_both_paths_agree_in_bfloat16(train):
    left, right = (half[:64] for half in train)
    fast, plain = pair(CAESettings())
    with torch.autocast("cpu", torch.bfloat16):
        first, second = (F.mse_loss(model(left), right) for model in (fast, plain))
    assert first.item() == pytest.approx(second.item(), rel=1e-2)


def test_the_fast_path_is_one_graph_to_the_compiler(generator):
    model = build_model("cae", SMALL.model_dump(mode="json")).eval()
    left = torch.rand(32, 1, 28, 14, generator=generator)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(left), model(left))
