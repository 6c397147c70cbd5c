"""What every model promises, whatever it is made of."""

import pytest
import torch
from conftest import SMALL
from safetensors.torch import load, save

from halfgen_lib.config import RunConfig
from halfgen_lib.models import MODELS, build_model
from halfgen_lib.models.base import Sampler
from halfgen_lib.training import LOSSES


def built(name, seed=0):
    torch.manual_seed(seed)
    return build_model(name, SMALL[name]).eval()


SAMPLERS = [name for name in MODELS if isinstance(built(name), Sampler)]


def test_every_model_is_held_to_the_contract():
    assert set(SMALL) == set(MODELS) and SAMPLERS == ["cvae", "gan", "flow", "residual_flow"]


@pytest.fixture
def left(generator):
    return torch.rand(5, 1, 28, 14, generator=generator)


@pytest.fixture
def right(generator, left):
    return torch.rand(left.shape, generator=generator)


@pytest.mark.parametrize("name", MODELS)
def test_completions_are_right_halves_in_the_unit_range(name, left):
    completed = built(name).predict(left)
    assert completed.shape == left.shape and completed.dtype == left.dtype
    assert completed.min() >= 0 and completed.max() <= 1 and completed.std() > 0
    double = built(name).predict(left.double())
    assert double.dtype == torch.float64 and torch.allclose(double.float(), completed)


@pytest.mark.parametrize("name", MODELS)
def test_completions_depend_on_each_left_half_alone(name, left):
    """Neither on the run of the random numbers, nor on the mode, nor on the others in the batch."""
    model = built(name).train()
    completed = model.predict(left)
    assert model.training
    torch.manual_seed(5)
    assert torch.equal(model.predict(left), completed)
    if name not in SAMPLERS:  # the noises of a batch are drawn in its order
        parts = [model.predict(one) for one in left.split(1)]
        assert torch.allclose(torch.cat(parts), completed, atol=1e-5)
    assert model.predict(left[:0]).shape == (0, 1, 28, 14)


@pytest.mark.parametrize("name", MODELS)
def test_weights_go_through_a_file_unchanged(name, left, right):
    model = built(name)
    model.train()
    model.loss(left, right, LOSSES["mse"])  # moves running means and counters
    content = save({k: v.contiguous() for k, v in model.state_dict().items()})
    other = built(name, seed=1)
    assert not torch.equal(other.predict(left), model.predict(left))
    other.load_state_dict(load(content))
    assert torch.equal(other.predict(left), model.predict(left))


@pytest.mark.parametrize("name", MODELS)
def test_a_step_down_the_loss_moves_every_weight(name, left, right):
    model = built(name).train()
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(3):  # with a zero KL weight the prior moves from the second step
        optimizer.zero_grad()
        loss = model.loss(left, right, LOSSES["mse"])
        assert loss.shape == () and torch.isfinite(loss)
        loss.backward()
        optimizer.step()
    still = [k for k, v in model.named_parameters() if torch.equal(v, before[k])]
    assert not still


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ([[0.5]], TypeError, "left is a list"),
        (torch.zeros(1, 1, 28, 14, dtype=torch.uint8), TypeError, "dtype torch.uint8"),
        (torch.zeros(1, 28, 14), ValueError, r"shape \(1, 28, 14\)"),
        (torch.zeros(1, 1, 28, 28), ValueError, r"shape \(1, 1, 28, 28\)"),
        (torch.full((1, 1, 28, 14), 255.0), ValueError, "from 255 to 255"),
        (torch.full((1, 1, 28, 14), torch.nan), ValueError, "no NaN"),
    ],
    ids=["list", "uint8", "unbatched", "whole image", "unscaled", "nan"],
)
def test_what_is_no_batch_of_left_halves_is_refused(name, bad, error, message, generator):
    with pytest.raises(error, match=message):
        built(name).predict(bad)
    if name in SAMPLERS:
        with pytest.raises(error, match=message):
            built(name).sample(bad, 1, generator)


@pytest.mark.parametrize("name", MODELS)
def test_unknown_settings_are_refused_by_name(name):
    with pytest.raises(ValueError, match="model_settings: widht"):
        RunConfig(model=name, model_settings={"widht": 3})


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_cpu_and_gpu_agree(name, left):
    model = built(name)
    completed = model.predict(left)
    assert torch.allclose(model.cuda().predict(left), completed, atol=1e-3)


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_follow_from_the_generator_and_differ(name, left):
    model = built(name)

    def draw(seed, n=3, **options):
        return model.sample(left, n, torch.Generator().manual_seed(seed), **options)

    draws = draw(0)
    assert draws.shape == (3, *left.shape) and draws.min() >= 0 and draws.max() <= 1
    assert torch.equal(draw(0), draws) and not torch.equal(draw(1), draws)
    assert torch.equal(draw(0, n=1)[0], draws[0])
    assert not torch.equal(draws[0], draws[1])
    torch.manual_seed(7)
    assert torch.equal(draw(0), draws)  # the global state does not matter
    assert draw(0, batch_size=2).shape == draws.shape
    assert model.sample(left[:0], 2, torch.Generator()).shape == (2, 0, 1, 28, 14)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("n", [0, -1])
def test_less_than_one_draw_is_refused(name, n, left, generator):
    with pytest.raises(ValueError, match=f"n is {n}"):
        built(name).sample(left, n, generator)
