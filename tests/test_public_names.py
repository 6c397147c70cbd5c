"""What the package gives by name, and what importing it costs."""

import subprocess
import sys

import pytest

import halfgen_lib
from halfgen_lib import models, paper


def test_every_public_name_is_there_and_has_its_docstring():
    assert set(halfgen_lib.__all__) <= set(dir(halfgen_lib))
    for name in halfgen_lib.__all__:
        assert getattr(halfgen_lib, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        halfgen_lib.lode  # noqa: B018


def test_a_models_class_is_had_by_name():
    assert models.ConvAutoencoder is models.model_class("cae")
    with pytest.raises(ImportError, match="cannot import name 'ConvAutoEncoder'"):
        from halfgen_lib.models import ConvAutoEncoder  # noqa: F401


def test_what_notebooks_call_is_in_the_papers_package():
    assert all(getattr(paper, name).__doc__ for name in paper.__all__)
    with pytest.raises(AttributeError, match="no attribute 'show'"):
        paper.show  # noqa: B018


def test_the_import_alone_is_fast_and_imports_no_torch():
    code = (
        "import sys, time; start = time.perf_counter(); import halfgen_lib;"
        "print(time.perf_counter() - start, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
        for _ in range(5)
    ]
    assert {tuple(run[1:]) for run in runs} == {("False", "False")}
    assert min(float(run[0]) for run in runs) < 0.05


EXTRAS = {
    "from halfgen_lib.explore import explorer": ("anywidget", "explore"),
    "from halfgen_lib import figures": ("matplotlib", "notebooks"),
    "from halfgen_lib.paper import show_figure": ("IPython", "notebooks"),
    "from halfgen_lib.analysis import baselines": ("sklearn", "study"),
    "from halfgen_lib.analysis import sampling": ("scoringrules", "study"),
    "from halfgen_lib.report import make_report; make_report([])": ("typst", "paper"),
}


@pytest.mark.parametrize("code", EXTRAS)
def test_what_is_missing_is_named_with_the_extra_that_brings_it(code):
    missing, extra = EXTRAS[code]
    absent = f"import sys; sys.modules[{missing!r}] = None; "
    run = subprocess.run([sys.executable, "-c", absent + code], capture_output=True, text=True)
    said = run.stderr.strip().splitlines()[-1].partition(": ")[2]
    assert said == f"{missing} is not installed: pip install 'halfgen[{extra}]' brings it"


def test_training_and_completing_need_no_extra():
    names = {"IPython", "matplotlib", "sklearn", "ipywidgets", "anywidget", "papermill", "typst"}
    absent = f"import sys; sys.modules |= dict.fromkeys({names}); "
    code = "from halfgen_lib import *; import halfgen_lib.studies.study, halfgen_lib.cli"
    subprocess.run([sys.executable, "-c", absent + code], check=True)
