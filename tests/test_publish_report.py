"""The report in the repository shows the results in the repository."""

import json
import shutil

import publish_report
import pytest

from halfgen_lib.files import project_root

ROOT = project_root()


def test_the_published_report_is_of_the_published_results():
    """If this fails, results, prose or bibliography changed: `make publish-report`."""
    publish_report.check(ROOT)


def rendered(checkout):
    return [checkout / "report" / "build" / f"halfgen-report.{kind}" for kind in ("html", "pdf")]


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a notebook, a result, and a report that was just rendered from them."""
    report, build = tmp_path / "report", tmp_path / "report" / "build"
    (report / "results").mkdir(parents=True)
    build.mkdir()
    (report / "report.ipynb").write_text("{}")
    (tmp_path / "notebooks").mkdir()
    for name in publish_report.NOTEBOOKS:
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text("{}")
    (report / "references.bib").write_text("@misc{a}")
    (report / "results" / "study.json").write_text("{}")
    for file in rendered(tmp_path):
        file.write_text("made")
    return tmp_path


def published(checkout):
    return publish_report.publish(checkout, rendered(checkout), "cae-default-seed0")


def test_what_was_published_matches_until_something_changes(checkout):
    folder = published(checkout)
    publish_report.check(checkout)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["run_id"] == "cae-default-seed0"
    assert {p.name for p in folder.iterdir()} == {
        "manifest.json",
        "halfgen-report.html",
        "halfgen-report.pdf",
    }
    for name, content in [
        ("report/results/study.json", "{1}"),
        ("report/results/new.json", "{}"),
        ("report/report.ipynb", "{2}"),
        ("notebooks/07_generative.ipynb", "{3}"),
        ("report/published/halfgen-report.pdf", "other"),
    ]:
        file = checkout / name
        before = file.read_text() if file.exists() else None
        file.write_text(content)
        with pytest.raises(publish_report.PublishError, match=f"{name}; `make publish-report`"):
            publish_report.check(checkout)
        file.unlink() if before is None else file.write_text(before)
    (folder / "halfgen-report.html").unlink()
    with pytest.raises(publish_report.PublishError, match=r"halfgen-report\.html"):
        publish_report.check(checkout)
    shutil.rmtree(folder)
    with pytest.raises(publish_report.PublishError, match="there is no published report"):
        publish_report.check(checkout)


def test_what_is_not_fit_is_not_published(checkout, monkeypatch):
    rendered(checkout)[0].write_text('<div class="stamp">SAMPLE DATA</div>')
    with pytest.raises(publish_report.PublishError, match="sample data"):
        published(checkout)
    rendered(checkout)[0].write_text("made")
    monkeypatch.setattr(publish_report, "LARGEST", 7)
    with pytest.raises(publish_report.PublishError, match="8 bytes, more than the 7"):
        published(checkout)
    assert not (checkout / "report" / "published").exists()
