"""Read a notebook as a paper: a list of parts, each a piece of text, code, a figure or a table.

The parts are plain dictionaries; `templates/reader.lua` turns them into a pandoc document. This
module decides what of a notebook is published (the conventions are in `halfgen_lib.paper.export`).
"""

import base64
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from nbconvert.filters import strip_ansi
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode

from . import PAGES

Part = dict[str, Any]

IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/gif")  # the best first
WIDGET = "application/vnd.jupyter.widget-view+json"
TEXT_WIDTH = 442.0  # points: A4 less the margins in templates/paper.typst
HIDDEN_TAGS = {"remove", "hide", "remove-cell", "remove_cell", "hide-cell"}
HIDDEN_INPUT_TAGS = {"hide-input", "remove-input", "hide_input", "remove_input"}
META_KEYS = ("title", "subtitle", "date", "abstract", "bibliography", "csl", "lang", "stamp")
OWN_KEYS = ("label", "caption", "alt")  # of a figure or a table

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_OPTION = re.compile(r"#\|[ \t]*(?:fig-|tbl-)?([\w-]+)[ \t]*:[ \t]*(['\"]?)(.*)\2[ \t]*(?:\n|$)")
_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")
_PROGRESS = re.compile(r"\d+%\|.*\|\s*\d+/\d+")


class PaperError(ConversionException):
    """Say why a notebook cannot be published."""


@dataclass
class Paper:
    """Hold what goes to pandoc: metadata, parts in reading order, and the images they name."""

    meta: dict[str, Any]
    parts: list[Part] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)

    def add_image(self, content: str, kind: str) -> str:
        """Keep an image, given as base64 or as the text of an SVG; return the name of its file."""
        name = f"image-{len(self.images) + 1}.{kind.split('/')[1].removesuffix('+xml')}"
        self.images[name] = content.encode() if "<" in content else base64.b64decode(content)
        return name


def read_notebook(notebook: NotebookNode, name: str = "", allow_errors: bool = False) -> Paper:
    """Collect the published parts of a notebook; without a title it is called `name`.

    Raises PaperError at an error output unless `allow_errors`, at a cell that papermill did not
    end, and at front matter that is not valid YAML.
    """
    about = notebook.metadata
    paper = Paper({"lang": "en", "fallback-title": name or "Untitled"})
    _take_metadata(paper, {k: about[k] for k in ("title", "authors") if k in about})
    _take_metadata(paper, about.get("halfgen", {}))
    kernel = about.get("kernelspec", {}).get("language")
    language = about.get("language_info", {}).get("name") or kernel or "python"
    for number, cell in enumerate(notebook.cells, start=1):
        tags = set(cell.metadata.get("tags", ()))
        if cell.cell_type == "code":
            _check(cell, f"cell {number}", allow_errors, "papermill" in about)
        if (number == 1 and _read_front_matter(paper, cell)) or tags & HIDDEN_TAGS:
            continue
        if cell.cell_type == "code":
            _read_code(paper, cell, tags, language)
        if cell.cell_type == "markdown":
            _read_markdown(paper, cell, "abstract" in tags)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    owns = [output.get("metadata", {}).get("halfgen", {}) for output in outputs]
    stamps = [own["stamp"] for own in (paper.meta, *owns) if own.get("stamp")]
    paper.meta["stamp"] = " · ".join(dict.fromkeys(map(str, stamps)))
    return paper


def _take_metadata(paper: Paper, given: dict[str, Any]) -> None:
    paper.meta |= {key: str(given[key]) for key in META_KEYS if given.get(key)}
    authors = given.get("authors", given.get("author")) or []
    authors = authors if isinstance(authors, list) else [authors]
    names = [str(a.get("name", "")) if isinstance(a, dict) else str(a) for a in authors]
    if any(names):
        paper.meta["author"] = [name for name in names if name]


def _read_front_matter(paper: Paper, cell: NotebookNode) -> bool:
    match = re.fullmatch(r"\s*---\s*\n(.*?)\n---\s*", cell.source, re.DOTALL)
    if cell.cell_type == "code" or not match:
        return False
    try:
        given = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        raise PaperError(f"the front matter in cell 1 is not valid YAML: {error}") from error
    if not isinstance(given, dict):
        raise PaperError("the front matter in cell 1 is not a list of 'key: value' lines")
    _take_metadata(paper, given)
    return True


def _check(cell: NotebookNode, name: str, allow_errors: bool, by_papermill: bool) -> None:
    """Refuse a cell that ended with an error or, where papermill stopped, did not end.

    When its kernel dies, papermill says "completed" of every cell; the kernel's reply does not lie.
    """
    for output in cell.outputs:
        if output.output_type == "error" and not allow_errors:
            raise PaperError(
                f"{name} ended with {output.ename}: {output.evalue}; a paper is not made "
                "from a notebook with errors (allow_errors=True to leave the error out)"
            )
    times = cell.metadata.get("execution", {})
    begun = cell.execution_count is not None
    ended = begun and ("iopub.execute_input" not in times or "shell.execute_reply" in times)
    if by_papermill and cell.source.strip() and not ended:
        raise PaperError(
            f"{name} {'was cut off' if begun else 'has not run'}: papermill was stopped, or "
            "its kernel died, whatever the notebook's metadata says; run the notebook again"
        )


def _read_markdown(paper: Paper, cell: NotebookNode, abstract: bool) -> None:
    if abstract:
        paper.meta["abstract"] = cell.source
        return
    images = {
        f"attachment:{name}": paper.add_image(content, kind)
        for name, bundle in cell.get("attachments", {}).items()
        for kind, content in bundle.items()
        if kind in IMAGES
    }
    paper.parts.append({"kind": "markdown", "text": cell.source, "images": images})


def _read_code(paper: Paper, cell: NotebookNode, tags: set[str], language: str) -> None:
    options, source = _split_options(cell.source)
    keep = "keep-output" in tags
    parts = [p for output in cell.outputs if (p := _output_part(paper, output, keep))]
    if "abstract" in tags:
        texts = [p["text"] for p in parts if p["kind"] == "markdown"]
        paper.meta["abstract"] = "\n\n".join(texts) or paper.meta.get("abstract", "")
        return
    named = next((p for p in parts if p["kind"] in ("figure", "table", "html")), {})
    named |= options | named
    if source.strip() and not tags & HIDDEN_INPUT_TAGS:
        printed = [p for p in parts if p["kind"] == "text" and not p["keep"]]
        parts = [p for p in parts if p not in printed]
        _add_code(paper, {"kind": "code", "text": source, "lang": language, "printed": printed})
    paper.parts += parts


def _add_code(paper: Paper, part: Part) -> None:
    """Add a cell's code, in the fold of the cell before it where that one showed nothing."""
    last = paper.parts[-1] if paper.parts else {"kind": ""}
    if last["kind"] == "code" and not last["printed"]:
        last |= {"text": f"{last['text']}\n\n{part['text']}", "printed": part["printed"]}
    else:
        paper.parts.append(part)


def _split_options(source: str) -> tuple[dict[str, str], str]:
    """Split Quarto's `#| key: value` lines off the top of a code cell."""
    options = {}
    while match := _OPTION.match(source):
        options["caption" if match[1] == "cap" else match[1]] = match[3].strip()
        source = source[match.end() :]
    return {key: options[key] for key in OWN_KEYS if key in options}, source


def _output_part(paper: Paper, output: NotebookNode, keep: bool) -> Part | None:
    if output.output_type == "stream":
        return _text_part(output.text, keep) if output.name == "stdout" else None
    # an error has neither
    own, data = output.get("metadata", {}).get("halfgen", {}), output.get("data", {})
    if own.get("hidden") or own.get("stamp") or WIDGET in data:
        return None
    named = {key: str(own[key]) for key in OWN_KEYS if own.get(key)}
    if "text/markdown" in data:
        kind = "table" if named.keys() & {"label", "caption"} else "markdown"
        return {"kind": kind, "text": data["text/markdown"], **named}
    if "text/latex" in data:
        return {"kind": "latex", "text": data["text/latex"]}
    if image := next((kind for kind in IMAGES if kind in data), None):
        size = _image_size(data[image], output.metadata.get(image, {}).get("width"))
        shown = {"src": paper.add_image(data[image], image), **size, **named}
        return {"kind": "figure", "pages": data.get(PAGES, {}).get("pages", []), **shown}
    if "<table" in data.get("text/html", ""):
        return {"kind": "html", "text": data["text/html"], **named}
    return _text_part(data.get("text/plain", ""), keep)


def _image_size(content: str, width: Any) -> dict[str, str]:
    """Return an image's width: as asked for, or of SVG in points as a share of the text's width."""
    if isinstance(width, int | float):
        return {"width": f"{width}px"}
    points = re.search(r'<svg[^>]*\swidth="([\d.]+)pt"', content)
    return {"width": f"{min(100, 100 * float(points[1]) / TEXT_WIDTH):.1f}%"} if points else {}


def _text_part(text: str, keep: bool) -> Part | None:
    """Return printed text as a terminal leaves it, without colours and progress bars."""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in strip_ansi(text).split("\n")]
    lines = [_CONTROL.sub("", line).rstrip() for line in lines if not _PROGRESS.search(line)]
    text = "\n".join(lines).strip("\n")
    shows = text.strip() and not _ADDRESS.search(text)
    return {"kind": "text", "text": text, "keep": keep} if shows else None
