"""Read a notebook as a paper: a list of parts, each a piece of text, code, a figure or a table.

The parts are plain dictionaries; `templates/reader.lua` turns them into a pandoc document. This
module decides what of a notebook is published (the conventions are in `halfgen_lib.paper.export`).
"""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from nbconvert.filters import strip_ansi
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode

from . import PAGES

Part = dict[str, Any]

IMAGES = {
    "image/svg+xml": ".svg",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
}
WIDGET = "application/vnd.jupyter.widget-view+json"
TEXT_WIDTH = 442.0  # points: A4 less the margins in templates/paper.typ
HIDDEN_TAGS = {"remove", "hide", "remove-cell", "remove_cell", "hide-cell"}
HIDDEN_INPUT_TAGS = {"hide-input", "remove-input", "hide_input", "remove_input"}
META_KEYS = ("title", "subtitle", "date", "abstract", "bibliography", "csl", "lang", "stamp")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_OPTION = re.compile(r"#\|\s*([\w-]+)\s*:\s*(.*)")
_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")
_PROGRESS = re.compile(r"\d+%\|.*\|\s*\d+/\d+")


class PaperError(ConversionException):
    """Say why a notebook cannot be published."""


@dataclass
class Paper:
    """Hold what goes to pandoc: metadata, parts in reading order, and the files they name."""

    meta: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def add_file(self, content: bytes, suffix: str) -> str:
        """Keep a file and return the name that parts use for it."""
        name = f"image-{len(self.files) + 1}{suffix}"
        self.files[name] = content
        return name

    def stamp(self, text: str) -> None:
        """Add a stamp to the paper, once."""
        stamps = [s for s in str(self.meta.get("stamp") or "").split(" · ") if s]
        self.meta["stamp"] = " · ".join(dict.fromkeys([*stamps, text]))

    def to_json(self) -> str:
        """Return metadata and parts as the JSON that `templates/reader.lua` reads."""
        return json.dumps({"meta": self.meta, "parts": self.parts}, ensure_ascii=False)


def read_notebook(notebook: NotebookNode, name: str = "", allow_errors: bool = False) -> Paper:
    """Collect the published parts of a notebook.

    Raises:
        PaperError: if a cell holds an error output and `allow_errors` is false, if papermill did
            not come to the notebook's end, or if the front matter is not valid YAML.
    """
    paper = Paper()
    kernel = notebook.metadata.get("kernelspec", {})
    language = notebook.metadata.get("language_info", {}).get("name") or kernel.get("language")
    _read_metadata(paper, notebook.metadata, name)
    for number, cell in enumerate(notebook.cells, start=1):
        tags = set(cell.metadata.get("tags", ()))
        if number == 1 and _read_front_matter(paper, cell):
            continue
        if cell.cell_type == "code":
            _check_errors(cell, number, allow_errors)
            if "papermill" in notebook.metadata:
                _check_it_ran(cell, number)
        if tags & HIDDEN_TAGS:
            continue
        if cell.cell_type == "markdown":
            _read_markdown(paper, cell, "abstract" in tags)
        elif cell.cell_type == "code":
            _read_code(paper, cell, tags, language or "python")
    return paper


def _read_metadata(paper: Paper, metadata: NotebookNode, name: str) -> None:
    own = metadata.get("halfgen", {})
    given = {**{k: metadata[k] for k in ("title", "authors") if k in metadata}, **own}
    _take_metadata(paper, given)
    paper.meta.setdefault("lang", "en")
    paper.meta["fallback-title"] = name or "Untitled"


def _take_metadata(paper: Paper, given: dict[str, Any]) -> None:
    paper.meta.update({key: str(given[key]) for key in META_KEYS if given.get(key)})
    authors = given.get("authors", given.get("author")) or []
    authors = authors if isinstance(authors, list) else [authors]
    names = [str(a.get("name", "")) if isinstance(a, dict) else str(a) for a in authors]
    if any(names):
        paper.meta["author"] = [n for n in names if n]


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


def _check_errors(cell: NotebookNode, number: int, allow_errors: bool) -> None:
    for output in cell.outputs:
        if output.output_type == "error" and not allow_errors:
            raise PaperError(
                f"cell {number} ended with {output.ename}: {output.evalue}; a paper is not made "
                "from a notebook with errors (allow_errors=True to leave the error out)"
            )


def _check_it_ran(cell: NotebookNode, number: int) -> None:
    """Refuse what papermill leaves when its kernel dies, or it is stopped.

    Its own metadata says "completed" for every cell, then; the kernel's reply does not lie.
    """
    times = cell.metadata.get("execution", {})
    begun = cell.execution_count is not None
    ended = begun and ("iopub.execute_input" not in times or "shell.execute_reply" in times)
    if cell.source.strip() and not ended:
        raise PaperError(
            f"cell {number} {'was cut off' if begun else 'has not run'}: papermill was stopped, or "
            "its kernel died, whatever the notebook's metadata says; run the notebook again"
        )


def _read_markdown(paper: Paper, cell: NotebookNode, abstract: bool) -> None:
    if abstract:
        paper.meta["abstract"] = cell.source
        return
    images = {}
    for name, bundle in cell.get("attachments", {}).items():
        kind = next((k for k in IMAGES if k in bundle), None)
        if kind:
            source = paper.add_file(_image_bytes(bundle[kind], kind), IMAGES[kind])
            images[f"attachment:{name}"] = source
    paper.parts.append({"kind": "markdown", "text": cell.source, "images": images})


def _read_code(paper: Paper, cell: NotebookNode, tags: set[str], language: str) -> None:
    options, source = _split_options(cell.source)
    keep = "keep-output" in tags
    parts = [p for output in cell.outputs for p in _output_parts(paper, output, keep)]
    if "abstract" in tags:
        texts = [p["text"] for p in parts if p["kind"] == "markdown"]
        paper.meta["abstract"] = "\n\n".join(texts) or paper.meta.get("abstract", "")
        return
    named = next((p for p in parts if p["kind"] in ("figure", "table", "html")), None)
    if named is not None:
        named.update({k: v for k, v in options.items() if k not in named})
    if source.strip() and not tags & HIDDEN_INPUT_TAGS:
        printed = [p for p in parts if p["kind"] == "text" and not p["keep"]]
        parts = [p for p in parts if p not in printed]
        _add_code(paper, {"kind": "code", "text": source, "lang": language, "printed": printed})
    paper.parts.extend(parts)


def _add_code(paper: Paper, part: Part) -> None:
    """Add a cell's code, in the fold of the cell before it where that one showed nothing."""
    last = paper.parts[-1] if paper.parts else {"kind": ""}
    if last["kind"] == "code" and not last["printed"]:
        last["text"] += "\n\n" + part["text"]
        last["printed"] = part["printed"]
    else:
        paper.parts.append(part)


def _split_options(source: str) -> tuple[dict[str, str], str]:
    """Split Quarto's `#| key: value` lines off the top of a code cell."""
    options, lines = {}, source.split("\n")
    while lines and (match := _OPTION.match(lines[0])):
        key = re.sub("^(fig|tbl)-", "", match[1])
        key = "caption" if key == "cap" else key
        value = match[2].strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        options[key] = value[1:-1] if quoted else value
        lines.pop(0)
    return {k: v for k, v in options.items() if k in ("label", "caption", "alt")}, "\n".join(lines)


def _output_parts(paper: Paper, output: NotebookNode, keep: bool) -> list[Part]:
    if output.output_type == "stream":
        return _text_part(output.text, keep) if output.name == "stdout" else []
    if output.output_type == "error":
        return []
    own = output.metadata.get("halfgen", {})
    if own.get("stamp"):
        paper.stamp(str(own["stamp"]))
    if own.get("hidden") or own.get("stamp") or WIDGET in output.data:
        return []
    return _data_parts(paper, output, own, keep)


def _data_parts(paper: Paper, output: NotebookNode, own: dict, keep: bool) -> list[Part]:
    data = {kind: "".join(c) if isinstance(c, list) else c for kind, c in output.data.items()}
    named = {k: str(own[k]) for k in ("label", "caption", "alt") if own.get(k)}
    if "text/markdown" in data:
        kind = "table" if "label" in named or "caption" in named else "markdown"
        return [{"kind": kind, "text": data["text/markdown"], **named}]
    if "text/latex" in data:
        return [{"kind": "latex", "text": data["text/latex"]}]
    for kind, suffix in IMAGES.items():
        if kind in data:
            source = paper.add_file(_image_bytes(data[kind], kind), suffix)
            size = _image_size(data[kind], output.metadata.get(kind, {}).get("width"))
            pages = {"pages": _pages(paper, data[PAGES]["pages"])} if PAGES in data else {}
            return [{"kind": "figure", "src": source, **size, **pages, **named}]
    if "<table" in data.get("text/html", ""):
        return [{"kind": "html", "text": data["text/html"], **named}]
    return _text_part(data.get("text/plain", ""), keep)


def _pages(paper: Paper, pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a gallery's pages with their pictures kept as files."""
    return [
        {
            "title": page["title"],
            "strips": [
                {"name": s["name"], "src": paper.add_file(base64.b64decode(s["png"]), ".png")}
                for s in page["strips"]
            ],
        }
        for page in pages
    ]


def _image_size(content: str, width: Any) -> dict[str, str]:
    """Return an image's width: as asked for, or of SVG in points as a share of the text's width."""
    if isinstance(width, int | float):
        return {"width": f"{width}px"}
    points = re.search(r'<svg[^>]*\swidth="([\d.]+)pt"', content)
    return {"width": f"{min(100, 100 * float(points[1]) / TEXT_WIDTH):.1f}%"} if points else {}


def _text_part(text: str, keep: bool) -> list[Part]:
    """Return printed text as a terminal leaves it, without colours and progress bars."""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in strip_ansi(text).split("\n")]
    lines = [_CONTROL.sub("", line).rstrip() for line in lines if not _PROGRESS.search(line)]
    text = "\n".join(lines).strip("\n")
    if not text.strip() or _ADDRESS.search(text):
        return []
    return [{"kind": "text", "text": text, "keep": keep}]


def _image_bytes(content: str | list[str], kind: str) -> bytes:
    text = "".join(content) if isinstance(content, list) else content
    if kind == "image/svg+xml" and not re.fullmatch(r"[A-Za-z0-9+/=\s]+", text):
        return text.encode()
    return base64.b64decode(text)
