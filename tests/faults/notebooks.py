"""Notebooks to run, and what has to hold of what a failed run leaves."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from halfgen_lib.paper.export import PaperHTMLExporter, PaperPDFExporter
from halfgen_lib.paper.notebook import PaperError

SUBJECT = "papermill and make report"
KILLED = "import os\nos.kill(os.getpid(), 9)"


def write_notebook(path, *cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, cells)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def contents(folder):
    """Every file below a folder that is not about how it was made, by its name."""
    files = [f for f in folder.rglob("*") if f.is_file() and not f.name.startswith(".")]
    return {file.name: file.read_bytes() for file in files}


def check_folder(build, good, made_again=()):
    """Each good file is there byte for byte, but not in the place of what was to be made."""
    found = contents(build)
    for name, content in good.items():
        stem, _, suffix = name.rpartition(".")
        if name not in made_again:
            assert found[f"{stem}.earlier.{suffix}"] == content
            assert name not in found
    assert all(found.values())  # no empty file
    for notebook in build.rglob("*.ipynb"):
        if notebook.read_bytes() not in good.values():
            nbformat.read(notebook, 4)  # none is empty or cut off


def check_that_no_paper_is_made_of(notebook):
    """Both exporters refuse it with the reason, though its metadata says that all is well."""
    cells = [c for c in nbformat.read(notebook, 4).cells if "papermill" in c.metadata]
    assert {c.metadata.papermill.status for c in cells if c.cell_type == "code"} == {"completed"}
    for exporter in (PaperHTMLExporter(), PaperPDFExporter()):
        with pytest.raises(PaperError, match=r"was cut off|has not run|KeyboardInterrupt"):
            exporter.from_filename(str(notebook))
