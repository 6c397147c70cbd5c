"""Read a notebook as one HTML document: what Jupyter shows, with captions and labels kept.

This module decides what of a notebook is published (the conventions are in
`halfgen_lib.paper.export`), and names the cell of what cannot be.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import yaml
from bs4 import BeautifulSoup, Tag
from nbconvert.filters import strip_ansi
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode

from . import LIVE, PAGES
from . import markdown as md

IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/gif")  # the best first
WIDGET = "application/vnd.jupyter.widget-view+json"
TEXT_WIDTH = 442.0  # points: A4 less the margins in templates/paper.typst
HIDDEN_TAGS = {"remove", "hide", "remove-cell", "remove_cell", "hide-cell"}
HIDDEN_INPUT_TAGS = {"hide-input", "remove-input", "hide_input", "remove_input"}
TAGGED = ("abstract", "date", "links")  # parts of the title block that a cell may hold
META_KEYS = ("title", "subtitle", *TAGGED, "bibliography", "csl", "lang", "stamp")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_FOOTNOTE = re.compile(r"^\[\^([^\]\s]+)\]:[ \t]+(.+(?:\n[ \t]+\S.*)*)$", re.MULTILINE)
_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")
_PROGRESS = re.compile(r"\d+%\|.*\|\s*\d+/\d+")
_INLINE = re.compile("^data:(image/[a-z+]+);base64,(.+)", re.DOTALL)
_EMBEDDED = re.compile(r"(.+\.ipynb)#(.+)")
_MOVING = re.compile("<(div|iframe|canvas|button|video|audio|script)")


class PaperError(ConversionException):
    """Say why a notebook cannot be published."""


@dataclass
class Paper:
    """Collect a notebook's published parts, the files that they name, and what is wrong."""

    folder: Path  # where the notebook lies
    meta: dict[str, Any] = field(default_factory=lambda: {"lang": "en"})
    body: list[str] = field(default_factory=list)  # pieces of HTML
    files: dict[str, bytes] = field(default_factory=dict)
    footnotes: dict[str, str] = field(default_factory=dict)  # their Markdown
    live: dict[str, Any] = field(default_factory=dict)  # what brings the figure of a label to life
    faults: list[str] = field(default_factory=list)  # each ends the export
    notes: list[str] = field(default_factory=list)  # what was left out
    where: str = "the title block"
    labelled: Callable = field(default_factory=lambda: cache(_labelled))  # reads a notebook once

    def fault(self, text: str) -> None:
        """Note what is wrong, and where."""
        self.faults.append(f"{self.where}: {text}")

    def read(self, notebook: NotebookNode, name: str) -> None:
        """Collect the published parts of a notebook; without a title it is called `name`."""
        about = notebook.metadata
        self.meta["fallback-title"] = name or "Untitled"
        self._take_metadata({k: about[k] for k in ("title", "authors") if k in about})
        self._take_metadata(about.get("halfgen", {}))
        kernel = about.get("kernelspec", {}).get("language")
        language = about.get("language_info", {}).get("name") or kernel or "python"
        prose = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        self.footnotes = dict(note for text in prose for note in _FOOTNOTE.findall(text))
        for number, cell in enumerate(notebook.cells, start=1):
            self.where, tags = f"cell {number}", set(cell.metadata.get("tags", ()))
            if cell.cell_type == "code":
                self._check(cell, tags, "papermill" in about)
            if (number == 1 and self._take_front_matter(cell)) or tags & HIDDEN_TAGS:
                continue
            if part := next(filter(tags.__contains__, TAGGED), ""):
                shown = [o.get("data", {}).get("text/markdown") for o in cell.get("outputs", ())]
                prose = [cell.source] if cell.cell_type == "markdown" else filter(None, shown)
                self.meta[part] = "\n\n".join(prose)
            elif cell.cell_type == "markdown":
                self._add(self._markdown(cell.source), cell.get("attachments", {}))
            elif cell.cell_type == "code":
                self._add_code(cell, tags, language)
        self.where = "the title block"

    def _check(self, cell: NotebookNode, tags: set[str], by_papermill: bool) -> None:
        """Note an error, a stamp, and a cell that did not end since papermill was stopped.

        When its kernel dies, papermill says "completed" of every cell; the kernel's reply does not
        lie.
        """
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags:
                self.faults.append(f"{self.where} ended with {output.ename}: {output.evalue}")
            if stamp := output.get("metadata", {}).get("halfgen", {}).get("stamp"):
                stamps = [*filter(None, [self.meta.get("stamp")]), str(stamp)]
                self.meta["stamp"] = " · ".join(dict.fromkeys(stamps))
        times, begun = cell.metadata.get("execution", {}), cell.execution_count is not None
        ended = begun and ("iopub.execute_input" not in times or "shell.execute_reply" in times)
        if by_papermill and cell.source.strip() and not ended:
            why = "papermill was stopped, or its kernel died: run the notebook again"
            self.faults.append(f"{self.where} {'was cut off' if begun else 'has not run'}: {why}")

    def _take_metadata(self, given: dict[str, Any]) -> None:
        self.meta |= {key: str(given[key]) for key in META_KEYS if given.get(key)}
        authors = given.get("authors", given.get("author")) or []
        authors = authors if isinstance(authors, list) else [authors]
        names = [str(a.get("name", "")) if isinstance(a, dict) else str(a) for a in authors]
        if any(names):
            self.meta["author"] = [name for name in names if name]

    def _take_front_matter(self, cell: NotebookNode) -> bool:
        """Take YAML between `---` lines; tell whether the cell is that."""
        match = re.fullmatch(r"\s*---\s*\n(.*?)\n---\s*", cell.source, re.DOTALL)
        if cell.cell_type == "code" or not match:
            return False
        try:
            given = yaml.safe_load(match[1])
        except yaml.YAMLError as error:
            raise PaperError(f"the front matter in cell 1 is not valid YAML: {error}") from error
        if not isinstance(given, dict):
            raise PaperError("the front matter in cell 1 is not a list of 'key: value' lines")
        self._take_metadata(given)
        return True

    def _markdown(self, text: str) -> str:
        """Return Markdown as HTML without the texts of footnotes, which go to their marks."""
        text = text.replace("\r\n", "\n")
        return md.markdown(_FOOTNOTE.sub("", text) if self.footnotes else text)

    def _add(self, html: str, attachments: Mapping[str, dict[str, str]] | None = None) -> None:
        """Add a piece of HTML; its formulas remember the cell, and a missing image is named."""
        soup = md.parse(html)
        for image in soup.find_all("img"):
            source = unquote(image.get("src", ""))
            if embedded := _EMBEDDED.fullmatch(source):
                self._embed(image, *embedded.groups())
                continue
            held = (attachments or {}).get(source.removeprefix("attachment:"), {})
            for kind, content in _INLINE.findall(source) or list(held.items())[:1]:
                source = image["src"] = self._keep(content, kind)
            elsewhere = re.match("(?!attachment:)[a-z]+:", source)
            file = self.folder / source.partition("?")[0]
            if not (elsewhere or source in self.files or file.is_file()):
                self.fault(f"the image {source} is not there")
                image.decompose()
        for script in soup.find_all("script"):
            script["data-cell"] = self.where
        self.body.append(str(soup))

    def _embed(self, image: Tag, name: str, label: str) -> None:
        """Put what another notebook, which has run, shows under a label in an image's place."""
        file = self.folder / name
        if not file.is_file():
            self.fault(f"{name} is not there: run that notebook first")
            return
        shown = self.labelled(file)
        if label not in shown:
            there = ", ".join(shown) or "nothing that has a label"
            self.fault(f"{name} shows no {label}; it shows {there}")
            return
        place = image.parent if image.parent.name == "p" else image
        place.replace_with(md.parse(self._output(shown[label])))

    def _keep(self, content: str, kind: str) -> str:
        """Keep an image, given as base64 or as the text of an SVG; return its file's name."""
        suffix = kind.split("/")[1].removesuffix("+xml")
        try:
            held = content.encode() if "<" in content else base64.b64decode(content)
        except ValueError as error:
            self.fault(f"an image ({kind}) that cannot be read: {error}")
            held = b""
        name = f"{self.where.replace(' ', '-')}-{len(self.files)}.{suffix}"
        self.files[name] = held
        return name

    def _add_code(self, cell: NotebookNode, tags: set[str], language: str) -> None:
        """Add a cell's code, folded with what it printed, and then what it shows."""
        printed = shown = ""
        for output in cell.outputs:
            html = self._output(output)
            if html.startswith('<pre class="transcript">') and "keep-output" not in tags:
                printed += html
            else:
                shown += html.replace('<pre class="transcript">', '<pre class="output">')
        if cell.source.strip() and not tags & HIDDEN_INPUT_TAGS:
            self._fold(md.preformatted(cell.source, language), printed)
        else:
            shown = printed + shown
        if shown:
            self._add(shown)

    def _fold(self, code: str, printed: str) -> None:
        """Add a cell's code, in the fold of the cell before it where that one showed nothing."""
        start = '<div class="code">'
        if self.body and self.body[-1].startswith(start) and "transcript" not in self.body[-1]:
            start = self.body.pop().removesuffix("</code></pre>\n</div>") + "\n\n"
            code = code.partition("<code>")[2]
        self.body.append(f"{start}{code}{printed}</div>")

    def _output(self, output: NotebookNode) -> str:
        """Return an output as HTML: of printed text a block of code, of an error nothing."""
        if output.output_type == "stream":
            return _printed(output.text) if output.name == "stdout" else ""
        own, data = output.get("metadata", {}).get("halfgen", {}), output.get("data", {})
        if own.get("hidden") or own.get("stamp"):
            return ""
        if WIDGET in data:
            self.notes.append(f"{self.where}: a widget is left out")
            return ""
        if "text/markdown" in data:
            return _captioned(self._markdown(data["text/markdown"]), own)
        tex, html = data.get("text/latex", ""), data.get("text/html", "")
        if tex and "{tabular" not in tex:
            return f"<p>{md.foreign_html(tex) if '$' in tex else md.formula(tex, True)}</p>"
        if image := self._image(data, output.get("metadata", {})):
            self.live |= {str(own.get("label")): data[LIVE]} if LIVE in data else {}
            return _captioned(f"<figure>{image}{data.get(PAGES, '')}</figure>", own)
        soup = md.parse(md.foreign_html(html))
        shows = soup.find(["table", "img", "svg", "script"]) or soup.get_text().strip()
        if shows and not soup.find(["button", "canvas", "video", "audio"]):
            md.keep_exact(soup)
            return _captioned(f"<div>{soup}</div>", own)
        moving = [k for k in data if k.startswith("application/") and k != "application/json"]
        if moving or _MOVING.search(html):
            kind = (moving or ["text/html"])[0]
            text = f"an output that only a browser can show ({kind}) has no picture"
            self.notes.append(f"{self.where}: {text}")
            return f"<p><em>[{text}]</em></p>"
        return _printed(data.get("text/plain", ""))

    def _image(self, data: dict[str, Any], metadata: dict[str, Any]) -> str:
        """Return an image, of the width asked for or, of SVG, as a share of the text's width."""
        kind = next((kind for kind in IMAGES if kind in data), None)
        if kind is None:
            return ""
        name, width = self._keep(data[kind], kind), metadata.get(kind, {}).get("width")
        points = re.search(rb'<svg[^>]*\swidth="([\d.]+)pt"', self.files[name])
        share = f"{min(100, 100 * float(points[1]) / TEXT_WIDTH):.1f}%" if points else ""
        size = f"{width}px" if isinstance(width, int | float) else share
        return f'<img src="{name}"{f" width={size!r}" if size else ""}/>'


def _labelled(file: Path) -> dict[str, NotebookNode]:
    """Return the outputs of a notebook that have a label, by it; of two the first."""
    found: dict[str, NotebookNode] = {}
    cells = nbformat.read(file, as_version=4).cells
    for output in (output for cell in cells for output in cell.get("outputs", ())):
        if label := output.get("metadata", {}).get("halfgen", {}).get("label"):
            found.setdefault(label, output)
    return found


def _captioned(html: str, own: dict[str, str]) -> str:
    """Give an image or a table its label, caption and alternative text."""
    soup = BeautifulSoup(html, "html.parser")
    caption = md.inline_markdown(str(own.get("caption", "")))
    for image in soup.find_all("img", alt=None):
        plain = BeautifulSoup(caption, "html.parser").get_text()
        image["alt"] = own.get("alt") or plain or "Figure"
    if (soup.table or soup.img) and (caption or own.get("label")):
        name = "caption" if soup.table else "figcaption"
        target = soup.table or soup.figure or soup.img.wrap(soup.new_tag("figure"))
        target["id"] = own.get("label", "")
        target.insert(0, BeautifulSoup(f"<{name}>{caption}</{name}>", "html.parser"))
    return str(soup)


def _printed(text: str) -> str:
    """Return printed text as a terminal leaves it, without colours and progress bars."""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in strip_ansi(text).split("\n")]
    lines = [_CONTROL.sub("", line).rstrip() for line in lines if not _PROGRESS.search(line)]
    text = "\n".join(lines).strip("\n")
    shows = text.strip() and not _ADDRESS.search(text)
    return md.preformatted(text, "transcript") if shows else ""
