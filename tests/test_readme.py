"""The README's numbers are those that are published."""

import runpy
import shutil

import pytest

from halfgen_lib.analysis.published import published_benches
from halfgen_lib.files import project_root
from halfgen_lib.runs.record import results_path

SCRIPT = runpy.run_path(str(project_root() / "scripts" / "write_readme.py"))
with_sections, sections = SCRIPT["with_sections"], SCRIPT["sections"]
MARKED = "a\n<!-- bench -->\nold\n<!-- /bench -->\nz\n"


def test_a_section_takes_its_place_between_the_marks():
    shown = with_sections(MARKED, {"bench": "new"})
    assert shown == "a\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\nz\n"
    assert with_sections(shown, {"bench": "new"}) == shown


@pytest.mark.parametrize("readme", ["no marks", MARKED * 2, "<!-- /bench -->\n<!-- bench -->"])
def test_without_its_marks_it_is_refused(readme):
    with pytest.raises(ValueError, match="has not one <!-- bench --> before one"):
        with_sections(readme, {"bench": "new"})


def test_the_readme_says_what_is_published():
    """`python scripts/write_readme.py` writes it anew."""
    readme = (project_root() / "README.md").read_text(encoding="utf-8")
    assert with_sections(readme, sections()) == readme


def test_what_is_not_published_is_left_out(results_dir):
    assert SCRIPT["results_section"]().count("\n") == 2  # the head and what the seed's report says
    results_dir.mkdir(exist_ok=True)
    study = project_root() / "report" / "results" / "study.json"
    shutil.copy(study, results_path("study"))
    rows = SCRIPT["results_section"]().splitlines()
    assert len(rows) == 5 and "its text" in rows[-1]  # the lowest error last


def test_a_benchs_section_holds_its_numbers():
    for bench in published_benches().values():
        shown = SCRIPT["bench_section"](bench)
        assert f"{bench['speed']['ours']['images_per_second']:,.0f}" in shown
