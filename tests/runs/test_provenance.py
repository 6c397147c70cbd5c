"""What a result says of where it came from."""

import os
import platform
import subprocess
import sys

import pytest

from halfgen_lib.runs import provenance


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/a/bin/halfgen", "study", "--seeds", "3"], "halfgen study --seeds 3"),
        (["/a/lib/pytest/__main__.py", "-q", "tests"], "python -m pytest -q tests"),
        (["x", "y" * 2000], "x " + "y" * 998),
    ],
)
def test_a_command_is_told_without_the_folders_of_its_program(monkeypatch, argv, said):
    monkeypatch.setattr("sys.argv", argv)
    assert provenance.command_line() == said


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other instructions")
def test_a_processor_without_bfloat16_is_found_out():
    code = """import torch
from halfgen_lib.runs.provenance import bfloat16_pays
print(bfloat16_pays(torch.device("cpu")))"""
    older = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}  # as if the processor had no more
    done = subprocess.run([sys.executable, "-c", code], env=older, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
