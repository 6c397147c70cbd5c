"""What the tests share: no network, no GPU, no run left in the project."""

import os
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from halfgen_lib.config import RunConfig
from halfgen_lib.data import load

# two test processes share two cores, and the networks here are tiny: threads would only wait
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the kernels and commands that tests start

# the smallest useful network of each model
SMALL = {
    "cae": {"features": [4, 8], "hidden_dim": 16, "latent_dim": 4},
    "mlp": {"hidden_dims": [8, 8]},
    "unet": {"widths": [4, 8], "skips": "added", "norm": "batch"},
    "cvae": {"widths": [4, 8], "encoder_widths": [4, 8], "latent_dim": 4, "warmup_steps": 2},
    "gan": {"widths": [4, 8], "judge_widths": [4, 8], "latent_dim": 4},
    "flow": {"widths": [4, 8], "embedding": 8, "steps": 2},
    "residual_flow": {
        "widths": [4, 8],
        "embedding": 8,
        "steps": 2,
        "mean_widths": [4, 8],
        "spread_widths": [4],
    },
}
TINY = {"model_settings": SMALL["cae"]}


@pytest.fixture(scope="session")
def sample():
    """A tenth of the shipped sample: 200 training and 100 test images, all ten classes."""
    whole = load("sample")
    few = torch.arange(200)
    return replace(whole, train=whole.train.select(few), test=whole.test.select(few[:100]))


@pytest.fixture(scope="session")
def train(sample):
    """Left and right halves of the sample's training images, in [0, 1]."""
    return sample.train.halves()


@pytest.fixture(scope="session")
def test(sample):
    """Left and right halves of the sample's test images, in [0, 1]."""
    return sample.test.halves()


@pytest.fixture(scope="session")
def tiny_config():
    """A run of a few seconds: a small network on the sample."""
    return lambda **changes: RunConfig(**{"data": "sample", "epochs": 2, **TINY, **changes})


@pytest.fixture(autouse=True)
def runs_dir(tmp_path, monkeypatch):
    """Every test has its own folder of runs."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("HALFGEN_RUNS", str(folder))
    return folder


@pytest.fixture
def results_dir(tmp_path, monkeypatch):
    """A folder of results for this test alone."""
    folder = tmp_path / "results"
    monkeypatch.setenv("HALFGEN_RESULTS", str(folder))
    return folder


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@contextmanager
def small_analyses(sample, folder):
    """Analyses in a folder of their own: of the sample and of small networks, for an epoch each."""
    from halfgen_lib.analysis import ensembles, networks, published
    from halfgen_lib.training import fit

    def fit_small(config, dataset):
        own = {"features": [4, 4, 8]} if config.model == "cae" else {}  # its paddings are for three
        changes = {"seed": config.seed, "data": "sample", "epochs": 1, "teacher": config.teacher}
        settings = SMALL[config.model] | own
        small = RunConfig.of_variant(config.variant, model_settings=settings, **changes)
        return fit(small, dataset, quiet=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALFGEN_RUNS", str(folder / "runs"))
        patch.setenv("HALFGEN_RESULTS", str(folder / "results"))
        for module in (ensembles, networks, published):
            patch.setattr(module, "load", lambda _: sample)
        patch.setattr(published, "fit", fit_small)
        yield patch
