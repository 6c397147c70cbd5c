"""The same seed gives the same bytes, whatever surrounds the process; other seeds give others."""

import hashlib
import itertools
import json
import os
import subprocess
import sys

import nbformat
import nbformat.v4 as v4
import processes
import pytest
import torch
from matplotlib import pyplot as plt

from halfgen_lib.data import batches
from halfgen_lib.paper import display
from halfgen_lib.report import FORMATS, export
from halfgen_lib.runs import Run
from halfgen_lib.training import fit

SUBJECT = "reproducibility"
# what a result must not depend on
SURROUNDINGS = [
    {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
]


def in_surroundings(number, code, *arguments, cwd):
    """Run Python code in a process of its own; return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | SURROUNDINGS[number]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


ORDER = """
import hashlib, torch
from halfgen_lib.data import batches, load, split
from halfgen_lib.models import build_model
train, digest = split(load("sample"), train_size=500).train, hashlib.sha256()
generator = torch.Generator().manual_seed(3)
for _ in range(2):
    for left, right in batches(train, 64, generator, flip=True):
        digest.update(left.numpy().tobytes() + right.numpy().tobytes())
torch.manual_seed(3)
for values in build_model("cae", {}).state_dict().values():
    digest.update(values.numpy().tobytes())
print(torch.get_num_threads(), digest.hexdigest())
"""


def test_order_and_first_weights_do_not_depend_on_threads(tmp_path, check):
    with check(SUBJECT):
        said = [in_surroundings(n, ORDER, cwd=tmp_path).split() for n in range(2)]
        assert said[0][1] == said[1][1]
        assert {threads for threads, _ in said} == {"1", "2"} or os.cpu_count() == 1


TRAIN = """
import sys, torch
from halfgen_lib.config import RunConfig
from halfgen_lib.training import fit
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[3])
import processes
from pathlib import Path
fit(RunConfig.model_validate_json(sys.argv[1]), processes.SMALL, runs_dir=Path(sys.argv[2]))
"""


def test_the_same_seed_in_other_surroundings(tiny_config, tmp_path, check):
    config = tiny_config()
    here = processes.outcome(fit(config, processes.SMALL, quiet=True))
    for number in range(2):
        with check(SUBJECT):
            runs_dir = tmp_path / str(number)
            folder = os.path.dirname(processes.__file__)
            arguments = (config.model_dump_json(), runs_dir, folder)
            in_surroundings(number, TRAIN, *arguments, cwd=tmp_path)
            assert processes.outcome(Run(runs_dir / config.run_id)) == here


def test_every_seed_is_another_run(tiny_config, check):
    runs = [fit(tiny_config(seed=s, epochs=1), processes.SMALL, quiet=True) for s in range(6)]
    outcomes = [json.dumps(processes.outcome(run)[0]) for run in runs]
    for one, other in itertools.combinations(outcomes, 2):
        with check(SUBJECT):
            assert one != other


def test_seeds_differ_in_their_orders_too(check):
    orders = []
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        left, _ = next(batches(processes.SMALL.train, 50, generator))
        orders.append(hashlib.sha256(left.numpy().tobytes()).hexdigest())
    for one, other in itertools.combinations(orders, 2):
        with check(SUBJECT):
            assert one != other


EXPORT = """
import sys
from pathlib import Path
from halfgen_lib.report import export
export(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
"""


@pytest.mark.parametrize("kind", FORMATS)
def test_a_paper_is_the_same_file_twice(kind, tmp_path, check):
    display.use_paper_style()
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([0, 1], [1, 0])
    bundle = {"image/svg+xml": display.figure_svg(figure)}
    plt.close(figure)
    named = {"halfgen": {"label": "fig-a", "caption": "A figure."}}
    shown = v4.new_output("display_data", data=bundle, metadata=named)
    cells = [
        v4.new_markdown_cell("# Title\n\nSee @fig-a and $x^2$."),
        v4.new_code_cell("1", outputs=[shown]),
    ]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "paper.ipynb")
    export(tmp_path / "paper.ipynb", kind, tmp_path / f"paper.{kind}")
    with check(SUBJECT):
        again = tmp_path / "again" / f"paper.{kind}"
        again.parent.mkdir()
        in_surroundings(1, EXPORT, tmp_path / "paper.ipynb", kind, again, cwd=again.parent)
        assert again.read_bytes() == (tmp_path / f"paper.{kind}").read_bytes()
        assert len(again.read_bytes()) > 5000
