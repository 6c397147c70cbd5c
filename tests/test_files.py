"""The project's folders."""

from pathlib import Path

from halfgen_lib import files

ROOT = Path(__file__).parents[1]


def test_the_project_is_the_checkout_or_else_where_one_works(monkeypatch, tmp_path):
    assert files.project_root() == ROOT
    monkeypatch.setattr(files, "__file__", str(tmp_path / "site-packages/halfgen_lib/files.py"))
    monkeypatch.chdir(tmp_path)
    assert files.project_root() == tmp_path


def test_a_folder_is_the_one_that_a_variable_names_or_the_projects(monkeypatch, tmp_path):
    monkeypatch.delenv("HALFGEN_X", raising=False)
    assert files.folder("HALFGEN_X", "report", "results") == ROOT / "report" / "results"
    monkeypatch.setenv("HALFGEN_X", "")
    assert files.folder("HALFGEN_X", "runs") == ROOT / "runs"
    monkeypatch.chdir(tmp_path)
    for named, meant in (
        ("here", tmp_path / "here"),
        ("~/x", Path.home() / "x"),
        ("/x", Path("/x")),
    ):
        monkeypatch.setenv("HALFGEN_X", named)
        assert files.folder("HALFGEN_X", "runs") == meant
