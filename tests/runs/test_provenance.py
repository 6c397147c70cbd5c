"""What a result says of where it came from."""

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
