"""Markdown as Jupyter shows it, as HTML that pandoc reads.

nbconvert's own renderer makes it. A formula becomes `<script type="math/tex">`, which every HTML
parser leaves as it is. Each piece is parsed by itself: a tag left open ends with its cell.
"""

import re
from functools import partial
from html import escape
from typing import Any

from bs4 import BeautifulSoup, NavigableString, Tag
from mistune import import_plugin
from mistune.plugins.table import table_in_list, table_in_quote
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

_PLUGINS = [*map(import_plugin, ("strikethrough", "table", "url", "task_lists"))]  # JupyterLab's
_PLUGINS += [table_in_list, table_in_quote]
_DROPPED = ["script", "style", "iframe", "base", "meta", "link", "title", "object", "embed"]
_FORMULA = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|(?<![\\$\w])\$([^$\n]+)\$(?!\w)|\\\((.+?)\\\)", re.DOTALL
)
_TAG = re.compile(r"(<(?:(pre|code|script|style)\b.*?</\2>|[^>]*>))", re.DOTALL | re.IGNORECASE)
# by classes and data the exporters know what is theirs: an author's are left out
_OWN = re.compile(r"""\s(?:class|data-[\w-]+)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
_TABLE = re.compile(r"^ {0,3}\|.*\|[ \t]*\n {0,3}\|[ :|-]+\|[ \t]*(?:\n {0,3}\|.*\|[ \t]*)*$", re.M)
_BAR, _IN_ROW = re.compile(r"(?<!\\)\|"), re.compile(r"(?<![\\$])\$[^$\n]+\$")
_ATTACHED = re.compile(r"\((attachment:(?:[^()<>\n\"]|\([^()\n]*\))*)\)")  # blanks in its name
_EXACT = str.maketrans("'\"-.", "\ue000\ue001\ue002\ue003")  # paper.lua turns them back


def formula(tex: str, display: bool = False) -> str:
    """Return a formula as an element that every HTML parser leaves as it is."""
    mode = "; mode=display" if display else ""
    return f'<script type="math/tex{mode}">{tex.replace("</", "< /")}</script>'


def foreign_html(html: str) -> str:
    """Return an author's HTML with its formulas, found as MathJax finds them, as elements."""

    def found(match: re.Match) -> str:
        return formula(next(filter(None, match.groups())), match[0][:2] in ("$$", "\\["))

    pieces = _TAG.split(html)
    del pieces[2::3]  # the names of elements, which the pattern refers back to
    pieces[::2] = [_FORMULA.sub(found, text) for text in pieces[::2]]
    pieces[1::2] = [re.sub("^<[^>]*", lambda m: _OWN.sub("", m[0]), tag) for tag in pieces[1::2]]
    return "".join(pieces)


def preformatted(text: str, name: str) -> str:
    """Return text as a block of code."""
    return f'<pre class="{escape(name)}"><code>{escape(text)}</code></pre>\n'


class _Renderer(IPythonRenderer):
    """nbconvert's Markdown, with formulas that pandoc reads and code that is not yet coloured."""

    inline_math, block_math = staticmethod(formula), partial(formula, display=True)
    inline_html = block_html = staticmethod(foreign_html)

    def latex_environment(self, name: str, body: str) -> str:
        return formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", display=True)

    def block_code(self, code: str, info: str | None = None) -> str:
        return preformatted(code, (info or "").split(" ")[0])

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        name = BeautifulSoup(text, "html.parser").get_text().strip().replace(" ", "-")
        return f'<h{level} id="{escape(name)}">{text}</h{level}>\n'  # JupyterLab's name

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return f'<img src="{escape(url)}" alt="{escape(text)}"/>'


_JUPYTER = MarkdownWithMath(_Renderer(escape=False, exclude_anchor_links=True), plugins=_PLUGINS)


def markdown(text: str) -> str:
    """Return Markdown as the HTML that Jupyter makes of it."""
    return _JUPYTER.render(_TABLE.sub(_even, _ATTACHED.sub(r"(<\1>)", text)))


def inline_markdown(text: str) -> str:
    """Return a line of Markdown as HTML without its paragraph."""
    return re.sub(r"</?p>", "", markdown(text)).strip()


def _even(table: re.Match) -> str:
    """Give each row of a table its head's cells, and take no bar of a formula for a border."""
    rows = [_IN_ROW.sub(lambda m: _BAR.sub(r"\\vert ", m[0]), row) for row in table[0].split("\n")]
    width = len(_BAR.findall(rows[0]))
    return "\n".join("|".join((_BAR.split(row) + [""] * width)[:width]) + "|" for row in rows)


def parse(html: str) -> Tag:
    """Parse a piece of HTML, without what a paper cannot hold."""
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all(_DROPPED):
        if not str(tag.get("type", "")).startswith("math/tex"):
            tag.decompose()
    for tag in soup.find_all(["details", "summary"]):
        tag.name, tag.attrs = "div", {"class": tag.name}
    for code in soup.select(":not(pre) > code"):
        keep_exact(code)
    return soup


def keep_exact(tag: Tag) -> None:
    """Keep pandoc from making typographic quotes and dashes of a text."""
    for text in tag.find_all(string=True):
        if type(text) is NavigableString:  # no formula
            text.replace_with(text.translate(_EXACT))
