"""What is left of a network without nonlinearities."""

import torch
from conftest import SMALL

from halfgen_lib.models import build_model
from halfgen_lib.models.affine import AffineMap


def test_a_network_without_nonlinearities_is_its_map(sample, generator):
    torch.manual_seed(0)
    model = build_model("cae", SMALL["cae"] | {"negative_slope": 1.0}).train()
    for _ in range(3):  # its batch normalisation has seen images
        model(torch.rand(64, 1, 28, 14, generator=generator))
    left, _ = sample.test.halves()
    completed = model.eval().predict(left)
    assert torch.allclose(AffineMap.of(model, 4).predict(left), completed, atol=1e-5)
    coarse = AffineMap.of(model, 1).predict(left)
    assert (coarse - completed).abs().max() > 1e-4  # its rank is that of the code
