"""Small runs compute what they computed before: who changes that on purpose, says so."""

import json
from pathlib import Path

import pytest
from cases import CASES

FILE = Path(__file__).with_name("golden.json")
GOLDEN = json.loads(FILE.read_text())
REMEDY = (
    "mend the code, or declare a new revision in halfgen_lib/models and add a line to CHANGELOG.md"
    " (python tests/golden/record.py stores what is found now)"
)
TOLERANCE = 1e-3  # relative, for other machines and versions of torch
# Other machines round bfloat16 after other steps; what dropout draws depends on how images lie in
# memory; the classifier has both AdamW and batch normalisation, see cases.py.
LOOSER = {"run: bfloat16": 1e-2, "run: dropout": 5e-2, "classifier": 2e-2}


def agree(case, stored, found):
    """Tell whether two values of a quantity are the same: to a tolerance, where they are lists."""
    if not isinstance(stored, list):
        return found == stored
    tolerance = next((t for start, t in LOOSER.items() if case.startswith(start)), TOLERANCE)
    return found == pytest.approx(stored, rel=tolerance)


@pytest.mark.parametrize("case", CASES | GOLDEN)
def test_golden(case):
    stored, found = GOLDEN.get(case, {}), CASES.get(case, dict)()
    changed = [
        f"{case}, {name}: stored {stored.get(name)}, found {found.get(name)}"
        for name in stored | found
        if not agree(case, stored.get(name), found.get(name))
    ]
    if changed:
        pytest.fail("\n".join([*changed, REMEDY]), pytrace=False)
