"""Any notebook as a paper, in HTML and PDF; knows nothing of halves of images.

    from halfgen_lib.paper import read_parameters, show_figure, show_markdown, show_table

Each public name is imported when it is first used (PEP 562): a check of parameters stays light.
"""

from pathlib import Path

from .. import on_first_use

TEMPLATES = Path(__file__).parent / "templates"
PAGES = "application/vnd.halfgen.pages+html"  # a gallery's, beside the figure that stands for it
LIVE = "application/vnd.halfgen.live+json"  # what a page's script brings a figure to life with
# how an SVG starts whose ink and ground are the page's
PAGE_INK = '<svg fill="currentColor" stroke-linejoin="round" stroke-linecap="butt" '

_HOMES = {
    "read_parameters": "parameters",
    "show_figure": "display",
    "show_markdown": "display",
    "show_stamp": "display",
    "show_table": "display",
}
__all__ = list(_HOMES)
__getattr__ = on_first_use(__name__, _HOMES)
