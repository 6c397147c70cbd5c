"""Published weights take a byte each, and come back as near as a byte allows."""

import pytest
import torch

from halfgen_lib.runs.weights import LARGE, packed, unpacked


def test_a_large_tensor_is_whole_numbers_times_a_scale_for_each_output():
    weight = torch.zeros(2, LARGE // 2)
    weight[0, :4] = torch.tensor([127.0, -1.0, 0.4, 0.6])
    weight[1, :2] = torch.tensor([-0.5, 0.25])
    stored = packed({"a.weight": weight})
    assert {name: tensor.dtype for name, tensor in stored.items()} == {
        "a.weight": torch.int8,
        "a.weight.scale": torch.float32,
    }
    assert stored["a.weight"][0, :4].tolist() == [127, -1, 0, 1]
    assert stored["a.weight"][1, :3].tolist() == [-127, 64, 0]
    assert stored["a.weight.scale"].flatten().tolist() == pytest.approx([1, 0.5 / 127])
    (found,) = unpacked(stored).values()
    assert found[0, :4].tolist() == [127, -1, 0, 1]


def test_every_number_comes_back_to_half_a_step():
    for shape in ((40, 3, 4, 4), (64, 32), (1, LARGE)):
        weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        step = weight.abs().flatten(1).amax(1) / 127
        found = unpacked(packed({"w": weight}))["w"]
        assert ((found - weight).abs().flatten(1) <= 0.501 * step[:, None]).all()


def test_what_is_small_or_no_number_of_weights_stays_what_it_is():
    state = {
        "bias": torch.randn(LARGE),
        "few": torch.randn(3, 3),
        "count": torch.tensor(7),
        "black.weight": torch.zeros(2, LARGE),
        "norm.scale": torch.ones(4),  # a tensor of a model's own that is called so
    }
    stored = packed(state)
    assert stored["bias"].dtype == stored["few"].dtype == torch.float16
    found = unpacked(stored)
    assert found.keys() == state.keys() and found["count"] == 7
    assert not found["black.weight"].any() and torch.equal(
        found["norm.scale"].float(), torch.ones(4)
    )
    assert torch.equal(found["bias"], state["bias"].half())


def test_a_state_that_was_never_packed_is_read_as_it_is():
    state = {"w": torch.randn(2, LARGE), "w.bias": torch.randn(2)}
    found = unpacked(state)
    assert all(torch.equal(found[name], state[name]) for name in state) and len(found) == 2
