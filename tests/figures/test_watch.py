"""Training watched: drawn where a browser runs the cell, at little cost, and without effect."""

from types import SimpleNamespace

import numpy as np
import pytest
from jupyter_client import KernelManager

from halfgen_lib.figures import Watch, watch
from halfgen_lib.training import fit

CODE = """
from conftest import TINY
from halfgen_lib import RunConfig, figures, fit
config = RunConfig(data="sample", epochs=3, train_size=100, **TINY)
run = fit(config, quiet=True, watch=figures.Watch())
"""


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, and whether it takes the place of the one before."""
    found = []
    seen = {"metadata": {"cellId": "a"}}
    monkeypatch.setattr(watch, "get_ipython", lambda: SimpleNamespace(get_parent=lambda: seen))
    monkeypatch.setattr(
        watch, "display", lambda picture, update, **_: found.append((picture, update))
    )
    return found


def test_each_epoch_takes_the_place_of_the_one_before(
    shown, monkeypatch, tiny_config, sample, tmp_path
):
    monkeypatch.setattr(watch, "SHARE", 100)
    watched = fit(tiny_config(epochs=3), sample, quiet=True, watch=Watch())
    assert [again for _, again in shown] == [False, True, True]
    pictures = [picture.data for picture, _ in shown]
    assert len(set(pictures)) == 3 and all(data.startswith(b"\x89PNG") for data in pictures)
    alone = fit(tiny_config(epochs=3), sample, runs_dir=tmp_path / "alone", quiet=True)
    for name in ("train_loss", "val_loss", "lr"):
        assert np.array_equal(alone.history[name], watched.history[name])


def test_drawing_takes_no_more_than_its_share(shown, monkeypatch, tiny_config, sample):
    monkeypatch.setattr(watch, "SHARE", 0)
    fit(tiny_config(epochs=4), sample, quiet=True, watch=Watch())
    assert len(shown) == 2  # the first, before anything was spent, and the last


@pytest.mark.parametrize("metadata", [{}, {"cellId": "a"}], ids=["papermill", "browser"])
def test_a_kernel_draws_where_a_browser_asks(metadata, request, runs_dir, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{request.config.rootpath}:{request.config.rootpath}/tests")
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=300)
        content = {"code": CODE, "silent": False, "store_history": True, "allow_stdin": False}
        client.shell_channel.send(
            message := client.session.msg("execute_request", content, metadata=metadata)
        )
        kinds, ended = [], False
        while not ended:
            found = client.get_iopub_msg(timeout=300)
            mine = found["parent_header"].get("msg_id") == message["msg_id"]
            kinds += [found["msg_type"]] if mine else []
            assert found["msg_type"] != "error", found["content"]
            ended = mine and found["content"].get("execution_state") == "idle"
        assert kinds.count("display_data") == len(metadata)
        assert ("update_display_data" in kinds) == bool(metadata)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
