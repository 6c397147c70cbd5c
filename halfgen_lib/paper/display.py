"""Show figures, tables and computed prose in a notebook so that a paper can be made of it.

Each function displays something that reads well in JupyterLab and carries, in the output's
metadata, the label, caption and alternative text that `halfgen_lib.paper.export` publishes.
A label (`fig-...`, `tbl-...`) is what `@fig-...` refers to; a caption is Markdown and may hold
computed numbers and TeX.
"""

import base64
import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import mistune
import numpy as np
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from . import LIVE, PAGE_INK, PAGES, TEMPLATES

Rows = Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]]
Header = Sequence[str] | None
Pages = Mapping[str, Mapping[str, np.ndarray]]  # title -> name of a strip -> grey picture

_ENDS = {"l": (":", ""), "r": ("", ":"), "c": (":", ":")}  # of the dashes: how a column is aligned


def use_paper_style() -> None:
    """Make matplotlib draw in the paper's style."""
    plt.style.use(TEMPLATES / "paper.mplstyle")


def figure_svg(figure: Figure, name: str = "halfgen") -> str:
    """Return a figure as SVG; the same figure of the same name gives the same text.

    Its letters stay letters, in the page's fonts: STIX, which measures them, is nearly as wide. On
    a white ground its black becomes the page's ink, and its ground the page's.
    """
    buffer, white = io.StringIO(), figure.get_facecolor() == (1, 1, 1, 1)
    with mpl.rc_context({"svg.hashsalt": name}):  # ids differ from those of another figure's
        about = {"Date": None, "Creator": None}
        figure.savefig(buffer, format="svg", metadata=about, transparent=white)
    page_fonts = re.search(r"--serif: (.*);", _template("paper.css"))[1].replace('"', "'")
    text = re.sub(r"'STIX\w+'", page_fonts, buffer.getvalue())
    if not white:
        return text
    plain = re.sub(
        r'<!--.*?-->|<(style|metadata).*?</\1>|(?<=<g) id="[^"]*"', "", text, flags=re.DOTALL
    )
    return plain.replace("#000000", "currentColor").replace("<svg ", PAGE_INK, 1)


def show_figure(
    figure: Figure,
    label: str,
    caption: str,
    alt: str = "",
    pages: Pages | None = None,
    live: Mapping[str, Any] | None = None,
) -> None:
    """Display a figure with its caption beneath, and close it; papers take its vector form.

    `alt` describes it for readers who cannot see it; without one the caption does. Pages, their
    pictures (H, W) in [0, 1], take its place in the HTML paper: to leaf through, under its caption.
    So does `live` where scripts run: a component of this package, and its data (`page.py`).
    """
    # JupyterLab shows no SVG of a notebook that somebody else has run, before it is trusted
    data = {"image/svg+xml": figure_svg(figure, label), "image/png": _png(figure.savefig, dpi=120)}
    if pages:
        data[PAGES] = "".join(_page(title, strips) for title, strips in pages.items())
    data |= {LIVE: dict(live)} if live else {}
    data["text/plain"] = alt or caption
    _show(data, label=label, caption=caption, alt=alt)
    _show_caption(caption)
    plt.close(figure)


def show_table(
    rows: Rows, label: str, caption: str, *, header: Header = None, align: str = ""
) -> None:
    """Display a `markdown_table` with its caption above; a click on a title sorts by its column."""
    _show_caption(caption)
    table = markdown_table(rows, header=header, align=align)
    data = {"text/markdown": table, "text/html": _sortable(table), "text/plain": table}
    _show(data, label=label, caption=caption)


def markdown_table(rows: Rows, *, header: Header = None, align: str = "") -> str:
    """Return rows as a Markdown pipe table; cells may hold inline Markdown and TeX.

    Rows are mappings, whose keys are the header, or sequences with a header given. A header
    chooses and orders the keys of mappings. `align` has a letter a column, l, r or c; by default
    the first stands left, the others right. A column without any entry is left out, and a minus
    before a number is one. Raises ValueError without a header, or if a row or `align` has another
    length.
    """
    names = list(header or (rows[0] if rows and isinstance(rows[0], Mapping) else ()))
    if not names:
        raise ValueError("a table of sequences, or without rows, needs a header")
    sides = align or "l" + "r" * (len(names) - 1)
    body = [[row[n] for n in names] if isinstance(row, Mapping) else list(row) for row in rows]
    for row in (sides, *body):
        if len(row) != len(names):
            raise ValueError(f"{len(names)} columns, but {len(row)} entries in {row}")
    filled = [i for i in range(len(names)) if not body or any(str(row[i]).strip() for row in body)]
    sides = [sides[i] for i in filled]
    cells = [[_cell(row[i]) for i in filled] for row in (names, *body)]
    marks = ["---".join(_ENDS[side]) for side in sides]
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], marks, *cells[1:]))


def show_markdown(text: str, label: str = "") -> None:
    """Display Markdown that was put together with computed numbers; it flows into the prose.

    By a `label` another notebook can embed it, as it can figures and tables.
    """
    _show({"text/markdown": text, "text/plain": text}, **({"label": label} if label else {}))


def show_stamp(text: str) -> None:
    """Display a stamp such as SAMPLE DATA, which marks the whole paper; nothing if empty."""
    if text:
        _show({"text/markdown": f"> **{text}**", "text/plain": text}, stamp=text)


def _show(data: Mapping[str, Any], **own: Any) -> None:
    display(data, raw=True, metadata={"halfgen": own} if own else {})


def _show_caption(caption: str) -> None:
    _show({"text/markdown": f"*{caption}*", "text/plain": caption}, hidden=True)


def _page(title: str, strips: Mapping[str, np.ndarray]) -> str:
    """Return a page of a gallery as HTML."""
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
    html = f'<div class="page" role="group" aria-label="{escape(title)}"><p>{escape(title)}</p>'
    for name, strip in strips.items():
        source = f"data:image/png;base64,{_png(plt.imsave, strip, **grey)}"
        image = f'<img src="{source}" alt="{escape(f"Images of {title}: {name}")}"/>'
        html += f'<div class="strip"><span>{escape(name)}</span>{image}</div>'
    return f"{html}</div>"


def _png(save: Callable[..., None], *picture: np.ndarray, **options: Any) -> str:
    """Return base64 of the PNG that one of matplotlib's functions saves."""
    buffer = io.BytesIO()
    save(buffer, *picture, format="png", metadata={"Software": None}, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def _sortable(table: str) -> str:
    """Return a table as HTML with its script, which JupyterLab runs in trusted notebooks alone."""
    html = mistune.create_markdown(escape=True, plugins=["table", "math"])(table)
    act = "makeSortable(document.currentScript.parentElement.querySelector('table'));"
    script = f"<script>(() => {{{_template('tables.js')}{act}}})();</script>"
    return f"{html}<style>{_template('tables.css')}</style>{script}"


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _cell(value: Any) -> str:
    """Return a value as one line; what does not break, a no-break space, stays."""
    text = re.sub(r"[ \t\r\n]+", " ", str(value)).strip(" ").replace("|", "\\|")
    return text if "`" in text else re.sub(r"(?<![^\s([])-(?=[\d.])", "\u2212", text)
