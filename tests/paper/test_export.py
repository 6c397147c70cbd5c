"""Synthetic notebooks through both exporters: numbers, references, faults, safety, determinism."""

import base64
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib
import nbformat
import nbformat.v4 as v4
import pytest
from pypdf import PdfReader

from halfgen_lib.paper import display
from halfgen_lib.paper.export import TEMPLATES, PaperHTMLExporter, PaperPDFExporter
from halfgen_lib.paper.notebook import PaperError

matplotlib.use("agg")

BIB = "@article{doe2020, author={Doe, Jane}, title={On Halves}, journal={J}, year={2020}}\n"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
EXPORTERS = pytest.mark.parametrize("exporter", [PaperHTMLExporter, PaperPDFExporter])


def markdown(text, **metadata):
    return v4.new_markdown_cell(text, metadata=metadata)


def code(source, *outputs, tags=()):
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def shown(data, **own):
    return v4.new_output("display_data", data=data, metadata={"halfgen": own} if own else {})


def notebook(*cells, **metadata):
    return v4.new_notebook(cells=list(cells), metadata=metadata)


def captured(function, *args, **kwargs):
    """Return as outputs what a display function displays."""
    kept, original = [], display.display
    display.display = lambda data, raw, metadata=None: kept.append(
        v4.new_output("display_data", data=data, metadata=metadata or {})
    )
    try:
        function(*args, **kwargs)
    finally:
        display.display = original
    return kept


def to_html(nb, path="."):
    return PaperHTMLExporter().from_notebook_node(nb, {"metadata": {"path": str(path)}})[0]


def to_pdf(nb, path="."):
    return PaperPDFExporter().from_notebook_node(nb, {"metadata": {"path": str(path)}})[0]


def pdf_text(content):
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    return re.sub(r"\s+", " ", text)


class Page(HTMLParser):
    """Collect a page's tags and its readable text, styles and scripts left out."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.quiet = [], [], 0
        self.feed(page)
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.quiet += tag in ("style", "script", "annotation")

    def handle_endtag(self, tag):
        self.quiet -= tag in ("style", "script", "annotation")

    def handle_data(self, data):
        if not self.quiet:
            self.words.append(data)


@pytest.fixture(scope="module")
def figure_outputs():
    from matplotlib import pyplot as plt

    display.use_paper_style()
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([1, 1e3], [1, -1])
    axes.set(xscale="log", xlabel="rate λ", ylabel="loss in dB")
    best = 7
    return captured(display.show_figure, figure, "fig-loss", f"Best epoch {best}.", alt="A line.")


@pytest.fixture(scope="module")
def paper(figure_outputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    (folder / "references.bib").write_text(BIB)
    rows = [{"Class": "Bag | box", "MSE": "0.02"}, {"Class": "Coat", "MSE": "0.03"}]
    table = captured(display.show_table, rows, "tbl-class", "Error by class.")
    front = "---\ntitle: Halves\nauthors: [A. Author]\nbibliography: references.bib\n---"
    nb = notebook(
        v4.new_raw_cell(front),
        code("x = 1", *captured(display.show_markdown, "We reach 0.0206."), tags=["abstract"]),
        markdown("## Method <!-- #sec-method -->\n\n### Net\n\nSee @fig-loss, @tbl-class."),
        markdown("Text before.\n\n$$a = b\\!c$$ <!-- #eq-one -->\n\nBy @eq-one of @sec-method"),
        markdown("$$unlabelled$$\n\n$$c = d$$\n<!-- #eq-two -->\n\nand @eq-two [@doe2020]."),
        code("secret_name = 1\nfence = '```'", *figure_outputs),
        code("print('hidden words')", v4.new_output("stream", text="hidden words\n")),
        code("", v4.new_output("stream", text="kept words\n"), tags=["keep-output"]),
        code("", v4.new_output("stream", name="stderr", text="noise\n"), *table),
        markdown("## Thanks <!-- unnumbered -->\n\nÉ, ü, λ, →."),
    )
    return nb, folder


@pytest.fixture(scope="module")
def html(paper):
    return to_html(*paper)


@pytest.fixture(scope="module")
def pdf(paper):
    return to_pdf(*paper)


def test_numbers_and_references_are_the_same_in_both(html, pdf):
    for text in (Page(html).text, pdf_text(pdf)):
        text = text.replace("\u00a0", " ")
        for words in (
            "We reach 0.0206.",
            "See Figure 1, Table 1.",
            "By Equation (1) of Section 1",
            "Equation (2) (Doe 2020)",
            "Figure 1. Best epoch 7.",
            "Table 1. Error by class.",
            "Bag | box",
            "References",
            "On Halves",
            "kept words",
            "É, ü, λ, →.",
        ):
            assert words in text
        assert re.search(r"1\.1 ?Net", text)
        text = text.replace("@misc{this-paper", "")  # which is what to cite it by
        assert "$" not in text and "noise" not in text and "@" not in text


def test_links_lead_somewhere(html):
    tags = Page(html).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for _, a in tags if a.get("href", "").startswith("#")}
    assert {"fig-loss", "tbl-class", "eq-one", "eq-two", "sec-method", "ref-doe2020"} <= targets
    assert targets <= set(ids)


def test_the_page_needs_no_other_file(html):
    for tag, attrs in Page(html).tags:
        assert attrs.get("src", "data:").startswith("data:")
        assert tag != "link" or attrs["href"].startswith("data:")
    assert "@import" not in html and not re.search(r"url\((?!['\"]?data:|#)", html)


def test_letters_of_figures_stay_letters_in_the_papers_fonts(html, pdf, figure_outputs):
    svg = next(o.data["image/svg+xml"] for o in figure_outputs if "image/svg+xml" in o.data)
    fonts = re.search(r"--serif: (.*);", (TEMPLATES / "paper.css").read_text())[1]
    families = {family.strip() for family in re.findall(r"font-family: ([^;\"]+)", svg)}
    assert families and all(family.startswith(fonts.replace('"', "'")) for family in families)
    assert "@font-face" not in html and "data:font" not in html and fonts in html
    text = pdf_text(pdf)
    assert all(words in text for words in ("rate λ", "\u22121", "loss in dB"))
    assert re.search(r"1 ?0 ?3", text)  # the tick $10^3$


def test_pdf_holds_typsts_fonts_alone(pdf):
    fonts = {name.decode() for name in re.findall(rb"/BaseFont\s*/\w+\+(\w+)", pdf)}
    assert {name for name in fonts if not name.startswith(("Libertinus", "NewCMMath"))} == {
        "DejaVuSansMono"  # of code and printed text
    }


def test_code_is_folded_in_html_and_absent_from_pdf(html, pdf):
    assert 'class="code"' in html and "secret_name" in Page(html).text
    assert "<details open" not in html
    assert "secret_name" not in pdf_text(pdf) and "hidden words" not in pdf_text(pdf)


def test_headings_alt_texts_and_language(html):
    tags = Page(html).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    said = [
        a.get("alt", a.get("aria-label")) for t, a in tags if t == "img" or a.get("role") == "img"
    ]
    assert said == ["A line."]
    assert ("html", {"lang": "en"}) in tags


def test_pdf_has_metadata_outline_tags_fonts_and_vector_figures(pdf):
    reader = PdfReader(io.BytesIO(pdf))
    assert reader.metadata.title == "Halves" and reader.metadata.author == "A. Author"
    assert "/CreationDate" not in reader.metadata
    assert reader.outline[0].title.startswith("1")
    assert "/StructTreeRoot" in reader.trailer["/Root"]
    assert sum(len(page.images) for page in reader.pages) == 0


def test_same_notebook_same_bytes(paper, html, pdf):
    assert to_html(*paper) == html and to_pdf(*paper) == pdf


FAULTS = {
    "fig-nowhere": [markdown("See @fig-nowhere.")],
    "sec-a is used twice": [markdown("# A <!-- #sec-a -->"), markdown("# B <!-- #sec-a -->")],
    "fig-a is used twice": [
        code("", shown({"image/png": PNG}, label="fig-a", caption="x")),
        code("", shown({"image/png": PNG}, label="fig-a", caption="y")),
    ],
    r"\frac{1": [markdown("Bad $\\frac{1$ TeX")],
    "nothing.png": [markdown("![x](nothing.png)")],
    "cell 1 ended with ValueError: bad": [
        code("x", v4.new_output("error", ename="ValueError", evalue="bad", traceback=[]))
    ],
    "doe1999": [markdown("As [@doe1999] says.")],
    "mixes": [markdown("# S <!-- #sec-s -->\n\nAs [@sec-s; @doe2020] says.")],
    "gone.bib": [v4.new_raw_cell("---\nbibliography: gone.bib\n---")],
}


@pytest.mark.parametrize("words", FAULTS)
@EXPORTERS
def test_a_fault_ends_the_export_and_is_named(exporter, words, tmp_path):
    (tmp_path / "references.bib").write_text(BIB)
    nb = notebook(markdown("# T"), halfgen={"bibliography": "references.bib"})
    nb.cells = FAULTS[words] if "cell 1" in words or "gone" in words else nb.cells + FAULTS[words]
    with pytest.raises(PaperError, match=re.escape(words)):
        exporter().from_notebook_node(nb, {"metadata": {"path": str(tmp_path)}})


HOSTILE = (
    '<script>alert(1)</script> <img src=x onerror="alert(1)"> <b onclick="x()">bold</b> '
    "[a](javascript:alert(1)) #panic() \\#eval *x* `]` \" ' </title> & $x$"
)


def test_hostile_strings_are_harmless():
    nb = notebook(
        markdown(HOSTILE.replace('<img src=x onerror="alert(1)">', "")),
        markdown("<div onmouseover=x>block</div>\n\n<script>alert(2)</script>\n\n<iframe src=x>"),
        markdown("```{=html}\n<script>alert(3)</script>\n```"),
        markdown("`<script>`{=html} [l](JaVaScript:x)"),
        markdown('# H {onclick="x()" style="y"}\n\n[k](data:text/html,x){onclick=x}'),
        code("", shown({"text/html": "<script>x()</script><table onclick=x><tr><td>q</table>"})),
        code("", *captured(display.show_table, [{"<script>": HOSTILE[:24]}], "tbl-h", "<script>x")),
        code("", shown({"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' width='9' "
                        "height='9'><script>alert(5)</script></svg>"}, label="fig-h",
                       caption='</figcaption><script> #panic("x")', alt='"><script>')),
        halfgen={"title": '</title><script>"#panic()',
                 "authors": ['x") #panic("y'], "stamp": "<s>#x"},
    )  # fmt: skip
    page = to_html(nb)
    tags = Page(page).tags
    assert page.count("<script") == 1
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert not {"iframe", "object", "embed"} & {tag for tag, _ in tags}
    hrefs = [a["href"] for _, a in tags if a.get("href")]
    assert [h for h in hrefs if not h.startswith(("#", "data:text/css"))] == []
    assert "panic" in pdf_text(to_pdf(nb))


@EXPORTERS
def test_any_notebook_is_exported(exporter):
    nb = notebook(
        markdown("# First title\ntext right after\n* list\n* two\n\n@decorator <br>H<sub>2</sub>"),
        markdown("# Second\n[link](#First-title) [gone](#no) ![remote](https://x.org/a.png)"),
        markdown("\\begin{align}\na &= b \\\\\n\\; c &= d\n\\end{align}\n\n---\nnot: yaml\n---"),
        markdown("![p](attachment:a.png)"),
        markdown("| a | b |\n|---|---|\n| " + "long words " * 30 + "| y |\n"),
        code("x" * 500 + "\n```\n", v4.new_output("stream", text="\x1b[31mred\x1b[0m " + "y" * 500),
             tags=["keep-output"]),
        code("", v4.new_output("stream", text="  5%|##  | 5/9\r100%|####| 9/9\nafter\n")),
        code("df", shown({"text/html": "<div><style>x</style><table><thead><tr><th></th><th>c</th>"
                          "</tr></thead><tr><th>0</th><td>cell</td></tr></table></div>",
                          "text/plain": "   c\n0  cell"})),
        code("", shown({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "HBox()"})),
        code("", shown({"text/latex": "$\\displaystyle x^2$"}), shown({"image/png": PNG})),
        code("", shown({"text/plain": "<Line2D at 0x7f00>"}), shown({"text/html": "<b>"})),
        v4.new_raw_cell("raw \\LaTeX"), markdown(""), code(""),
    )  # fmt: skip
    nb.cells[3]["attachments"] = {"a.png": {"image/png": PNG}}
    content = exporter().from_notebook_node(nb, {"metadata": {"name": "any"}})[0]
    text = Page(content).text if isinstance(content, str) else pdf_text(content)
    assert all(words in text for words in ("First title", "Second", "@decorator", "cell", "gone"))
    assert not any(w in text for w in ("HBox", "0x7f00", "9/9", "raw", "\x1b", "begin{align}"))


@EXPORTERS
def test_empty_notebook_is_named_after_its_file(exporter):
    content = exporter().from_notebook_node(notebook(), {"metadata": {"name": "my-file"}})[0]
    assert "my-file" in (Page(content).text if isinstance(content, str) else pdf_text(content))


def test_hidden_cells_show_neither_code_nor_output():
    png = shown({"image/png": PNG}, label="fig-p", caption="From a *comment*.")
    nb = notebook(
        code("plot()", png),
        code("gone()", v4.new_output("stream", text="gone"), tags=["remove"]),
        markdown("@fig-p"),
    )
    page = to_html(nb)
    text = Page(page).text.replace("\u00a0", " ")
    assert "Figure 1. From a comment." in text and "fig-p" not in text and "gone" not in text
    assert "plot()" in text


@EXPORTERS
def test_an_image_of_the_prose_is_a_figure_with_its_label(exporter, tmp_path):
    (tmp_path / "a.png").write_bytes(base64.b64decode(PNG))
    nb = notebook(markdown("# T\n\nSee @fig-a.\n\n![Of a *file*.](a.png) <!-- #fig-a -->"))
    content = exporter().from_notebook_node(nb, {"metadata": {"path": str(tmp_path)}})[0]
    text = Page(content).text if isinstance(content, str) else pdf_text(content)
    text = text.replace("\u00a0", " ")
    assert "See Figure 1." in text and "Figure 1. Of a file." in text


def test_stamp_is_on_every_page():
    stamp = captured(display.show_stamp, "SAMPLE DATA")
    nb = notebook(markdown("# T\n\n" + "Words. " * 3000), code("", *stamp))
    assert captured(display.show_stamp, "") == []
    assert 'class="stamp" role="note">SAMPLE DATA' in to_html(nb)
    pages = PdfReader(io.BytesIO(to_pdf(nb))).pages
    assert len(pages) > 1 and all("SAMPLE DATA" in page.extract_text() for page in pages)


def test_an_error_that_its_author_expects_is_left_out():
    error = v4.new_output("error", ename="ValueError", evalue="bad", traceback=["tb"])
    page = to_html(notebook(code("x", error, tags=["raises-exception"])))
    assert "bad" not in Page(page).text


def test_table_needs_matching_columns():
    with pytest.raises(ValueError, match="header"):
        display.markdown_table([])
    with pytest.raises(ValueError, match="2 columns"):
        display.markdown_table([[1, 2, 3]], header=["a", "b"])
    assert "| k\u00a0nearest |" in display.markdown_table([[" k\u00a0nearest"]], header=["a"])
    table = display.markdown_table([[1, "x\ny"]], header=["a", "b"], align="lc")
    assert table.splitlines()[1:] == ["| :--- | :---: |", "| 1 | x y |"]


def test_a_tables_columns_align_as_asked():
    table = display.markdown_table([{"a": "x" * 90, "b": 1, "c": "|"}], align="rcl")
    marks = ["---:", ":---:", ":---"]
    assert table.splitlines()[1] == f"| {' | '.join(marks)} |"
    assert table.endswith(r"| 1 | \| |")
    assert display.markdown_table([[1, 2]], header="ab").splitlines()[1] == "| :--- | ---: |"


@pytest.mark.parametrize("to, suffix", [("halfgen-html", "html"), ("halfgen-pdf", "pdf")])
def test_nbconvert_finds_the_exporters(to, suffix, tmp_path):
    import nbformat

    nbformat.write(notebook(markdown("# Title\n\nText.")), tmp_path / "a.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", to, str(tmp_path / "a.ipynb")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"a.{suffix}").stat().st_size > 1000


def test_cells_that_show_nothing_share_a_fold():
    printed = [v4.new_output("stream", name="stdout", text="three")]
    cells = [code("a = 1"), code("b = 2"), code("print(3)", *printed), code("c = 4")]
    html = to_html(notebook(markdown("# Title"), *cells, markdown("Text."), code("d = 5")))
    assert html.count('<details class="code"') == 3  # a, b and 3; c; d


def embedding(folder, *cells, prose):
    """Return a notebook with some prose beside one that has run, of those cells."""
    nbformat.write(notebook(*cells), folder / "other.ipynb")
    return notebook(markdown("# Paper"), markdown(prose))


def test_what_another_notebook_shows_is_embedded_by_its_label(figure_outputs, tmp_path):
    """A figure, a table and a text, with their captions: numbered and referred to as one's own."""
    table = captured(display.show_table, [{"a": 1}], "tbl-x", "Its caption.")
    text = captured(display.show_markdown, "A **finding**, as $a^2$.", "finding")
    label = figure_outputs[0].metadata["halfgen"]["label"]
    names = (label, "tbl-x", "finding")
    prose = "\n\n".join(["See @tbl-x.", *(f"![](other.ipynb#{name})" for name in names)])
    given = embedding(tmp_path, code("a", *figure_outputs, *table, *text), prose=prose)
    page = to_html(given, tmp_path)
    assert page.count("Its caption.") == 1 and "<strong>finding</strong>" in page
    assert f'id="{label}"' in page and '<a href="#tbl-x"' in page and "other.ipynb" not in page
    assert page.index(f'id="{label}"') < page.index("Its caption.") < page.index("finding</strong>")


@EXPORTERS
@pytest.mark.parametrize(
    ("prose", "message"),
    [
        ("![](none.ipynb#fig-x)", "cell 2: none.ipynb is not there: run that notebook first"),
        ("![](other.ipynb#fig-x)", "cell 2: other.ipynb shows no fig-x; it shows said"),
    ],
)
def test_what_cannot_be_embedded_is_named(exporter, prose, message, tmp_path):
    said = captured(display.show_markdown, "Words.", "said")
    path = tmp_path / "paper.ipynb"
    nbformat.write(embedding(tmp_path, code("a", *said), prose=prose), path)
    with pytest.raises(PaperError, match=re.escape(message)):
        exporter().from_filename(str(path))


def test_no_page_ends_within_a_paragraph():
    """Unless it is longer than a page; of that nothing is lost."""
    several = [f"start{i} {'some words of a paragraph ' * 20} end{i}." for i in range(25)]
    long = " ".join(f"word{i}" for i in range(1500))
    content = to_pdf(notebook(markdown("# T\n\n" + "\n\n".join([*several, long]))))
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    assert len(pages) > 3
    for i in range(25):
        (own,) = (page for page in pages if f"start{i} " in page)
        assert f"end{i}." in own
    words = {*pdf_text(content).split()}
    assert all(f"word{i}" in words for i in range(1500))
