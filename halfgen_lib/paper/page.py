"""Finish an HTML page: its drawings take its ink, and its live figures are brought to life.

A drawing stands in the page itself, so that it takes the page's ink, ground and colours.

A live figure's output names a component, `{"component": "explore/try_it", "data": {...}}`, three
files of this package: `try_it.js`, a module as anywidget takes it, its `.html` and its `.css`. The
script reads `data` through `model.get`. The figure stays for print, for the PDF, and without
scripts. No text of a notebook becomes a script: code, markup and styles are the package's alone,
the data are JSON without a `<`.
"""

import base64
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from . import PAGE_INK, TEMPLATES
from .notebook import PaperError

PACKAGE = Path(__file__).parents[1]
# the colours that a page may change, by its custom properties
PALETTE = {
    "#ffffff": "page",
    "#0072b2": "blue",
    "#d55e00": "orange",
    "#009e73": "green",
    "#aa4499": "purple",
    "#e69f00": "amber",
    "#56b4e9": "sky",
}
TAGS = "svg|defs|g|path|text|tspan|use|clipPath|rect|image"


def with_drawings(page: str) -> str:
    """Return an HTML page in which each SVG that `display.figure_svg` drew is no `<img>` any more.

    What another has drawn, or might act or fetch, stays an image.
    """
    return re.sub(r"<img\b[^>]*>", _drawing, page)


def _drawing(img: re.Match) -> str:
    given = dict(re.findall(r'([\w-]+)="([^"]*)"', img[0]))
    kind, _, content = given.get("src", "").partition(";base64,")
    svg = base64.b64decode(content).decode(errors="replace") if kind.endswith("svg+xml") else ""
    svg = svg[max(svg.find(PAGE_INK), 0) :]
    size = re.search(r'\swidth="([\d.]+)pt"', svg)
    if not (svg.startswith(PAGE_INK) and size and _is_harmless(svg)):
        return img[0]
    shown = re.sub("|".join(PALETTE), lambda c: f"var(--{PALETTE[c[0]]}, {c[0]})", svg)
    own = f'role="img" aria-label="{given.get("alt", "")}" style="--natural: {size[1]}pt"'
    return f'<div class="drawing">{shown.replace("<svg ", f"<svg {own} ", 1)}</div>'


def _is_harmless(svg: str) -> bool:
    """Tell whether an SVG holds nothing but shapes, words and pictures of its own."""
    tag = rf'</?(?:{TAGS})(?:\s+(?!(?i:on))[\w:-]+="(?!\s*javascript)[^"<>&]*")*\s*/?>'
    fetches = re.search(r'href="(?!#|data:image/png;base64,)|url\((?!#)', svg, re.IGNORECASE)
    return not fetches and all(re.fullmatch(tag, found) for found in re.findall(r"<[^>]*>?", svg))


def with_live_figures(page: str, figures: Mapping[str, Any]) -> str:
    """Return a page with what brings its figures, by their labels, to life before its end."""
    data, components = "", {}
    for label, live in figures.items():
        name, text = str(live["component"]), json.dumps(live["data"], separators=(",", ":"))
        components[name] = _component(name)
        about = f'data-figure="{escape(label)}" data-component="{name}"'
        text = text.replace("<", "\\u003c")
        data += f'<script type="application/json" {about}>{text}</script>\n'
    start, end, rest = page.rpartition("</body>")
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
