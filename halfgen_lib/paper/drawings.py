"""Put the drawings of a page into it, so that they take its ink, its ground and its colours."""

import base64
import re

from . import PAGE_INK

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
