"""A results file keeps its bytes."""

import shutil

import pytest

from halfgen_lib.runs.record import add_record, read_results, results_path


@pytest.mark.parametrize("study", ["study", "beyond"])
def test_a_record_that_is_written_again_changes_nothing(study, tmp_path):
    path = shutil.copy(results_path(study), tmp_path / f"{study}.json")
    before = path.read_bytes()
    add_record(path, next(iter(read_results(path).values())))
    assert path.read_bytes() == before
