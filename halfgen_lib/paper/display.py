"""Show figures, tables and computed prose in a notebook so that a paper can be made of it.

Each function displays something that reads well in JupyterLab and carries, in the output's
metadata, the label, caption and alternative text that `halfgen_lib.paper.export` publishes.
"""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import mistune
import numpy as np
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from . import PAGES, TEMPLATES

_ENDS = {"l": (":", ""), "r": ("", ":"), "c": (":", ":")}  # of the dashes: how a column is aligned
_WIDEST = 40  # characters of a cell; a longer one is broken into lines


def use_paper_style() -> None:
    """Make matplotlib draw in the paper's style."""
    plt.style.use(TEMPLATES / "paper.mplstyle")


def figure_svg(figure: Figure) -> str:
    """Return a figure as SVG; the same figure gives the same text.

    Its letters stay letters: matplotlib measures them with STIX, whose widths are near those of
    the page's fonts, and whoever shows the picture sets them in those.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "halfgen"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    css = (TEMPLATES / "paper.css").read_text(encoding="utf-8")
    page_fonts = re.search(r"--serif: (.*);", css)[1].replace('"', "'")
    return re.sub(r"'STIX\w+'", page_fonts, buffer.getvalue())


def figure_png(figure: Figure) -> str:
    """Return a figure as base64 of a PNG; the same figure gives the same text."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()


def show_figure(figure: Figure, label: str, caption: str, alt: str = "") -> None:
    """Display a figure with its caption beneath, and close it; papers take its vector form.

    Args:
        figure: a matplotlib figure.
        label: `fig-...`, the name that `@fig-...` refers to.
        caption: Markdown; may hold computed numbers and TeX.
        alt: a description for readers who cannot see it; the caption if empty.
    """
    _display_figure(figure, {"label": label, "caption": caption, "alt": alt})


def show_gallery(
    overview: Figure,
    pages: Mapping[str, Mapping[str, np.ndarray]],
    label: str,
    caption: str,
    alt: str = "",
) -> None:
    """Display a figure that the HTML paper replaces by pages to leaf through.

    Args:
        overview: what the notebook and the PDF show.
        pages: title -> name of a strip -> grey picture (H, W), values in [0, 1]. The HTML's
            caption is that of the overview, so it should hold for both.
        label: as in `show_figure`, and so are ``caption`` and ``alt``.
    """
    content = [
        {"title": title, "strips": [{"name": n, "png": _grey_png(s)} for n, s in strips.items()]}
        for title, strips in pages.items()
    ]
    own = {"label": label, "caption": caption, "alt": alt}
    _display_figure(overview, own, {PAGES: {"pages": content}})


def _display_figure(figure: Figure, own: dict[str, str], more: Mapping[str, Any] = {}) -> None:
    # JupyterLab shows no SVG of a notebook that somebody else has run, before it is trusted
    pictures = {"image/svg+xml": figure_svg(figure), "image/png": figure_png(figure)}
    data = {**pictures, **more, "text/plain": own["alt"] or own["caption"]}
    display(data, raw=True, metadata={"halfgen": own})
    _show_caption(own["caption"])
    plt.close(figure)


def _grey_png(picture: np.ndarray) -> str:
    """Return base64 of a PNG with one pixel an entry."""
    buffer = io.BytesIO()
    options = {"cmap": "gray", "vmin": 0, "vmax": 1, "metadata": {"Software": None}}
    plt.imsave(buffer, picture, format="png", **options)
    return base64.b64encode(buffer.getvalue()).decode()


def show_table(
    rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]],
    label: str,
    caption: str,
    *,
    header: Sequence[str] | None = None,
    align: str | None = None,
) -> None:
    """Display a table with its caption above; a click on a column's title sorts by it.

    Args:
        rows: mappings, whose keys are the header, or sequences with `header` given. Cells may
            hold inline Markdown and TeX.
        label: `tbl-...`, the name that `@tbl-...` refers to.
        caption: Markdown.
        header: column titles; chooses and orders the keys where rows are mappings.
        align: a letter a column, l, r or c; by default the first left, the others right.
    """
    _show_caption(caption)
    own = {"label": label, "caption": caption}
    table = markdown_table(rows, header=header, align=align)
    data = {"text/markdown": table, "text/html": _sortable(table), "text/plain": table}
    display(data, raw=True, metadata={"halfgen": own})


def markdown_table(
    rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]],
    *,
    header: Sequence[str] | None = None,
    align: str | None = None,
) -> str:
    """Return rows as a Markdown pipe table; see `show_table`.

    Raises:
        ValueError: if there is no header, or a row or `align` has another number of columns.
    """
    first = rows[0] if rows else None
    names = list(header or (first if isinstance(first, Mapping) else ()))
    if not names:
        raise ValueError("a table of sequences, or without rows, needs a header")
    sides = align or "l" + "r" * (len(names) - 1)
    body = [[row[n] for n in names] if isinstance(row, Mapping) else list(row) for row in rows]
    for row in (sides, *body):
        if len(row) != len(names):
            raise ValueError(f"{len(names)} columns, but {len(row)} entries in {row}")
    cells = [[_cell(entry) for entry in row] for row in (names, *body)]
    # where a table is wider than the page, its columns share it as the dashes do
    marks = []
    for side, column in zip(sides, zip(*cells, strict=True), strict=True):
        width = min(max(map(len, column)), _WIDEST)
        marks.append(("-" * max(width, 3)).join(_ENDS[side]))
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], marks, *cells[1:]))


def _sortable(table: str) -> str:
    """Return a Markdown table as HTML that brings its own script.

    JupyterLab runs the script in what its user has run; in a notebook that it does not trust it
    leaves the script out, and the table stays as it is.
    """
    html = mistune.create_markdown(escape=True, plugins=["table", "math"])(table)
    script, style = (
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("tables.js", "tables.css")
    )
    act = "makeSortable(document.currentScript.parentElement.querySelector('table'));"
    return f"{html}<style>{style}</style><script>(() => {{{script}{act}}})();</script>"


def show_markdown(text: str) -> None:
    """Display Markdown that was put together with computed numbers; it flows into the prose."""
    display({"text/markdown": text, "text/plain": text}, raw=True)


def show_stamp(text: str) -> None:
    """Display a stamp such as SAMPLE DATA, which marks the whole paper; nothing if empty."""
    if text:
        data = {"text/markdown": f"> **{text}**", "text/plain": text}
        display(data, raw=True, metadata={"halfgen": {"stamp": text}})


def _show_caption(caption: str) -> None:
    data = {"text/markdown": f"*{caption}*", "text/plain": caption}
    display(data, raw=True, metadata={"halfgen": {"hidden": True}})


def _cell(value: Any) -> str:
    """Return a value as one line; what does not break, a no-break space, stays."""
    return re.sub(r"[ \t\r\n]+", " ", str(value)).strip(" ").replace("|", "\\|")
