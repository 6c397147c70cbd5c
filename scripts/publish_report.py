"""Keep a rendered report in the repository, and tell when it no longer shows what is there.

`make publish-report` renders the report and puts it into ``report/published/``, with a manifest of
what it was made from: the published results, the report, its notebooks and its bibliography.

Usage: python scripts/publish_report.py
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from halfgen_lib.files import MANIFEST, RunError, project_root, read_json, write_json
from halfgen_lib.report import FORMATS, NOTEBOOKS, PipelineError, make_report
from halfgen_lib.runs.published import published_runs

SHOWN = "cae"  # the published network that the report shows
LARGEST = 6.5e6  # bytes, both files together: git keeps every version of them
AGAIN = "`make publish-report` makes it again"


class PublishError(RuntimeError):
    """The report is not fit to be published, or the published one is not the present one."""


def sha256_of(files: Iterable[Path], root: Path) -> dict[str, str]:
    """Return path below ``root`` -> SHA-256, for each file."""
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
    }


def sources(root: Path) -> dict[str, str]:
    """Return path -> SHA-256 of what a report is made from, besides the run."""
    report, notebooks = root / "report", root / "notebooks"
    own = [report / "report.ipynb", report / "references.bib", *(report / "results").glob("*.json")]
    return sha256_of([*own, *(notebooks / f"{name}.ipynb" for name in NOTEBOOKS)], root)


def publish(root: Path, rendered: Iterable[Path], run_id: str) -> Path:
    """Copy a report that was just rendered into the repository; return the folder.

    Raises PublishError if it is too large or shows sample data.
    """
    rendered = list(rendered)
    size = sum(file.stat().st_size for file in rendered)
    if size > LARGEST:
        raise PublishError(f"the report has {size:,} bytes, more than the {LARGEST:,} allowed")
    if any(b'class="stamp"' in file.read_bytes() for file in rendered):
        raise PublishError("the report is stamped: it was made from sample data")
    folder = root / "report" / "published"
    folder.mkdir(exist_ok=True)
    copies = [Path(shutil.copy(file, folder)) for file in rendered]
    manifest = {"run_id": run_id, "sources": sources(root), "files": sha256_of(copies, root)}
    write_json(folder / MANIFEST, manifest)
    return folder


def check(root: Path) -> None:
    """Raise PublishError, naming every file that is new, changed or gone since the publication."""
    folder = root / "report" / "published"
    if not (folder / MANIFEST).is_file():
        raise PublishError(f"there is no published report in {folder}; {AGAIN}")
    manifest = read_json(folder / MANIFEST)
    recorded = manifest["sources"] | manifest["files"]
    rendered = (folder / f"halfgen-report.{kind}" for kind in FORMATS)
    present = sources(root) | sha256_of(filter(Path.is_file, rendered), root)
    differ = sorted(path for path in recorded | present if recorded.get(path) != present.get(path))
    if differ:
        raise PublishError(f"the published report does not match {', '.join(differ)}; {AGAIN}")


if __name__ == "__main__":
    top = project_root()
    try:
        # what is shown is the very network that is published, not another training of it
        network = published_runs()[SHOWN]
        with tempfile.TemporaryDirectory() as folder:
            runs, run_id = Path(folder, "runs"), network.config.run_id
            shutil.copytree(network.directory, runs / run_id)
            os.environ["HALFGEN_RUNS"] = str(runs)
            print(publish(top, make_report([], top, Path(folder, "build")), run_id))
    except (PublishError, PipelineError, RunError) as error:
        sys.exit(f"halfgen: {error}")
