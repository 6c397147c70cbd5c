"""Drawings in the page: ours become part of it, what might act or fetch stays an image."""

import base64

import matplotlib.pyplot as plt
import pytest

from halfgen_lib.paper.display import figure_svg
from halfgen_lib.paper.page import PALETTE, with_drawings


def image(svg, alt="A line."):
    content = base64.b64encode(svg.encode()).decode()
    return f'<p><img alt="{alt}" src="data:image/svg+xml;base64,{content}" /></p>'


@pytest.fixture(scope="module")
def svg():
    figure, axes = plt.subplots()
    axes.plot([0, 1], "o", color="#0072B2")
    axes.imshow([[0, 1]])
    axes.set_title("a < b & 'c'")
    plt.close(figure)
    return figure_svg(figure, "fig-one")


def test_a_drawing_of_ours_is_part_of_the_page(svg):
    page = with_drawings(image(svg, "A &quot;line&quot;."))
    assert "<img" not in page and page.startswith('<p><div class="drawing"><svg role="img"')
    assert 'aria-label="A &quot;line&quot;."' in page and "<?xml" not in page
    assert "var(--blue, #0072b2)" in page and "currentColor" in page
    assert not any(f" {colour}" in page.replace(", ", ",") for colour in PALETTE)


@pytest.mark.parametrize(
    "added",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"></g>',
        '<g OnLoad="alert(1)"></g>',
        "<g onload='alert(1)'></g>",
        '<g class=""onload="alert(1)"></g>',
        '<image xlink:href="https://example.org/a.png"/>',
        '<use href="&#104;ttps://example.org/a.svg#b"/>',
        '<rect style="fill: url(https://example.org/a)"/>',
        '<rect style="fill: URL(https://example.org/a)"/>',
        "<style>@import 'https://example.org/a'</style>",
        '<a href="javascript:alert(1)"><text>a</text></a>',
        "<foreignObject><iframe></iframe></foreignObject>",
        "<!-- --><g",
        "<![CDATA[<script>alert(1)</script>]]>",
    ],
)
def test_what_might_act_or_fetch_stays_an_image(svg, added):
    page = image(svg.replace("</svg>", f"{added}</svg>"))
    assert with_drawings(page) == page


def test_what_others_have_drawn_stays_an_image(svg):
    for other in (svg.replace("currentColor", "black"), "<svg width='1pt'/>", "no drawing"):
        assert with_drawings(image(other)) == image(other)
    assert with_drawings('<img src="data:image/png;base64,AA">').startswith("<img")
