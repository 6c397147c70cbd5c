"""Files that are loaded: nothing in them is executed, and what is damaged is named."""

import json
import pickle
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import processes
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halfgen_lib.analysis.published import published
from halfgen_lib.config import RunConfig
from halfgen_lib.runs import Run, RunError, find_run
from halfgen_lib.runs.checkpoint import write_status
from halfgen_lib.runs.record import add_record, read_results, record_of
from halfgen_lib.training import fit

MANY = {
    "derandomize": True,
    "database": None,
    "deadline": timedelta(seconds=20),
    "suppress_health_check": list(HealthCheck),
}


class Bomb:
    """Unpickled, it touches a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def raw_pickle(path, bomb):
    path.write_bytes(pickle.dumps(bomb))


def torch_pickle(path, bomb):
    torch.save({"model": bomb, "history": []}, path)


def numpy_pickle(path, bomb):
    with path.open("wb") as file:
        np.savez(file, mse=np.array([bomb], dtype=object))


@pytest.fixture
def run(tiny_config):
    return fit(tiny_config(epochs=1), processes.SMALL, quiet=True)


READERS = {
    "resume.pt": lambda run: fit(run.config, processes.SMALL, quiet=True),
    "model.safetensors": lambda run: run.model(),
    "last.safetensors": lambda run: run.model("last"),
    "scores.npz": lambda run: run.scores,
    "config.json": lambda run: run.config,
    "metrics.json": lambda run: run.metrics,
    "status.json": lambda run: find_run(run.run_id, run.directory.parent),
    "history.csv": lambda run: run.history,
}


@pytest.mark.parametrize("pickled", [raw_pickle, torch_pickle, numpy_pickle])
@pytest.mark.parametrize("name", READERS)
def test_a_pickle_bomb_does_not_go_off(name, pickled, run, tmp_path, fault):
    path = run.directory / name
    if name == "resume.pt":  # read only while the run is not finished
        write_status(run, "interrupted", epoch=1)
    with fault("loaded files: pickle bombs"):
        pickled(path, Bomb(tmp_path / "exploded"))
        with pytest.raises(RunError, match=re.escape(name)):
            READERS[name](run if name == "resume.pt" else Run(run.directory))
        assert not (tmp_path / "exploded").exists()


def test_the_bombs_are_live(tmp_path):
    """What the tests above plant would go off if it were unpickled."""
    for number, pickled in enumerate((raw_pickle, torch_pickle, numpy_pickle)):
        path, marker = tmp_path / f"live{number}", tmp_path / f"exploded{number}"
        pickled(path, Bomb(marker))
        if pickled is raw_pickle:
            pickle.loads(path.read_bytes())
        elif pickled is torch_pickle:
            torch.load(path, weights_only=False)
        else:
            np.load(path, allow_pickle=True)["mse"]
        assert marker.exists()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A finished run of one epoch; nobody changes it."""
    network = {"features": [4], "hidden_dim": 8, "latent_dim": 2}
    config = RunConfig(data="sample", epochs=1, model_settings=network)
    return fit(config, processes.SMALL, runs_dir=tmp_path_factory.mktemp("pristine"), quiet=True)


@st.composite
def damaged(draw, content):
    """Return content that is cut, or of which a piece is overwritten or new."""
    at = draw(st.integers(0, min(len(content), 300)) | st.integers(0, len(content)))
    some = draw(st.binary(min_size=1, max_size=12))
    new = content[:at] + some + content[at:]
    return draw(st.sampled_from([content[:at], new, new[: at + len(some)] + new[at + 2 :]]))


@settings(max_examples=300, **MANY)
@given(st.data())
def test_a_damaged_file_of_a_run_is_read_or_named(tmp_path_factory, pristine, fault, data):
    """No error but ours, which names the file, whatever the damage hits."""
    name = data.draw(st.sampled_from([name for name in READERS if name != "resume.pt"]))
    folder = tmp_path_factory.getbasetemp() / "damaged" / pristine.run_id
    folder.mkdir(exist_ok=True, parents=True)
    for other in READERS:
        if other != "resume.pt":
            (folder / other).write_bytes((pristine.directory / other).read_bytes())
    content = data.draw(damaged((pristine.directory / name).read_bytes()))
    with fault("loaded files: damaged runs"):
        (folder / name).write_bytes(content)
        try:
            READERS[name](Run(folder))
        except RunError as error:
            assert name in str(error) or "not finished" in str(error)


# ---- published results


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


WRONG = [
    float("nan"),
    float("inf"),
    nested(40),
    nested(3),
    {"a": {"b": {"c": {}}}},
    "x" * 2000,
    -7,
    [],
]


def places(value, path=()):
    """Yield the path of every entry in nested JSON values."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


@settings(max_examples=200, **MANY)
@given(st.data())
def test_a_wrong_entry_in_published_results_is_refused(tmp_path_factory, pristine, fault, data):
    path = tmp_path_factory.getbasetemp() / "results.json"
    path.unlink(missing_ok=True)
    add_record(path, record_of(pristine))
    content = json.loads(path.read_text())
    record = content["records"][0]
    *outer, last = data.draw(st.sampled_from(list(places(record))))
    entry = record
    for key in outer:
        entry = entry[key]
    wrong = [value for value in WRONG if value != -7 or isinstance(entry[last], str | list | dict)]
    entry[last] = data.draw(st.sampled_from(wrong))
    with fault("loaded files: published results"):
        path.write_text(json.dumps(content))
        with pytest.raises(RunError, match=r"results\.json .*records\.0"):
            read_results(path)
        with pytest.raises(RunError, match=r"records\.0"):
            add_record(path, record_of(pristine))
        assert path.read_text() == json.dumps(content)


ANALYSES = {
    "empty": "",
    "a list": "[]",
    "no origin": "{}",
    "nothing": "null",
    "a wrong origin": '{"origin": []}',
    "NaN": '{"origin": {}, "mse": NaN}',
    "an infinity": '{"origin": {}, "mse": -Infinity}',
    "a number too large": '{"origin": {}, "mse": 1e999}',
    "deep": "[" * 200_000,
    "deep inside": '{"origin": {}, "a": ' + "[" * 100_000,
    "not UTF-8": "\xff\xfe",
    "cut": '{"origin": {}',
}


@pytest.mark.parametrize("damage", ANALYSES)
def test_a_damaged_analysis_is_named(damage, tmp_path, monkeypatch, fault):
    monkeypatch.setenv("HALFGEN_RESULTS", str(tmp_path))
    with fault("loaded files: published results"):
        (tmp_path / "erratum.json").write_text(ANALYSES[damage], encoding="latin-1")
        with pytest.raises(RunError, match=r"erratum\.json"):
            published("erratum")
