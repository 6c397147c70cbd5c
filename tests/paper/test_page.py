"""The HTML paper as a reader meets it: what can be read off the file, and in a real browser."""

import os
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import matplotlib
import nbformat.v4 as v4
import numpy as np
import pytest
from matplotlib import pyplot as plt

from halfgen_lib import figures
from halfgen_lib.data import CLASS_NAMES
from halfgen_lib.files import project_root
from halfgen_lib.paper import display
from halfgen_lib.paper.export import TEMPLATES, PaperHTMLExporter, PaperPDFExporter

matplotlib.use("agg")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
SCREENSHOTS = Path(
    os.environ.get("HALFGEN_SCREENSHOTS", project_root() / "report" / "build" / "screenshots")
)
WIDE_INCHES = 156 / 25.4
WIDE = {"method": "residual flow"} | {f"one measure {i}": "0.0172" for i in range(10)}
ROWS = [
    {"class": "Coat", "images": "1,000", "MSE": "0.0172 [0.0165, 0.0180]", "above": "+0.0031"},
    {"class": "Bag", "images": "90", "MSE": "0.0241 ± 0.0010", "above": "–"},
    {"class": "Dress", "images": "2e3", "MSE": "0.0090", "above": "\u22120.0100"},
    {"class": "**all**", "images": "3,090", "MSE": "0.0210", "above": "0"},
]


def shown(monkeypatch, function, *args, **kwargs):
    """Return a code cell with what a display function displays."""
    outputs = []
    monkeypatch.setattr(
        display,
        "display",
        lambda data, raw, metadata=None: outputs.append(
            v4.new_output("display_data", data=data, metadata=metadata or {})
        ),
    )
    function(*args, **kwargs)
    return v4.new_code_cell("plot()", outputs=outputs)


def class_pages(hostile=False):
    images = np.random.default_rng(0).random((40, 28, 28), dtype=np.float32)
    error, labels = np.linspace(0.01, 0.4, 40), np.arange(40) % len(CLASS_NAMES)
    pages = figures.class_pages(images, images[::-1], error, labels, count=3)
    return {'"><script>alert(1)</script>': {"<b onclick=x>": images[0]}} if hostile else pages


@pytest.fixture(scope="module")
def notebook():
    with pytest.MonkeyPatch.context() as patch:
        display.use_paper_style()
        figures = [plt.subplots(figsize=(WIDE_INCHES, 2))[0] for _ in range(2)]
        figures[0].axes[0].plot([0, 1], color="#0072B2")
        pages, words = class_pages(), "\n\n".join(["Words upon words. " * 60] * 3)
        return v4.new_notebook(
            cells=[
                v4.new_raw_cell("---\ntitle: A page\nauthors: [A. Author]\n---"),
                v4.new_markdown_cell(
                    f"## First <!-- #sec-a -->\n\n{words} See @fig-one, @tbl-one."
                ),
                shown(patch, display.show_figure, figures[0], "fig-one", "One figure.", "A frame."),
                v4.new_markdown_cell(f"### Second <!-- #sec-b -->\n\n{words}"),
                shown(patch, display.show_figure, figures[1], "fig-two", "Two.", "All.", pages),
                v4.new_markdown_cell(f"## Third <!-- #sec-c -->\n\n{words}"),
                shown(patch, display.show_table, ROWS, "tbl-one", "One table."),
                shown(patch, display.show_table, [WIDE] * 3, "tbl-wide", "A wide one."),
                v4.new_markdown_cell(f"## Fourth\n\n{words}\n\n" + words),
            ]
        )


@pytest.fixture(scope="module")
def html(notebook):
    return PaperHTMLExporter().from_notebook_node(notebook)[0]


class Elements(HTMLParser):
    """Collect a page's start tags with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


# What stands on what, by the custom properties of paper.css.
TEXT_ON = {
    "page": ("text", "muted", "link", "stamp"),
    "panel": ("text", "muted", "kw", "st", "nu", "co", "fu"),
    "mark": ("text", "muted", "link", "stamp"),
}


def luminance(colour):
    """Return the relative luminance of #rgb or #rrggbb, as WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_does():
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("night", [False, True], ids=["light", "dark"])
def test_text_has_enough_contrast(night):
    css = (TEMPLATES / "paper.css").read_text()
    colours = {
        name: pair[night]
        for name, *pair in re.findall(r"--(\w+): light-dark\((#\w+), (#\w+)\);", css)
    }
    named = {name for names in TEXT_ON.values() for name in names} | set(TEXT_ON)
    assert named <= set(colours)
    low = {
        (text, ground): round(contrast(colours[text], colours[ground]), 2)
        for ground, texts in TEXT_ON.items()
        for text in texts
        if contrast(colours[text], colours[ground]) < 4.5
    }
    assert low == {}


def test_the_files_basics(html):
    tags = Elements(html).tags
    names = [tag for tag, _ in tags]
    levels = [int(tag[1]) for tag in names if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert ("html", {"lang": "en"}) in tags and "<title>A page</title>" in html
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    images = [attrs for tag, attrs in tags if tag == "img"]
    assert images and all(attrs.get("alt", "").strip() for attrs in images)
    assert names.count("figure") == names.count("figcaption") == 4
    for tag, attrs in tags:
        loaded = [attrs[key] for key in ("src", "srcset", "poster", "data") if key in attrs]
        loaded += [attrs["href"]] if tag == "link" else []
        assert all(address.startswith("data:") for address in loaded), (tag, loaded)


def test_a_gallery_is_pages_in_html_and_its_overview_in_pdf(html, notebook):
    assert html.count('class="page"') == len(CLASS_NAMES)
    assert "All." not in html and 'alt="Images of Bag: best: MSE' in html
    assert PaperPDFExporter().from_notebook_node(notebook)[0].startswith(b"%PDF")


def test_a_gallerys_names_are_only_text(monkeypatch):
    figure, pages = plt.figure(), class_pages(hostile=True)
    cell = shown(monkeypatch, display.show_figure, figure, "fig-x", "Caption.", pages=pages)
    page = PaperHTMLExporter().from_notebook_node(v4.new_notebook(cells=[cell]))[0]
    assert page.count("<script") == 1 and "&lt;script" in page
    assert not any(name.startswith("on") for _, attrs in Elements(page).tags for name in attrs)


def test_a_sentence_is_not_a_list():
    text = "It ran with seed\n20. It ended.\n\n1. one\n2. two\n\n```\nx\n3. code\n```"
    page = PaperHTMLExporter().from_notebook_node(
        v4.new_notebook(cells=[v4.new_markdown_cell(text)])
    )[0]
    assert page.count("<li>") == 2 and "20. It ended." in page and "\n3. code" in page


# In a browser


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("NO CHROMIUM ON THIS MACHINE: the page was not tried in a browser; apt has it")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright: pip install it")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, html, tmp_path):
    """Return a function that opens the page; afterwards no request left it and no script failed."""
    file, contexts, trouble = tmp_path / "page.html", [], []
    file.write_text(html, encoding="utf-8")

    def open_page(**options):
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith(("data:", file.as_uri())) or trouble.append(r.url),
        )
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def screenshot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"page-{name}.png")


def column(page, number):
    return page.locator(f"#tbl-one tbody td:nth-child({number})").all_inner_texts()


def test_tables_sort(opened):
    page = opened()
    head = page.locator("#tbl-one th").nth(2)
    before = column(page, 1)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 1) == ["Dress", "Coat", "Bag", "all"]  # totals stay last
    screenshot(page, "sorted")
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 1) == ["Bag", "Coat", "Dress", "all"]
    head.get_by_role("button").press("Space")
    assert head.get_attribute("aria-sort") == "none" and column(page, 1) == before
    for number, expected in [(0, "Bag"), (1, "Bag"), (3, "Dress")]:
        page.locator("#tbl-one th").nth(number).get_by_role("button").click()
        assert column(page, 1)[0] == expected
        assert page.locator("#tbl-one th[aria-sort=ascending]").count() == 1
    assert column(page, 1)[2] == "Bag"  # what has no value stays behind those that have one


def test_galleries_turn(opened):
    page = opened()
    gallery = page.locator("figure.gallery")
    visible = gallery.locator(".page:visible")
    assert visible.count() == 1 and visible.get_attribute("aria-label") == CLASS_NAMES[0]
    gallery.get_by_role("button", name="Next").click()
    assert visible.get_attribute("aria-label") == CLASS_NAMES[1]
    screenshot(page, "gallery")
    gallery.get_by_role("button", name="Previous").press("ArrowLeft")
    gallery.get_by_role("button", name="Previous").press("ArrowLeft")
    assert visible.get_attribute("aria-label") == CLASS_NAMES[-1]
    gallery.get_by_label("Page of the gallery").select_option("Bag")
    assert visible.get_attribute("aria-label") == "Bag"
    visible.get_by_role("button").first.press("Home")
    assert visible.get_attribute("aria-label") == CLASS_NAMES[0]
    assert gallery.get_by_text(f"1 of {len(CLASS_NAMES)}").is_visible()
    page.emulate_media(media="print")
    assert visible.count() == len(CLASS_NAMES)
    assert not gallery.get_by_role("button", name="Next").is_visible()


def test_figures_enlarge_with_their_captions(opened):
    page = opened()
    dialog, picture = page.locator("dialog"), page.locator("#fig-one .drawing")
    picture.click()
    assert dialog.is_visible() and dialog.get_by_role("img", name="A frame.").is_visible()
    assert dialog.get_by_text("Figure\u00a01. One figure.").is_visible()
    screenshot(page, "enlarged")
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    picture.press("Enter")
    assert dialog.is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.locator("figure.gallery .page:visible img").first.click()
    assert dialog.locator("img").is_visible()
    page.mouse.click(3, 3)
    assert not dialog.is_visible()


def test_drawings_take_the_colours_of_the_page(opened):
    found = {}
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        text, stroke = (
            page.evaluate(f"getComputedStyle(document.querySelector('#fig-one {what}')).{style}")
            for what, style in (("text", "fill"), ("path[style*=blue]", "stroke"))
        )
        assert text == page.evaluate("getComputedStyle(document.body).color")
        found[scheme] = stroke
        screenshot(page, f"drawing-{scheme}")
    assert found == {"light": "rgb(0, 114, 178)", "dark": "rgb(86, 180, 233)"}


def test_a_drawing_is_panned_where_the_window_is_narrow(opened):
    page = opened()
    page.set_viewport_size({"width": 390, "height": 800})
    inner, outer = page.evaluate(
        "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])"
        "(document.querySelector('#fig-one .drawing'))"
    )
    assert outer < 390 and inner == pytest.approx(96 * WIDE_INCHES, abs=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, "narrow")


def test_a_reference_shows_what_it_refers_to(opened):
    page = opened()
    preview = page.locator(".preview")
    page.get_by_role("link", name="Figure\u00a01").first.hover()
    preview.wait_for(state="visible")
    assert "One figure." in preview.inner_text() and preview.locator("svg").is_visible()
    screenshot(page, "preview")
    page.keyboard.press("Escape")
    assert not preview.is_visible()
    page.get_by_role("link", name="Table\u00a01").first.focus()
    preview.wait_for(state="visible")
    assert "One table." in preview.inner_text()


def test_a_heading_can_be_linked_to(opened):
    page = opened()
    page.locator("#sec-b .permalink").click()
    assert page.url.endswith("#sec-b")


@pytest.mark.parametrize("scripts", [True, False])
def test_one_switch_shows_all_code(opened, scripts):
    page = opened(java_script_enabled=scripts)
    code = page.locator("details.code pre")
    assert code.count() == 4 and not code.first.is_visible()
    if scripts:
        button = page.get_by_role("button", name="Show code")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert all(code.nth(i).is_visible() for i in range(4))
        button.click()
        assert not code.first.is_visible()
    else:
        page.get_by_text("Code", exact=True).first.click()
        assert code.first.is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_wide_table_is_all_in_sight(opened, scripts):
    page = opened(java_script_enabled=scripts)
    page.set_viewport_size({"width": 1400, "height": 900})
    box = page.locator("#tbl-wide .scroll")
    inner, outer = box.evaluate("(box) => [box.scrollWidth, box.clientWidth]")
    assert inner == outer and outer > page.locator("article > p").first.bounding_box()["width"]
    screenshot(page, f"wide-{scripts}")
    page.set_viewport_size({"width": 390, "height": 800})
    inner, outer = box.evaluate("(box) => [box.scrollWidth, box.clientWidth]")
    assert inner > outer and page.evaluate("document.documentElement.scrollWidth") <= 390
    box.evaluate("(box) => { box.scrollLeft = 300; }")
    first = page.locator("#tbl-wide tbody td:first-child").first.bounding_box()
    assert first["x"] == pytest.approx(box.bounding_box()["x"], abs=1)  # it stays
    screenshot(page, f"wide-narrow-{scripts}")


def test_dark_and_light(opened):
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        button = page.get_by_role("button", name="Dark colours")
        ground = "getComputedStyle(document.body).backgroundColor"
        first = page.evaluate(ground)
        assert button.get_attribute("aria-pressed") == str(scheme == "dark").lower()
        button.click()
        assert page.evaluate(ground) != first
        assert button.get_attribute("aria-pressed") == str(scheme == "light").lower()
        screenshot(page, f"{scheme}-toggled")
        button.click()
        assert page.evaluate(ground) == first


def test_contents_follow_the_reader(opened):
    page = opened()
    contents = page.get_by_role("navigation", name="Contents")
    assert contents.locator("[aria-current]").count() == 0
    contents.get_by_role("link", name="Second").click()
    page.wait_for_selector("nav [aria-current]")
    assert contents.locator("[aria-current]").all_inner_texts() == ["1.1 Second"]
    assert contents.locator(".toc").bounding_box()["y"] == 0  # it came along
    page.set_viewport_size({"width": 390, "height": 800})
    contents.get_by_role("link", name="Second").wait_for(state="hidden")  # after the next frame
    assert not contents.get_by_role("link", name="Second").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_everything_that_can_be_pressed_has_a_name_and_shows_the_focus(opened):
    page = opened()
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, select, [role=button], a:not([aria-hidden])')]
        .filter((e) => !(e.getAttribute('aria-label') || e.textContent).trim())
        .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    page.keyboard.press("Tab")
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = "(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])"
        style, width = page.evaluate(f"{outline}(getComputedStyle(document.activeElement))")
        assert style == "solid" and width == "2px"


def test_without_scripts_all_is_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator(".page:visible").count() == len(CLASS_NAMES)
    assert page.get_by_role("button").count() == 0
    assert column(page, 1) == ["Coat", "Bag", "Dress", "all"]
    assert page.get_by_role("link", name="Second").is_visible()
    screenshot(page, "no-scripts")
