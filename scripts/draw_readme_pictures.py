"""Draw the README's pictures into docs/: completions, the study's factors, pages of the report.

Usage: python scripts/draw_readme_pictures.py

`make publish-report` does it, after the report.
"""

import tempfile
from pathlib import Path

import numpy as np
import typst
from matplotlib.figure import Figure

from halfgen_lib import figures, join, load
from halfgen_lib.analysis import summaries
from halfgen_lib.evaluation import first_of_each_class
from halfgen_lib.runs import Run
from halfgen_lib.runs.published import published_runs
from halfgen_lib.runs.record import read_results, results_path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
REPORT = ROOT / "report" / "published" / "halfgen-report.pdf"
PAGES = (1, 5, 13)


def save(figure: Figure, name: str) -> None:
    """Write a figure to docs/."""
    figure.savefig(DOCS / name, dpi=150, metadata={"Software": None})


def draw_completions(run: Run) -> None:
    """Show the second test image of each class, chosen by rule: original, given, completed."""
    test = load(run.config.data).test
    chosen = first_of_each_class(test.labels.numpy(), 2)[:, 1]
    left, right = test.select(chosen).halves(run.config.given)
    others = (right, right * float("nan"), run.model().predict(left))
    rows = np.stack([join(left, half, run.config.given)[:, 0].numpy() for half in others])
    save(figures.image_grid(rows, ["original", "given", "completed"]), "completions.png")


def draw_factors() -> None:
    """Show the error of every variant that the published study holds, one factor a panel."""
    records = read_results(results_path("study")).values()
    variants = summaries.summarise_variants(records)
    factors = summaries.factor_summaries(variants)
    save(figures.factor_dots(factors, variants["default"]), "factors.png")


def draw_pages() -> None:
    """Show some pages of the published report side by side."""
    count = len(PAGES)
    pages = "".join(f'box(stroke: 0.4pt + luma(160), image("r.pdf", page: {p})),' for p in PAGES)
    page = f"#set page(width: {count * 8}cm, height: auto, margin: 3mm)\n"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "r.pdf").write_bytes(REPORT.read_bytes())
        source = Path(folder, "main.typ")
        source.write_text(f"{page}#grid(columns: {count}, column-gutter: 4mm, {pages})", "utf-8")
        typst.compile(source, output=DOCS / "report.png", root=folder, format="png", ppi=110)


def main() -> None:
    """Draw all three."""
    DOCS.mkdir(exist_ok=True)
    draw_completions(published_runs()["cae"])
    draw_factors()
    draw_pages()


if __name__ == "__main__":
    main()
