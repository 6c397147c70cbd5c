"""Figures that answer: a script of this package takes a figure's place in the HTML paper.

A figure's output names a component, `{"component": "explore/try_it", "data": {...}}`, three files
of this package: `try_it.js`, a module as anywidget takes it, its `.html` and its `.css`. The script
reads `data` through `model.get`. The figure stays for print, for the PDF, and without scripts.

No text of a notebook becomes a script: code, markup and styles are the package's alone, the data
are JSON without a `<`.
"""

import json
import re
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from . import LIVE, TEMPLATES
from .notebook import PaperError

PACKAGE = Path(__file__).parents[1]


def with_live_figures(html: str, notebook: NotebookNode) -> str:
    """Return a page with what brings the notebook's live figures to life, before its end."""
    data, components = "", {}
    for output in [each for cell in notebook.cells for each in cell.get("outputs", ())]:
        label = escape(str(output.get("metadata", {}).get("halfgen", {}).get("label", "")))
        if LIVE in output.get("data", {}) and f'id="{label}"' in html:
            live = output.data[LIVE]
            components[live["component"]] = _component(str(live["component"]))
            text = json.dumps(live["data"], separators=(",", ":")).replace("<", "\\u003c")
            about = f'data-figure="{label}" data-component="{live["component"]}"'
            data += f'<script type="application/json" {about}>{text}</script>\n'
    start, end, rest = html.rpartition("</body>")
    return "".join([start, data, *components.values(), end, rest])


def _component(name: str) -> str:
    """Return a component's styles, markup and script; PaperError if the package has none such."""
    file = PACKAGE / f"{name}.js"
    if not re.fullmatch(r"[a-z_]+/[a-z_]+", name) or not file.is_file():
        raise PaperError(f"there is no component {name!r} to bring a figure to life")
    script, markup, style = (
        file.with_suffix(k).read_text("utf-8") for k in (".js", ".html", ".css")
    )
    start = (TEMPLATES / "live.js").read_text("utf-8").replace("NAME", name)
    script = script.replace("export default { render };", start)
    style += (TEMPLATES / "live.css").read_text("utf-8")
    template = f'<template id="{name}">{markup}</template>'
    return f'<style>\n{style}</style>\n{template}\n<script type="module">\n{script}</script>\n'
