r"""Export any notebook as a paper: one HTML file without network references, or a PDF.

    jupyter nbconvert --to halfgen-html report.ipynb
    jupyter nbconvert --to halfgen-pdf report.ipynb

What Jupyter shows is what is printed: `markdown` and `notebook` make one HTML document of a
notebook, `numbering` and `formulas` finish it, and pandoc, with `templates/paper.lua`, turns it
into a page with MathML, or into Typst and from there into a PDF. The same notebook gives the same
bytes. What an author may write beside Jupyter's Markdown:

- Title block: a first cell (raw, or Markdown) of YAML front matter between `---` lines, or the
  notebook metadata `halfgen`: title, subtitle, authors, date, links, abstract, bibliography, csl,
  lang, stamp. A cell tagged `abstract`, `date` or `links` is that; of a code cell its Markdown
  output is. Without a title the first H1 is the title. A stamp may come from an output
  (`display.show_stamp`).
- Sections: `## Method <!-- #sec-method -->`; `## Thanks <!-- unnumbered -->`. References go under
  "References", or to the end.
- Equations: `$$ ... $$ <!-- #eq-mse -->`; only these are numbered. A macro holds in all cells.
- Figures and tables: `display.show_figure` and `display.show_table` carry label, caption and
  alternative text in the output's metadata; in Markdown, `![caption](file.svg) <!-- #fig-x -->`.
  What has no caption stays where it is.
- What another notebook shows, drawn once: `![](other.ipynb#fig-x)`, alone in its paragraph, is the
  figure, the table or the text (`display.show_markdown`) of that label in a notebook that has run.
- Cross references: `@fig-x`, `@tbl-x`, `@eq-x`, `@sec-x`; citations `[@key]` with a bibliography;
  footnotes `[^x]`, with the text `[^x]: ...` in any cell.
- Code and outputs: code is folded in the HTML and left out of the PDF, as is printed text unless
  the cell is tagged `keep-output`. Cells tagged `remove` or `hide` are left out, but for a stamp;
  `hide-input` leaves out only the code. Standard error, progress bars and scripts are never
  published; an output that only a browser can show leaves a line that says so, and a warning.

An unknown reference, a label used twice, an unknown citation, TeX that cannot be read, a missing
image or an error output, unless its cell has Jupyter's tag `raises-exception`, ends the export with
a `PaperError` that names the cell and the cause.
"""

import os
import re
import subprocess
import tempfile
from html import escape
from pathlib import Path
from typing import Any

import pypandoc
import typst
from bs4 import BeautifulSoup
from nbconvert.exporters import Exporter
from nbformat import NotebookNode

from . import TEMPLATES
from .formulas import mend_formulas
from .markdown import inline_markdown, markdown, parse
from .notebook import Paper, PaperError
from .numbering import number
from .page import with_drawings, with_live_figures

# scripts that the fonts of Typst do not cover
_FOREIGN = re.compile(r"[\u0590-\u1dff\u2e80-\ud7ff\uf900-\U0003ffff]")
_UNREAD = re.compile(r"Could not convert TeX math (.*), rendering as TeX:\n(.*)", re.DOTALL)


class PaperExporter(Exporter):
    """Hold what both paper exporters share: reading the notebook; each renders the paper."""

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict | None = None, **kwargs: Any
    ) -> tuple[str | bytes, dict]:
        """Return the document and nbconvert's resources, or raise PaperError, naming each fault."""
        nb, resources = super().from_notebook_node(nb, resources, **kwargs)
        about = resources.get("metadata", {})
        paper = Paper(Path(about.get("path") or ".").resolve())
        paper.read(nb, about.get("name", ""))
        for key in paper.meta.keys() & {"bibliography", "csl"}:
            paper.meta[key] = str(paper.folder / paper.meta[key])
            if not Path(paper.meta[key]).is_file():  # pandoc would fetch an address
                raise PaperError(f"{key} {paper.meta[key]} is not a file")
        soup = _document(paper)
        with tempfile.TemporaryDirectory(prefix="halfgen-") as scratch:
            for name, content in paper.files.items():
                Path(scratch, name).write_bytes(content)
            done = self.render(soup, paper, Path(scratch))
        for text in paper.notes:
            self.log.warning(text)
        return done, resources

    def run_pandoc(
        self, soup: BeautifulSoup, paper: Paper, to: str, scratch: Path, options: list[str]
    ) -> str:
        """Return the paper in pandoc's format `to`; PaperError tells what could not be read."""
        command = [
            *(pypandoc.get_pandoc_path(), "--standalone", "--from=html+smart", f"--to={to}"),
            f"--template={TEMPLATES / 'paper'}",  # pandoc adds .html or .typst
            f"--lua-filter={TEMPLATES / 'paper.lua'}",
            f"--resource-path={os.pathsep.join(map(str, (scratch, paper.folder, TEMPLATES)))}",
        ]
        given = paper.meta.keys() & {"lang", "bibliography", "csl"}
        command += [f"--metadata={key}:{paper.meta[key]}" for key in sorted(given)] + options
        command += ["--citeproc", "--metadata=link-citations:true"] * ("bibliography" in given)
        run = {"cwd": scratch, "capture_output": True, "encoding": "utf-8"}
        done = subprocess.run(command, input=str(soup), **run)
        if done.returncode:
            raise PaperError(f"pandoc failed: {done.stderr.strip()}")
        _note_unread(soup, paper, done.stderr)
        if paper.faults:
            raise PaperError("; ".join(dict.fromkeys(paper.faults)))
        return done.stdout


class PaperHTMLExporter(PaperExporter):
    """Export a notebook as one HTML file that needs no network."""

    export_from_notebook = "Paper (HTML)"
    output_mimetype = "text/html"
    file_extension = ".html"

    def render(self, soup: BeautifulSoup, paper: Paper, scratch: Path) -> str:
        """Return the page of a document whose files are in `scratch`."""
        options = ["--mathml", "--embed-resources", "--toc", "--toc-depth=3", "--wrap=none"]
        options += ["--css=paper.css", "--css=tables.css"]
        page = with_drawings(self.run_pandoc(soup, paper, "html", scratch, options))
        return with_live_figures(page, paper.live)


class PaperPDFExporter(PaperExporter):
    """Export a notebook as a tagged PDF, set by Typst."""

    export_from_notebook = "Paper (PDF)"
    output_mimetype = "application/pdf"
    file_extension = ".pdf"

    def render(self, soup: BeautifulSoup, paper: Paper, scratch: Path) -> bytes:
        """Return the PDF of a document whose files are in `scratch`."""
        source = self.run_pandoc(soup, paper, "typst", scratch, ["--extract-media=media"])
        main = scratch / "main.typ"
        main.write_text(source, encoding="utf-8")
        # Typst's own fonts make the PDF the same everywhere; others only where they are needed
        figures = [f.read_text("utf-8", "ignore") for f in scratch.glob("*.svg")]
        foreign = any(map(_FOREIGN.search, (source, *figures)))
        try:
            return typst.compile(main, root=scratch, ignore_system_fonts=not foreign)
        except RuntimeError as error:
            raise PaperError(f"Typst could not set the paper: {error}") from error


def _document(paper: Paper) -> BeautifulSoup:
    """Return the document, numbered, with the parts of its title block at its head."""
    soup, meta = BeautifulSoup("".join(paper.body), "html.parser"), paper.meta
    given, first = meta.get("title"), soup.find(re.compile("h[1-6]"))
    title = inline_markdown(given) if given else escape(meta["fallback-title"])
    if first is not None and first.name == "h1" and given in (None, first.get_text()):
        title = first.extract().decode_contents()  # the first H1 is the title, and goes either way
    lines = [(key, meta[key]) for key in ("subtitle", "date", "links", "stamp") if key in meta]
    lines += [("author", name) for name in meta.get("author", ())]
    block = [("title", title), *((key, inline_markdown(text)) for key, text in lines)]
    for name, html in [("abstract", markdown(meta.get("abstract", ""))), *reversed(block)]:
        part = soup.new_tag("div", attrs={"class": "meta", "data-part": name})
        part.append(parse(html))
        soup.insert(0, part)
    number(soup, paper.footnotes, "bibliography" in meta, paper.fault)
    mend_formulas(soup)
    return soup


def _note_unread(soup: BeautifulSoup, paper: Paper, told: str) -> None:
    """Note what pandoc warns of that it cannot read, and where it is."""
    for text in re.split(r"^\[WARNING\] ", told, flags=re.MULTILINE)[1:]:
        if text.startswith(("Could not fetch", "Citeproc")):
            paper.faults.append(text.splitlines()[0])
        match = _UNREAD.match(text)
        why = match and re.search("unexpected [^\n]*", match[2])
        for script in soup.find_all("script") if match else ():
            if script.string.split() == match[1].split():
                paper.where, tex = script.get("data-cell", "the title block"), script["data-tex"]
                why = why[0] if why else "by pandoc"
                paper.fault(f"TeX that cannot be read ({why}): {tex.strip()}")
