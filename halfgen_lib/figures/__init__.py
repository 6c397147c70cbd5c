"""One function a figure: arrays or rows in, a matplotlib ``Figure`` out; tables' rows in text.

Nothing is loaded or shown here. Sizes are in millimetres. Images are grey in [0, 1], all on one
scale. Colours are of Okabe and Ito's palette, which readers with any colour vision can tell apart.
"""

from .. import extra

with extra("notebooks"):
    from .charts import (
        dots,
        loss_curves,
        perception_distortion,
        pixel_histogram,
        score_dots,
        singular_values,
    )
    from .images import (
        architecture,
        baseline_grid,
        class_pages,
        completions,
        image_grid,
        sample_pages,
        sample_sheet,
        teaser,
    )
    from .studies import error_curves, factor_dots, symmetry
    from .watch import Watch
