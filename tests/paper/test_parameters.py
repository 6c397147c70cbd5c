"""Strict parameters: under real papermill runs, and cell by cell on a hand-made history."""

import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from papermill.cli import papermill as papermill_command
from papermill.exceptions import PapermillExecutionError
from pydantic import Field, model_validator

from halfgen_lib.paper.parameters import ParameterError, read_parameters
from halfgen_lib.settings import Settings


class Parameters(Settings):
    epochs: int = Field(20, ge=1, le=10000, description="passes over the training set")
    lr: float = Field(0.001, gt=0, lt=10, description="step of Adam")
    flag: bool = Field(False, description="whether to do it")
    given: Literal["left", "right"] = Field("left", description="the side that is known")
    sizes: tuple[int, ...] = Field((32, 64), min_length=1, description="features of each layer")
    name: str = Field("", description="name of the run")
    limit: int | None = Field(None, ge=1, description="images to read | all of them")

    @model_validator(mode="after")
    def _fits(self):
        if self.limit is not None and self.limit < self.epochs:
            raise ValueError(f"limit = {self.limit} is too small for {self.epochs} epochs")
        return self


IMPORTS = """from typing import Literal
from pydantic import Field, model_validator
from halfgen_lib.paper.parameters import read_parameters
from halfgen_lib.settings import Settings
"""
# read here, once: two threads that parse Python at once break it (CPython 3.11, issue 106905)
SCHEMA = IMPORTS + inspect.getsource(Parameters)
CELL = """epochs: int = 20  # passes over the training set
lr: float = 0.001  # step of Adam
flag: bool = False
given: str = "left"
sizes: list = [32, 64]
name: str = ""
limit: int = None"""
CHECK = "parameters = read_parameters(Parameters, globals())"
TAKES = "This notebook takes: epochs, lr, flag, given, sizes, name, limit"
WHOLE = "Input should be a valid integer"
NUMBER = "Input should be a valid number"
FINITE = "Input should be a finite number"
FLAG = "Input should be a valid boolean"


# ---- real runs


class Case(NamedTuple):
    arguments: tuple[str, ...]
    expected: str
    cell: str = CELL
    tags: tuple[str, ...] = ("parameters",)


def bad(*arguments: str, expected: str, **changes) -> Case:
    return Case(arguments, expected, **changes)


REFUSED = {
    "unknown": bad(
        "-p",
        "epoch",
        "5",
        expected="unknown parameter 'epoch' = 5; did you mean 'epochs'?",
    ),
    "no tag": bad("-p", "epochs", "5", tags=(), expected="tag that cell `parameters`"),
    "text": bad("-p", "epochs", "five", expected=f"epochs = 'five': {WHOLE}"),
    "fraction": bad("-p", "epochs", "2.5", expected=f"epochs = 2.5: {WHOLE}"),
    "negative": bad(
        "-p", "epochs", "-1", expected="epochs = -1: Input should be greater than or equal to 1"
    ),
    "yaml yes": bad("-y", "epochs: yes", expected=f"epochs = True: {WHOLE}"),
    "false": bad("-p", "flag", "false", expected=f"flag = 'false': {FLAG}"),
    "no": bad("-p", "flag", "no", expected=f"flag = 'no': {FLAG}"),
    "comma": bad("-p", "lr", "1,5", expected=f"lr = '1,5': {NUMBER}"),
    "nan": bad("-p", "lr", "nan", expected=f"lr = nan: {FINITE}"),
    "inf": bad("-p", "lr", "inf", expected=f"lr = inf: {FINITE}"),
    "yaml inf": bad("-y", "lr: .inf", expected=f"lr = inf: {FINITE}"),
    "derived": bad(
        "-p",
        "epochs",
        "5",
        cell=f"{CELL}\nsteps = epochs * 100",
        expected="steps is computed inside",
    ),
    "model": bad("-p", "limit", "5", expected="limit = 5 is too small for 20 epochs"),
}
ACCEPTED = {
    "none": Case((), repr(Parameters())),
    "int": Case(("-p", "epochs", "3"), repr(Parameters(epochs=3))),
    "int for float": Case(("-p", "lr", "1"), repr(Parameters(lr=1))),
    "list for tuple": Case(("-y", "sizes: [1, 2]"), repr(Parameters(sizes=(1, 2)))),
}


def write_notebook(folder: Path, case: Case, work: str) -> list[str]:
    """Write the notebook whose work cell leaves TRAINED; return papermill's arguments for it."""
    folder.mkdir()
    # a whole path: the working directory is the process's, and two runs share one here
    work = work.replace("TRAINED", repr(str(folder / "trained")))
    parameters = new_code_cell(case.cell, metadata={"tags": list(case.tags)})
    schema = new_code_cell(SCHEMA)
    cells = [schema, parameters, new_code_cell(CHECK), new_code_cell(work)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "in.ipynb")
    paths = [str(folder / "in.ipynb"), str(folder / "out.ipynb")]
    return [*paths, *case.arguments, "--no-progress-bar"]


def run_case(folder: Path, case: Case) -> str:
    """Run papermill's command in this process; return its error, or else what was trained with."""
    work = "with open(TRAINED, 'w') as file:\n    print(parameters, repr(parameters), file=file)"
    arguments = write_notebook(folder, case, work)
    try:
        papermill_command.main(arguments, standalone_mode=False)
    except PapermillExecutionError as error:
        assert not (folder / "trained").exists()
        return str(error).strip()
    return (folder / "trained").read_text()


def run_command(folder: Path, case: Case, work: str) -> subprocess.CompletedProcess:
    """Run papermill as a user would, on a notebook that must not come to its work's end."""
    command = [sys.executable, "-m", "papermill", *write_notebook(folder, case, work)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert not (folder / "trained").exists()
    return run


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run every case, two at a time: a kernel takes about two seconds to start."""
    cases = REFUSED | ACCEPTED
    folder = tmp_path_factory.mktemp("papermill")
    with ThreadPoolExecutor(2) as pool:
        runs = {
            name: pool.submit(run_case, folder / name.replace(" ", "-"), case)
            for name, case in cases.items()
        }
        two_wrong = Case(("-p", "epochs", "five", "-p", "lrr", "1"), "")
        killed = "import os\nos.kill(os.getpid(), 9)\nopen(TRAINED, 'w').close()"
        runs["command refused"] = pool.submit(
            run_command, folder / "refused", two_wrong, "open(TRAINED, 'w').close()"
        )
        runs["command killed"] = pool.submit(run_command, folder / "killed", Case((), ""), killed)
    return {name: run.result() for name, run in runs.items()}


@pytest.mark.parametrize("name", REFUSED)
def test_papermill_refuses(outcomes, name):
    message = outcomes[name].splitlines()[-1]
    assert message.startswith("ParameterError: ")
    assert REFUSED[name].expected in message


@pytest.mark.parametrize("name", ACCEPTED)
def test_papermill_trains(outcomes, name):
    assert ACCEPTED[name].expected in outcomes[name]


def test_command_exits_with_1_and_ends_in_the_message(outcomes):
    run = outcomes["command refused"]
    assert run.returncode == 1
    assert run.stderr.strip().splitlines()[-2:] == [
        "ParameterError: unknown parameter 'lrr' = 1; did you mean 'lr'?",
        f"epochs = 'five': {WHOLE}",
    ]


def test_killed_kernel_is_a_failure(outcomes):
    run = outcomes["command killed"]
    assert run.returncode != 0
    assert "DeadKernelError" in run.stderr


# ---- hand-made histories


def read(*history: str, **names) -> Parameters:
    return read_parameters(Parameters, {"In": ["", *history], **names})


def injected(source: str) -> str:
    return f"# Parameters\n{source}\n"


def message(*history: str) -> str:
    with pytest.raises(ParameterError) as refusal:
        read(*history)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("epochs = 10001", "epochs = 10001: Input should be less than or equal to 10000"),
        ("epochs = 1000.0", f"epochs = 1000.0: {WHOLE}"),
        ("epochs = None", f"epochs = None: {WHOLE}"),
        ("epochs = '5'", f"epochs = '5': {WHOLE}"),
        ("lr = '1e-3'", f"lr = '1e-3': {NUMBER}"),
        ("lr = 0", "lr = 0: Input should be greater than 0"),
        ("lr = True", f"lr = True: {NUMBER}"),
        ("lr = float('-inf')", f"lr = -inf: {FINITE}"),
        ("flag = 1", f"flag = 1: {FLAG}"),
        ("given = 'Left'", "given = 'Left': Input should be 'left' or 'right'"),
        ("given = 5", "given = 5: Input should be 'left' or 'right'"),
        ("sizes = []", "sizes = []: Tuple should have at least 1 item after validation, not 0"),
        (
            "sizes = [1, 'a', 2.5]",
            f"sizes.1 = 'a': {WHOLE}\nsizes.2 = 2.5: {WHOLE}",
        ),
        ("name = 5", "name = 5: Input should be a valid string"),
        ("limit = 0", "limit = 0: Input should be greater than or equal to 1"),
        ("limit = 3", "limit = 3 is too small for 20 epochs"),
        ("lrate = 3", f"unknown parameter 'lrate' = 3. {TAKES}"),
        ("EPOCHS = 3", "unknown parameter 'EPOCHS' = 3; did you mean 'epochs'?"),
    ],
)
def test_message(source, expected):
    assert message(CELL, injected(source), CHECK) == expected


def test_all_problems_are_told_at_once():
    lines = message(CELL, injected("epoch = 5\nlr = 'x'\nflag = 0"), CHECK).splitlines()
    assert [line.split(" = ")[0] for line in lines] == ["unknown parameter 'epoch'", "lr", "flag"]


def test_traceback_is_the_message_alone():
    assert ParameterError("a\nb")._render_traceback_() == ["ParameterError: a\nb"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("epochs = -(-5)", "epochs is computed"),
        ("epochs = 10 * 2", "epochs is computed"),
        ("epochs: int = int('3')", "epochs is computed"),
        ("epochs += 1", "epochs is computed"),
        ("epochs, other = 1, 2", "epochs is computed"),
        ("if True:\n    epochs = 2", "epochs is computed"),
        ("epochs = 5\nsteps = epochs * 2", "steps is computed"),
    ],
)
def test_the_parameters_cell_computes_nothing(source, expected):
    assert expected in message(source, CHECK)
    assert expected in message(source, injected("lr = 0.5"), CHECK)


def test_literals_of_every_kind_are_plain_values():
    source = "'''What it does.'''\nepochs = 3\nsizes = (1, 2)\nlr: float = 1\nlimit = None\npass"
    assert read(source, CHECK) == Parameters(epochs=3, sizes=(1, 2), lr=1.0)
    assert read(CELL, injected("sizes = [-1]"), CHECK).sizes == (-1,)


@pytest.mark.parametrize("between", ["import os", "x = 5", "%time f()", "# a comment", ""])
def test_lost_tag_is_found_whatever_stands_between(between):
    assert "lost its tag" in message(injected("epochs = 5"), between, CELL, CHECK)
    assert read(CELL, between, injected("epochs = 5"), between, CHECK).epochs == 5


def test_a_heading_of_the_authors_is_not_taken_for_papermills():
    assert read(f"# Parameters\n{CELL}", injected("epochs = 5"), CHECK).epochs == 5
    assert "lost its tag" in message(injected("epochs = 5"), f"# Parameters\n{CELL}", CHECK)


def test_schema_default_holds_where_the_notebook_is_silent():
    assert read("epochs = 3", CHECK, lr="stale", flag="stale") == Parameters(epochs=3)


def test_outside_ipython_values_are_taken_by_name():
    assert read_parameters(Parameters, {"epochs": 3, "other": 1}) == Parameters(epochs=3)
    assert read(CHECK, epochs=4) == Parameters(epochs=4)
    with pytest.raises(ParameterError, match="epochs = 'five'"):
        read_parameters(Parameters, {"epochs": "five"})


class TestInLab:
    def test_check_again(self):
        assert read(CELL, injected("epochs = 5"), CHECK, CHECK).epochs == 5
        assert "'epoch'" in message(CELL, injected("epoch = 5"), CHECK, CHECK)

    def test_edited_cell_wins_and_old_problems_are_forgotten(self):
        edited = CELL.replace("20", "7")
        assert read(CELL, injected("epochs = 5"), CHECK, edited, CHECK).epochs == 7
        assert read(f"{CELL}\nepoch = 5", CHECK, edited, CHECK).epochs == 7

    def test_one_edited_value_leaves_the_others(self):
        assert read(CELL, injected("lr = 0.5"), CHECK, "epochs = 7", CHECK) == Parameters(
            epochs=7, lr=0.5
        )

    @pytest.mark.parametrize("work", ["run = fit(parameters)", "name = run.name", "for lr in x: y"])
    def test_work_sets_no_parameter(self, work):
        history = CELL, injected("epochs = 5"), CHECK, work, CHECK
        assert read(*history, name=object(), lr=9) == Parameters(epochs=5)

    def test_unfinished_code_and_magics_are_passed_over(self):
        assert read("epochs =", CELL, CHECK, "get_ipython().system('ls')", "x?", CHECK)


def test_import_is_light():
    code = "import sys, halfgen_lib.paper.parameters; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert not {"torch", "numpy", "IPython"} & set(loaded.split())
