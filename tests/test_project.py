"""The project's own files agree with each other."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from halfgen_lib import models
from halfgen_lib.analysis.summaries import staleness
from halfgen_lib.config import RunConfig
from halfgen_lib.files import project_root
from halfgen_lib.runs.record import read_results

ROOT = project_root()
BIN = Path(sys.executable).parent
PROJECT_FILE = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PROJECT_FILE["project"]
EXTRAS = PROJECT["optional-dependencies"]
DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def requirements(lines):
    return {r.name: r.specifier for r in map(Requirement, lines)}


def conda_ranges(lines):
    """Return name -> range, in conda's own reading; a line that conda cannot read raises."""
    specs = [rattler.MatchSpec(line, strict=True) for line in lines]
    return {spec.name.normalized: rattler.VersionSpec(spec.version or "*") for spec in specs}


def test_conda_environment_asks_for_what_pyproject_asks_for():
    """Names mapped, ranges equal, and the very versions that were tested lie in them."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge"]
    lines = environment["dependencies"]
    pip = next(line["pip"] for line in lines if isinstance(line, dict))
    conda = conda_ranges(line for line in lines if isinstance(line, str))
    assert str(conda.pop("python")) == PROJECT["requires-python"]
    assert str(conda.pop("pip")) == "*"
    assert pip[-1] == "-e ."
    by_pip = requirements(pip[:-1])
    of_make = ("notebooks", "paper", "explore")  # what `make report` and `make lab` install
    assert f".[{','.join(of_make)}]" in (ROOT / "Makefile").read_text()
    asked = requirements(PROJECT["dependencies"] + [r for e in of_make for r in EXTRAS[e]])
    assert by_pip == {name: spec for name, spec in asked.items() if name in by_pip}
    expected = {
        CONDA_NAMES.get(name, name): str(rattler.VersionSpec(str(spec)))
        for name, spec in asked.items()
        if name not in by_pip
    }
    assert {name: str(versions) for name, versions in conda.items()} == expected
    pypi_names = {conda_name: name for name, conda_name in CONDA_NAMES.items()}
    for name, versions in conda.items():
        tested = metadata.version(pypi_names.get(name, name)).partition("+")[0]
        assert versions.matches(rattler.Version(tested)), name
    for name, spec in by_pip.items():
        assert metadata.version(name) in spec, name


def test_the_pinned_set_lies_in_the_open_ranges():
    text = (ROOT / "constraints.txt").read_text()
    pinned = {
        name.lower().replace("_", "-"): Version(version)
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)
    }
    assert len(pinned) == sum(not line.startswith("#") for line in text.splitlines())
    extras = [line for group in EXTRAS.values() for line in group]
    assert len(set(extras)) == len(requirements(extras))  # what two extras need, they need alike
    for name, spec in requirements(PROJECT["dependencies"] + extras).items():
        assert pinned[name.lower().replace("_", "-")] in spec, name


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *DOCS])
def test_what_the_texts_call_is_there(name):
    text = (ROOT / name).read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.M))
    assert set(re.findall(r"[`\n]make ([a-z-]+)", text)) <= targets
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / name).parent / path).exists(), path
    for parameter in re.findall(r"-p ([a-z_]+) ", text):
        assert parameter in {*RunConfig.model_fields, "run_id"}, parameter
    for extra in re.findall(r"'\.\[([a-z,]+)\]'", text):
        assert set(extra.split(",")) <= set(EXTRAS), extra


def test_the_citation_is_of_this_project():
    """The keys that the Citation File Format 1.2.0 requires, and what is said elsewhere too."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"]
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    for work in citation["references"]:
        assert {"type", "title", "authors"} <= set(work)
        assert all(set(author) <= {"family-names", "given-names"} for author in work["authors"])


def test_every_model_declares_a_revision_and_every_published_run_is_of_it():
    """Another result declares another revision; a refactoring leaves it."""
    assert models.REVISIONS.keys() == models.MODELS.keys()
    assert models.revision("a model of one's own") == "0000000000"
    for study in ("study", "beyond"):
        records = read_results(ROOT / "report" / "results" / f"{study}.json").values()
        assert records and {staleness(record) for record in records} == {""}


def test_a_package_imports_only_from_floors_below():
    """The contract is in pyproject.toml; CONTRIBUTING.md says it in one sentence."""
    checked = subprocess.run([BIN / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_every_package_says_what_it_is_for():
    packages = [path.parent for path in (ROOT / "halfgen_lib").rglob("__init__.py")]
    setuptools = PROJECT_FILE["tool"]["setuptools"]
    assert sorted({*setuptools["packages"]} - {*setuptools["package-dir"]}) == sorted(
        ".".join(package.relative_to(ROOT).parts) for package in packages
    )
    for package in packages:
        first = (package / "__init__.py").read_text().partition("\n")[0]
        assert first.startswith('"""') and len(first) > 40, package
