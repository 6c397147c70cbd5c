"""The project's own files agree with each other."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from halfgen_lib import provenance
from halfgen_lib.config import RunConfig
from halfgen_lib.provenance import project_root

ROOT = project_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def requirements(lines):
    return {r.name: r.specifier for r in map(Requirement, lines)}


def test_conda_environment_asks_for_what_pyproject_asks_for():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    lines = environment["dependencies"]
    pip = next(line["pip"] for line in lines if isinstance(line, dict))
    assert "-e ." in pip
    conda = requirements(line for line in lines if isinstance(line, str))
    assert str(conda.pop("python")) == PROJECT["requires-python"]
    conda.pop("pip")
    found = conda | requirements(line for line in pip if line != "-e .")
    asked = requirements(PROJECT["dependencies"])
    assert found == {CONDA_NAMES.get(name, name): spec for name, spec in asked.items()}


def test_the_pinned_set_lies_in_the_open_ranges():
    text = (ROOT / "constraints.txt").read_text()
    pinned = {
        name.lower().replace("_", "-"): Version(version)
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)
    }
    assert len(pinned) == len(text.splitlines())
    extras = [line for group in PROJECT["optional-dependencies"].values() for line in group]
    for name, spec in requirements(PROJECT["dependencies"] + extras).items():
        assert pinned[name.lower().replace("_", "-")] in spec, name


def test_what_the_readme_calls_is_there():
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", readme)) <= targets
    for path in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"-p ([a-z_]+) ", readme):
        assert name in RunConfig.model_fields or name == "run_id", name


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


def test_the_code_hash_sees_statements_and_not_words(tmp_path):
    module = tmp_path / "m.py"
    module.write_text('"""Doc."""\n\n\ndef f(x):\n    """Doc."""\n    return x + 1\n')
    before = provenance._statements(module)
    module.write_text("# why\ndef f(x):\n\n    return x + 1\n")
    assert provenance._statements(module) == before
    module.write_text("def f(x):\n    return x + 2\n")
    assert provenance._statements(module) != before
    assert len(provenance.code_hash("cae")) == 10
