"""Export any notebook as a paper: one HTML file without network references, or a PDF.

    jupyter nbconvert --to halfgen-html report.ipynb
    jupyter nbconvert --to halfgen-pdf report.ipynb

The notebook's parts go through pandoc, read by `templates/reader.lua` and numbered by
`templates/paper.lua`, to HTML with MathML or to Typst and from there to PDF. The same notebook
gives the same bytes. What an author may write:

- Title block: a first cell (raw, or Markdown) of YAML front matter between `---` lines, or the
  notebook metadata `halfgen`: title, subtitle, authors, date, abstract, bibliography, csl, lang,
  stamp. A cell tagged `abstract` is the abstract; in a code cell its Markdown output is. Without a
  title the first H1 is the title. A stamp may come from an output (`display.show_stamp`).
- Sections: `## Method <!-- #sec-method -->`; `## Thanks <!-- unnumbered -->`. References go under
  "References", or to the end.
- Equations: `$$ ... $$ <!-- #eq-mse -->`; only labelled equations are numbered.
- Figures and tables: `display.show_figure` and `display.show_table` carry label, caption and
  alternative text in the output's metadata; `#| label: fig-x`, `#| caption: ...`, `#| alt: ...` at
  the top of a code cell do the same. In Markdown: `![caption](file.svg) <!-- #fig-x -->`, and a
  table followed by `: Caption <!-- #tbl-x -->`.
- Cross references: `@fig-x`, `@tbl-x`, `@eq-x`, `@sec-x`; citations `[@key]` with a bibliography.
- Code and outputs: code is folded in the HTML and left out of the PDF, as is printed text unless
  the cell is tagged `keep-output`. Cells tagged `remove` or `hide` are left out, but for a stamp;
  `hide-input` leaves out only the code. Standard error, widgets, progress bars and raw HTML are
  never published.

An unknown reference, a label used twice, an unknown citation, TeX that cannot be read, a missing
image or an error output ends the export with a `PaperError` that names it.
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pypandoc
import typst
from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from traitlets import Bool

from . import TEMPLATES
from .live import with_live_figures
from .notebook import Paper, PaperError, read_notebook

# scripts that the fonts of Typst do not cover
_FOREIGN = re.compile(r"[\u0590-\u1dff\u2e80-\ud7ff\uf900-\U0003ffff]")


class PaperExporter(Exporter):
    """Hold what both paper exporters share: reading the notebook; each renders the paper."""

    allow_errors = Bool(False, help="Leave error outputs out instead of failing").tag(config=True)

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict | None = None, **kwargs: Any
    ) -> tuple[str | bytes, dict]:
        """Return the document and nbconvert's resources, or raise PaperError, naming each fault."""
        nb, resources = super().from_notebook_node(nb, resources, **kwargs)
        about = resources.get("metadata", {})
        folder = Path(about.get("path") or ".").resolve()
        paper = read_notebook(nb, about.get("name", ""), self.allow_errors)
        for key in paper.meta.keys() & {"bibliography", "csl"}:
            paper.meta[key] = str(folder / paper.meta[key])
            if not Path(paper.meta[key]).is_file():  # pandoc would fetch an address
                raise PaperError(f"{key} {paper.meta[key]} is not a file")
        with tempfile.TemporaryDirectory(prefix="halfgen-") as scratch:
            for name, content in paper.images.items():
                Path(scratch, name).write_bytes(content)
            return self.render(paper, Path(scratch), folder), resources


class PaperHTMLExporter(PaperExporter):
    """Export a notebook as one HTML file that needs no network."""

    export_from_notebook = "Paper (HTML)"
    output_mimetype = "text/html"
    file_extension = ".html"

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict | None = None, **kwargs: Any
    ) -> tuple[str, dict]:
        """Return the page, its live figures included, and nbconvert's resources."""
        html, resources = super().from_notebook_node(nb, resources, **kwargs)
        return with_live_figures(html, nb), resources

    def render(self, paper: Paper, scratch: Path, folder: Path) -> str:
        """Return the page of a notebook that lies in `folder`, its outputs' images in `scratch`."""
        options = ["--mathml", "--embed-resources", "--toc", "--toc-depth=3", "--wrap=none"]
        options += ["--css=paper.css", "--css=tables.css"]
        return _run_pandoc(paper, "html", scratch, folder, options)


class PaperPDFExporter(PaperExporter):
    """Export a notebook as a tagged PDF, set by Typst."""

    export_from_notebook = "Paper (PDF)"
    output_mimetype = "application/pdf"
    file_extension = ".pdf"

    def render(self, paper: Paper, scratch: Path, folder: Path) -> bytes:
        """Return the PDF of a notebook that lies in `folder`, its outputs' images in `scratch`."""
        source = _run_pandoc(paper, "typst", scratch, folder, ["--extract-media=media"])
        main = scratch / "main.typ"
        main.write_text(source, encoding="utf-8")
        # Typst's own fonts make the PDF the same everywhere; others only where they are needed
        figures = [f.read_text("utf-8", "ignore") for f in scratch.glob("*.svg")]
        foreign = any(map(_FOREIGN.search, (source, *figures)))
        try:
            return typst.compile(main, root=scratch, ignore_system_fonts=not foreign)
        except RuntimeError as error:
            raise PaperError(f"Typst could not set the paper: {error}") from error


def _run_pandoc(paper: Paper, to: str, scratch: Path, folder: Path, options: list[str]) -> str:
    """Return the paper in pandoc's format `to`; PaperError tells its warnings and our faults."""
    command = [
        *(pypandoc.get_pandoc_path(), "--standalone", f"--to={to}"),
        f"--from={TEMPLATES / 'reader.lua'}",
        f"--template={TEMPLATES / 'paper'}",  # pandoc adds .html or .typst
        f"--lua-filter={TEMPLATES / 'paper.lua'}",
        f"--resource-path={os.pathsep.join(map(str, (scratch, folder, TEMPLATES)))}",
        *options,
    ]
    if "bibliography" in paper.meta:
        command += ["--citeproc", "--metadata=link-citations:true"]
    given = json.dumps({"meta": paper.meta, "parts": paper.parts})
    run = {"cwd": scratch, "capture_output": True, "encoding": "utf-8"}
    done = subprocess.run(command, input=given, **run)
    faults = re.findall(r"^(?:\[WARNING\] |(?:.*: )?halfgen: )(.*)$", done.stderr, re.MULTILINE)
    if done.returncode or faults:
        told = "; ".join(dict.fromkeys(map(str.strip, faults)))
        raise PaperError(told or f"pandoc failed: {done.stderr.strip()}")
    return done.stdout
