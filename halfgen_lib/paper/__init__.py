"""Any notebook as a paper, in HTML and PDF; knows nothing of halves of images."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
PAGES = "application/vnd.halfgen.pages+json"  # a gallery's, beside the figure that stands for it
