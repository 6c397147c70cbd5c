"""Hostile text in a notebook, its outputs and its metadata: never live in the HTML report."""

import itertools
import re
from html.parser import HTMLParser

import nbformat.v4 as v4
import pytest

from halfgen_lib.paper import display
from halfgen_lib.paper.export import PaperHTMLExporter

SUBJECT = "report: hostile text"
ALERT = "alert(1)"
HOSTILE = {
    "script": f"<script>{ALERT}</script>",
    "script in capitals": f"<SCRIPT SRC=//x.org/a.js>{ALERT}</SCRIPT>",
    "closing tags": f"</title></style></script></p></figcaption><script>{ALERT}</script>",
    "image": f'<img src="data:image/png;base64,iVBORw0KGgo=" onerror="{ALERT}">',
    "attribute": f'" onmouseover="{ALERT}" x="',
    "attribute in single quotes": f"' onfocus='{ALERT}' autofocus='",
    "vector graphics": f"<svg onload={ALERT}><script>{ALERT}</script></svg>",
    "frame": f'<iframe srcdoc="<script>{ALERT}</script>"></iframe>',
    "object": f'<object data="data:text/html,<script>{ALERT}</script>"></object>',
    "form": f'<form action="javascript:{ALERT}"><button formaction="javascript:{ALERT}">b</button>',
    "base": f'<base href="javascript:{ALERT}//">',
    "refresh": '<meta http-equiv="refresh" content="0;url=//x.org">',
    "style": '<style>@import "//x.org/a.css"; body {background: url(//x.org/a.png)}</style>',
    "link": f"[a](javascript:{ALERT})",
    "link in capitals": f"[a](JaVaScRiPt:{ALERT}) [b](<java\tscript:{ALERT}>)",
    "link with an entity": f"[a](javascript&colon;{ALERT}) [b](&#106;avascript:{ALERT})",
    "link to data": f"[a](data:text/html;base64,PHNjcmlwdD4=) [b](vbscript:{ALERT})",
    "link by itself": f"<javascript:{ALERT}>",
    "reference": f"[a][r]\n\n[r]: javascript:{ALERT}",
    "raw block": f"```{{=html}}\n<script>{ALERT}</script>\n```",
    "raw inline": f"`<script>{ALERT}</script>`{{=html}}",
    "attributes": f'[a]{{onclick="{ALERT}" style="position:fixed"}}',
    "div": f":::{{onclick={ALERT}}}\ntext\n:::",
    "mathematics": f"$\\text{{<script>{ALERT}</script>}}$",
    "comment": f"<!--><script>{ALERT}</script>-->",
    "character data": f"<![CDATA[<script>{ALERT}</script>]]>",
    "null": f"<scr\x00ipt>{ALERT}</scr\x00ipt>",
}
GIVES = {"text/markdown": str, "text/html": lambda t: f"<table><tr><td>{t}</td></tr></table>",
         "text/plain": str}  # fmt: skip


LOADS = ("href", "src", "data", "xlink:href", "poster", "background")


class Page(HTMLParser):
    """Everything in a page that a browser would act on."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def live(self):
        """Yield tags and attributes that run code, load a file or lead to another scheme."""
        for tag, attributes in self.tags:
            if tag in ("iframe", "object", "embed", "form", "button", "base", "frame", "applet"):
                yield tag
            if tag == "script" or (tag == "meta" and "http-equiv" in attributes):
                yield tag
            for name, value in attributes.items():
                target = re.sub(r"[\x00-\x20]", "", value).lower()
                if name.startswith("on") or name in ("srcdoc", "formaction", "action"):
                    yield f"{tag} {name}"
                scheme = re.match(r"[a-z][a-z0-9+.-]*:", target)
                fine = ("http:", "https:", "data:image/", "data:text/css")
                if name in LOADS and scheme and not target.startswith(fine):
                    yield f"{tag} {name}={value[:40]}"
                if name in ("src", "data", "poster") and target.startswith("http"):
                    yield f"{tag} {name}={value[:40]}"


def captured(function, *arguments, **named):
    """Return as outputs what a display function displays."""
    kept, original = [], display.display
    display.display = lambda data, raw, metadata=None: kept.append(
        v4.new_output("display_data", data=data, metadata=metadata or {})
    )
    try:
        function(*arguments, **named)
    finally:
        display.display = original
    return kept


def shown(data, **own):
    return v4.new_output("display_data", data=data, metadata={"halfgen": own} if own else {})


def svg(text):
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9' onload='{ALERT}'><title>"
        f"{text}</title><script>{ALERT}</script></svg>"
    )


def code(*outputs, source="", tags=()):
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def places(text):
    """Every place of a paper that a text can come to, each as cells and metadata."""
    line = " ".join(text.split())
    table = [{"name": line, line or "x": "0.1"}]
    printed = v4.new_output("stream", text=text)
    yield "prose", [v4.new_markdown_cell(text)], {}
    yield "heading", [v4.new_markdown_cell(f"## {line}")], {}
    yield "code", [code(source=text)], {}
    yield "printed", [code(printed, source="print()")], {}
    yield "kept", [code(printed, tags=["keep-output"])], {}
    yield "raw", [v4.new_raw_cell(text)], {}
    for kind, give in GIVES.items():
        yield kind, [code(shown({kind: give(text)}))], {}
    yield "computed prose", [code(*captured(display.show_markdown, text))], {}
    yield "table", [code(*captured(display.show_table, table, "tbl-t", line))], {}
    figure = shown({"image/svg+xml": svg(text)}, label="fig-f", caption=line, alt=text)
    yield "figure", [code(figure)], {}
    yield "abstract", [code(*captured(display.show_markdown, text), tags=["abstract"])], {}
    yield "stamp", [code(*captured(display.show_stamp, line))], {}
    yield "metadata", [], {"title": line, "subtitle": line, "authors": [line], "date": line}


def page_of(cells, metadata):
    notebook = v4.new_notebook(
        cells=[v4.new_markdown_cell("# Title\n\nText."), *cells], metadata={"halfgen": metadata}
    )
    return PaperHTMLExporter().from_notebook_node(notebook, {"metadata": {"path": "."}})[0]


@pytest.fixture(scope="module")
def own():
    """What of a page without hostile text is live: the one script of the template."""
    return list(Page(page_of([], {})).live())


@pytest.mark.parametrize("name", HOSTILE)
def test_it_does_not_come_to_life(name, own, fault):
    """All places in one page; the faults are the places."""
    found = list(places(HOSTILE[name]))
    cells = list(itertools.chain.from_iterable(cells for _, cells, _ in found))
    page = page_of(cells, found[-1][2])
    live = list(Page(page).live())
    assert len(Page(page).tags) > 20
    for _ in found:
        with fault(SUBJECT):
            assert live == own
