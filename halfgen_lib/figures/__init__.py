"""One function a figure: arrays or rows in, a matplotlib ``Figure`` out; tables' rows in text.

Nothing is loaded or shown here. Sizes are in inches. Images are grey in [0, 1], all on one scale.
Colours are of Okabe and Ito's palette, which readers with any colour vision can tell apart.
"""

from .charts import (
    cost_figure,
    dots,
    error_curves,
    factor_dots,
    loss_curves,
    pixel_histogram,
    score_dots,
    seed_curves,
    singular_values,
)
from .images import (
    architecture,
    baseline_grid,
    class_means_figure,
    class_pages,
    completions,
    halves_figure,
    image_grid,
    sample_sheet,
)
from .samples import coverage_bars, draw_curves, perception_distortion
from .watch import Watch
