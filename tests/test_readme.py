"""The README's numbers are those that are published."""

import re
import runpy
from importlib import import_module

import pytest

from halfgen_lib.analysis.published import published_benches
from halfgen_lib.files import RunError, project_root

SCRIPT = runpy.run_path(str(project_root() / "scripts" / "write_readme.py"))
with_sections, sections = SCRIPT["with_sections"], SCRIPT["sections"]
MARKED = "a\n<!-- bench -->\nold\n<!-- /bench -->\nz\n"


def test_a_section_takes_its_place_between_the_marks():
    shown = with_sections(MARKED, {"bench": "new"})
    assert shown == "a\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\nz\n"
    assert with_sections(shown, {"bench": "new"}) == shown


@pytest.mark.parametrize("readme", ["no marks", MARKED * 2, "<!-- /bench -->\n<!-- bench -->"])
def test_without_its_marks_it_is_refused(readme):
    with pytest.raises(ValueError, match="the file has not one <!-- bench --> before one"):
        with_sections(readme, {"bench": "new"})


@pytest.mark.parametrize("name", ["README.md", "docs/bench.md"])
def test_the_texts_say_what_is_published(name):
    """`python scripts/write_readme.py` writes them anew."""
    text = (project_root() / name).read_text(encoding="utf-8")
    assert with_sections(text, sections()[name]) == text


def test_the_readme_is_short():
    assert len((project_root() / "README.md").read_text(encoding="utf-8").split()) <= 1_100


def test_the_map_of_results_names_what_is_there():
    text = (project_root() / "docs" / "results.md").read_text(encoding="utf-8")
    names = re.findall(r"`([a-z_]+(?:\.\w+)+)`", text)
    assert len(names) > 20
    for name in names:
        module, _, function = name.rpartition(".")
        assert callable(getattr(import_module(f"halfgen_lib.{module}"), function)), name


def test_what_is_not_published_is_named(results_dir):
    with pytest.raises(RunError, match=r"baselines\.json is not there yet"):
        SCRIPT["results_section"]()


def test_the_lowest_error_is_the_tables_last():
    rows = SCRIPT["results_section"]().splitlines()
    assert len(rows) == 12 and "the mean of 5" in rows[-1]


def test_a_benchs_section_holds_its_numbers():
    for bench in published_benches().values():
        shown = SCRIPT["bench_section"](bench)
        assert f"{bench['speed']['ours']['images_per_second']:,.0f}" in shown
