"""Anybody's notebook becomes a paper that shows what Jupyter shows, or an error names the cell."""

import base64
import io
import logging
import re
from itertools import pairwise

import nbformat.v4 as v4
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from pypdf import PdfReader

from halfgen_lib.paper.export import PaperHTMLExporter, PaperPDFExporter
from halfgen_lib.paper.markdown import markdown
from halfgen_lib.paper.notebook import PaperError

EXPORTERS = pytest.mark.parametrize("exporter", [PaperHTMLExporter, PaperPDFExporter])


def picture(colour="red", size=(40, 20)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def text_cell(source, **attachments):
    cell = v4.new_markdown_cell(source)
    if attachments:
        cell["attachments"] = {name: {"image/png": data} for name, data in attachments.items()}
    return cell


def output_cell(data, source="x", **own):
    metadata = {"halfgen": own} if own else {}
    return v4.new_code_cell(
        source, outputs=[v4.new_output("display_data", data, metadata=metadata)]
    )


def frame(*rows):
    cells = "".join(f"<tr>{''.join(f'<td>{value}</td>' for value in row)}</tr>" for row in rows)
    return {"text/html": f"<div><style>td {{x: y}}</style><table>{cells}</table></div>"}


def made(exporter, *cells, **options):
    """Return an exporter's paper of some cells, given as cells or as Markdown."""
    cells = [text_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    metadata = options.pop("metadata", {})
    nb = v4.new_notebook(cells=cells, metadata=metadata)
    return exporter(**options).from_notebook_node(nb)[0]


def page_of(*cells, **options):
    """Return the HTML paper's article, parsed."""
    page = made(PaperHTMLExporter, *cells, **options)
    return article_of(page)


def article_of(page):
    """Return an HTML paper's article, parsed, without the TeX that its formulas carry along."""
    article = BeautifulSoup(page, "html.parser").article
    for annotation in article.find_all("annotation"):
        annotation.decompose()
    return article


def words_of(paper):
    """Return a paper's text, from HTML or PDF, with single blanks."""
    if isinstance(paper, bytes):
        text = "\n".join(p.extract_text() for p in PdfReader(io.BytesIO(paper)).pages)
    else:
        text = article_of(paper).get_text()
    return re.sub(r"\s+", " ", text)


def placed(pdf, number=0):
    """Return the pieces of text of a page: x, y from below, size and text."""
    pieces = []

    def visit(text, cm, tm, font, size):
        if text.strip():
            x, y = tm[4] * cm[0] + cm[4], tm[5] * cm[3] + cm[5]
            pieces.append((x, y, abs(size * tm[0] * cm[0]), text.strip()))

    PdfReader(io.BytesIO(pdf)).pages[number].extract_text(visitor_text=visit)
    return pieces


def height(pieces, words):
    return next(y for _, y, _, text in pieces if words in text)


BLOCKS = "p|ul|ol|li|div|table|thead|tbody|tr|th|td|blockquote|hr|pre"
# What Jupyter shows: Markdown, and what JupyterLab makes of it (its elements and its text)
SHOWN = {
    "text\n* one\n* two": "<p>text</p><ul><li>one</li><li>two</li></ul>",
    "1. one\n1. two\n\n   too": "<ol><li><p>one</p></li><li><p>two</p><p>too</p></li></ol>",
    "in 20\n20. is no list": "<p>in 20 20. is no list</p>",
    "~~gone~~ and snake_case_name": "<p><del>gone</del> and snake_case_name</p>",
    "see https://example.org/a_b now": "<p>see <a>https://example.org/a_b</a> now</p>",
    "$a_1$ and $b_1$, *c*": "<p><script>a_1</script> and <script>b_1</script>, <em>c</em></p>",
    "$$a\n\n- b$$": "<p><script>a - b</script></p>",
    "| a | b |\n|---|---|\n| $|x|$ | `2` |\n| 3 |": "<table><thead><tr><th>a</th><th>b</th></tr>"
    "</thead><tbody><tr><td><script>\\vert x\\vert </script></td><td><code>2</code></td></tr>"
    "<tr><td>3</td><td></td></tr></tbody></table>",
    "above\n| a |\n|---|\n| 1 |": "<p>above</p><table><thead><tr><th>a</th></tr></thead>"
    "<tbody><tr><td>1</td></tr></tbody></table>",
    "<div>\n\n**bold** $y^2$\n\n- one\n\n</div>": "<div><p><strong>bold</strong> "
    "<script>y^2</script></p><ul><li>one</li></ul></div>",
    "<p>raw *stars* $z$ and `$w$` <code>$v$</code></p>": "<p>raw *stars* <script>z</script> and "
    "`<script>w</script>` <code>$v$</code></p>",
    "costs \\$5 or \\$6, `$HOME $x`": "<p>costs $5 or $6, <code>$HOME $x</code></p>",
    "> quoted\nlazily\n\n---\n\nH<sub>2</sub>O": "<blockquote><p>quoted lazily</p></blockquote>"
    "<hr/><p>H<sub>2</sub>O</p>",
    "```\n# no heading\n```": "<pre><code># no heading </code></pre>",
    "hard  \nbreak, soft\nbreak": "<p>hard<br/> break, soft break</p>",
}


def bare(html):
    """Return HTML without attributes and without blanks between blocks."""
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all(True):
        tag.attrs = {}
    text = re.sub(r"\s+", " ", str(soup)).strip()
    return re.sub(rf" ?(</?(?:{BLOCKS})>) ?", r"\1", text)


@pytest.mark.parametrize("text", SHOWN, ids=range(len(SHOWN)))
def test_markdown_is_what_jupyterlab_shows(text):
    assert bare(markdown(text)) == bare(SHOWN[text])


SPACED = ["$ L = x^2 $", "$\\alpha $", "$ \\beta$", "$\\pm$5", "$a$1", "\\\\(b\\\\)", "\\\\[c\\\\]",
          "\\begin{align}\nd &= e \\\\\nf &= g\n\\end{align}"]  # fmt: skip


@pytest.mark.parametrize("source", SPACED)
def test_formulas_are_what_jupyter_takes_for_formulas(source):
    article = page_of(f"# T\n\nIt is {source} here.")
    assert len(article.find_all("math")) == 1
    assert not re.search(r"[$\\]|begin", article.get_text().replace(source, ""))


def test_tables_without_a_caption_stay_where_they_are():
    cells = ["# Order\n\nfirst words"]
    for name in ("second", "third", "last"):
        cells += [output_cell(frame(["head"], [f"before-{name}"])), f"{name} words " + "fill " * 99]
    text = words_of(made(PaperPDFExporter, *cells))
    order = [text.index(w) for w in ("Order", "first words", "before-second", "second words",
             "before-third", "third words", "before-last", "last words")]  # fmt: skip
    assert order == sorted(order)


def test_no_figure_stands_above_the_title():
    figure = output_cell({"image/png": picture()}, label="fig-a", caption="The caption.")
    pieces = placed(made(PaperPDFExporter, "# The title\n\nSee @fig-a.", figure, "words " * 999))
    assert height(pieces, "The title") > height(pieces, "The caption")


@pytest.mark.parametrize("count", [10, 24, 52])
def test_many_columns_are_readable(count):
    head = ["", *(f"feature_{n}" for n in range(count))]
    rows = [[f"r{k}", *(f"{n}.{k}562501" for n in range(count))] for k in range(4)]
    pdf = made(PaperPDFExporter, "# Wide", output_cell(frame(head, *rows)))
    pieces = [p for n in range(len(PdfReader(io.BytesIO(pdf)).pages)) for p in placed(pdf, n)]
    assert {text for row in (head[1:], *rows) for text in row} <= {p[3] for p in pieces}
    cells = [p for p in pieces if re.fullmatch(r"feature_\d+|\d+\.\d{7}", p[3])]
    for (x, y, size, text), (after, level, _, _) in pairwise(cells):
        assert size >= 6
        assert x + 0.4 * size * len(text) < (after if level == y else 595 - 60)


def test_markdown_in_html_blocks_is_markdown():
    answer = "It is **42**.\n\n```python\nprint(1)\n```"
    details = f"<details>\n<summary>Answer</summary>\n\n{answer}\n\n</details>"
    article = page_of("# T", details, "after")
    inside = article.details
    assert inside.summary.get_text().strip() == "Answer"
    assert inside.strong.get_text() == "42" and "print" in inside.pre.get_text()
    assert "after" not in inside.get_text()
    assert "Answer It is 42. print(1) after" in words_of(
        made(PaperPDFExporter, "# T", details, "after")
    )


def test_a_tag_left_open_ends_with_its_cell():
    text = words_of(made(PaperPDFExporter, "# T", "<div><table><tr><td>cell", "**after**"))
    assert "cell" in text and "after" in text and "*" not in text


def test_authors_classes_are_not_taken_for_ours():
    forged = '<div class="code">seen</div> <span class="note">in the line</span>'
    meta = '<div class="meta" data-part="title">no title</div>'
    paper = made(PaperPDFExporter, "# T", forged, meta, output_cell({"text/html": forged}))
    assert words_of(paper).count("seen") == words_of(paper).count("in the line") == 2
    assert PdfReader(io.BytesIO(paper)).metadata.title == "T"


@EXPORTERS
def test_attachments_are_found_by_any_name(exporter):
    source = "# T\n\n![a](<attachment:my pic (1).png>) ![b](attachment:my%20pic%20%281%29.png) "
    source += '![c](attachment:my pic (1).png) <img src="attachment:other.png" alt="d">'
    pictures = {"my pic (1).png": picture(), "other.png": picture("blue")}
    paper = made(exporter, text_cell(source, **pictures))
    if exporter is PaperHTMLExporter:
        images = article_of(paper).find_all("img")
        assert [image["alt"] for image in images] == ["a", "b", "c", "d"]
        assert [image["src"].split(",")[1] for image in images] == [picture()] * 3 + [
            picture("blue")
        ]
    else:
        assert len(PdfReader(io.BytesIO(paper)).pages[0].images) == 2  # each once


PLOTLY = {
    "application/vnd.plotly.v1+json": {"data": []},
    "text/html": "<div id='p'></div><script>x",
}
MOVING = {
    "application/vnd.plotly.v1+json": PLOTLY,
    "application/pdf": {"application/pdf": "JVBERi0=", "text/plain": "<Figure>"},
    "application/javascript": {"application/javascript": "draw()"},
    "text/html": {"text/html": "<div><canvas></canvas></div><script>draw()</script>"},
}


@EXPORTERS
@pytest.mark.parametrize("kind", MOVING)
def test_what_only_a_browser_can_show_is_named(exporter, kind, caplog):
    logger = logging.getLogger("traitlets")
    logger.addHandler(caplog.handler)
    try:
        paper = made(exporter, "# T", output_cell(MOVING[kind]), "after", log=logger)
    finally:
        logger.removeHandler(caplog.handler)
    told = f"an output that only a browser can show ({kind}) has no picture"
    assert told in words_of(paper).replace("- ", "-") and "after" in words_of(paper)
    assert f"cell 2: {told}" in caplog.text


@EXPORTERS
def test_the_picture_is_taken_where_there_is_one(exporter):
    paper = made(exporter, "# T", output_cell(PLOTLY | {"image/png": picture()}))
    assert "browser" not in words_of(paper)


@pytest.mark.parametrize("size, shown", [((40, 20), 1000), ((2000, 90), None), ((90, 4000), None)])
def test_no_picture_is_larger_than_the_page(size, shown):
    cell = output_cell({"image/png": picture(size=size)})
    if shown:
        cell.outputs[0].metadata["image/png"] = {"width": shown, "height": shown}
    drawn = []

    def visit(operator, operands, cm, tm):
        if operator == b"Do":
            drawn.append((cm[4], cm[4] + cm[0], cm[5], cm[5] + cm[3]))

    pdf = made(PaperPDFExporter, "# T", "before", cell)
    for page in PdfReader(io.BytesIO(pdf)).pages:
        page.extract_text(visitor_operand_before=visit)
    (left, right, *heights) = drawn[0]
    assert left > 70 and right < 525 and min(heights) > 60 and max(heights) < 790


def test_macros_hold_in_later_cells():
    first = "$$\n\\newcommand{\\R}{\\mathbb{R}}\n\\def\\pair#1#2{\\langle #1, #2 \\rangle}\n$$"
    second = "$\\DeclareMathOperator{\\argmin}{arg\\,min} \\newcommand{\\Rn}{\\R^n}$"
    article = page_of(first, second, "# T\n\n$\\argmin_{x \\in \\Rn} \\pair{a}{x}$")
    (formula,) = article.find_all("math")
    assert all(part in formula.get_text() for part in ("\u211d", "n", "min", "⟨", "a", "x", "⟩"))


TEX = ["{\\rm d}x", "\\begin{matrix} 1 \\cr 2 \\end{matrix}", "a \\\\ b", "\\large x", "\\LaTeX",
       "\\textcolor{red}{x}", "x \\nonumber", "x \\label{eq:a}", "\\require{ams} x"]  # fmt: skip


@EXPORTERS
@pytest.mark.parametrize("tex", TEX)
def test_tex_that_mathjax_reads_is_read(exporter, tex):
    assert "\\" not in words_of(made(exporter, f"# T\n\nIt is $${tex}$$ here."))


def test_a_footnotes_text_may_stand_in_another_cell():
    cells = ["# T\n\nA claim.[^a] And `[^a]` in code, [^b].", "More.\n\n[^a]: The *note* of it."]
    article = page_of(*cells)
    assert "The note of it." in article.find(class_="footnotes").get_text()
    assert article.get_text().count("The note") == 1 and "[^a] in code, [^b]" in words_of(str(
        made(PaperHTMLExporter, *cells)))  # fmt: skip
    assert "The note of it." in words_of(made(PaperPDFExporter, *cells))


@pytest.mark.parametrize("lang", ["zh", "zh-CN", "de", "en-GB", "pt-BR"])
def test_papers_are_made_in_any_language(lang):
    title = {"halfgen": {"lang": lang, "title": "标题"}}
    page = made(PaperHTMLExporter, "文字", metadata=title)
    assert f'<html lang="{lang}"' in page
    pdf = made(PaperPDFExporter, "文字 Words.", metadata=title)
    assert PdfReader(io.BytesIO(pdf)).trailer["/Root"]["/Lang"] == lang


def test_quotes_and_dashes_of_data_and_code_stay_as_they_are():
    exact = "--flag 'a' \"b\" ..."
    article = page_of("# T", f'`{exact}` is "said" -- so', output_cell(frame([exact])))
    assert article.code.get_text() == article.td.get_text() == exact
    assert "“said” – so" in article.get_text()


FAULTS = {
    "cell 2: TeX that cannot be read (unexpected control sequence \\foo): E = \\foo{x}": [
        "# T",
        "Words\n\n$$\nE = \\foo{x}\n$$",
    ],
    "cell 1: the image attachment:gone.png is not there": ["![a](attachment:gone.png)"],
    "cell 2: the image no/such.png is not there": ["# T", '<img src="no/such.png">'],
    "cell 1: an image (image/png) that cannot be read": ["![a](data:image/png;base64,abcde)"],
    "cell 2 ended with KeyError: 'a'": [
        "# T",
        v4.new_code_cell("x", outputs=[v4.new_output("error", ename="KeyError", evalue="'a'")]),
    ],
}


@EXPORTERS
@pytest.mark.parametrize("words", FAULTS)
def test_an_error_names_the_cell_and_the_cause(exporter, words):
    with pytest.raises(PaperError, match=re.escape(words)):
        made(exporter, *FAULTS[words])


def test_markdown_that_a_cell_shows_is_no_printed_text():
    shown = output_cell({"text/markdown": "```\nshown as code\n```"})
    assert "shown as code" in words_of(made(PaperPDFExporter, "# T", shown))


@EXPORTERS
def test_links_within_a_notebook_lead_somewhere_or_are_text(exporter):
    links = "# T\n\n[a](#place) [b](#The-Part) [c](#gone) [d]() [e](#row)"
    places = ['<a name="place"></a>here', '<p id="row">row</p>', '<a id="place">again</a>']
    paper = made(exporter, links, "## The Part", *places)
    if exporter is PaperHTMLExporter:
        article = article_of(paper)
        targets = [a["href"][1:] for a in article.find_all("a", href=True)]
        assert len(targets) == 3 and all(article.find(id=target) for target in targets)
    else:
        notes = [note.get_object() for note in PdfReader(io.BytesIO(paper)).pages[0]["/Annots"]]
        assert sum(note["/Subtype"] == "/Link" for note in notes) == 3
