"""Draw docs/completions.png, the README's figure: the original, what is given, the completion.

Usage: python scripts/draw_readme_figure.py [RUN_ID]
"""

import sys
from pathlib import Path

import numpy as np

from halfgen_lib import figures
from halfgen_lib.data import halves, join, load, to_unit
from halfgen_lib.evaluation import first_of_each_class
from halfgen_lib.runs import find_run


def main() -> None:
    """Take the second test image of each class, by rule, and write the picture."""
    run = find_run(*sys.argv[1:2])
    test = load(run.config.data).test
    chosen = first_of_each_class(test.labels.numpy(), 2)[:, 1]
    images = to_unit(test.images[chosen])
    left, right = halves(images, run.config.given)
    given = join(left, right * float("nan"), run.config.given)
    completed = join(left, run.model().predict(left), run.config.given)
    rows = np.stack([part[:, 0].numpy() for part in (images, given, completed)])
    figure = figures.image_grid(rows, ["original", "given", "completed"])
    target = Path(__file__).resolve().parent.parent / "docs" / "completions.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=150, metadata={"Software": None})
    print(target)


if __name__ == "__main__":
    main()
