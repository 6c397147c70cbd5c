"""Half an image, to pick or to draw, and what networks make of it at once: one script for both.

In a notebook it is a widget that Python's networks answer (:class:`panels.TryPanel`); in the HTML
paper it is a figure that the page's own script brings to life (:mod:`halfgen_lib.paper.live`).
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import extra
from ..data import CLASS_NAMES, Images, to_unit
from ..evaluation import first_of_each_class
from ..models.affine import AffineMap
from ..runs import Run
from .explorer import called
from .portable import portable

with extra("explore"):
    import anywidget
    import traitlets

HERE = Path(__file__).parent
PER_CLASS = 2  # test images to pick from


class TryIt(anywidget.AnyWidget):
    """Test images to pick and a half to draw on, beside ``results``: see ``try_it.js``."""

    _esm = HERE / "try_it.js"
    _css = HERE / "try_it.css"
    html = traitlets.Unicode((HERE / "try_it.html").read_text("utf-8")).tag(sync=True)
    images = traitlets.Dict().tag(sync=True)  # titles, pixels (N, 28, 28) as uint8, known side
    value = traitlets.Dict({"serial": 0}).tag(sync=True)  # what is asked: float32 (28, 28)
    results = traitlets.Dict().tag(sync=True)  # serial of the question, panels, notes


def try_it(test: Images, runs: Mapping[str, Run]) -> tuple[dict[str, Any], np.ndarray]:
    """Return what a page needs to complete left halves, and the images of a still figure.

    The page is given each run's network and the first two test images of each class; the images
    (rows, 10, 28, 28) are of the first, in a row each: given (the rest NaN), completed by each
    network, true.
    """
    chosen = first_of_each_class(test.labels.numpy(), PER_CLASS)
    images, content, networks = test.images[chosen.flatten()], b"", []
    truth = to_unit(images[::PER_CLASS])
    left, _ = test.select(chosen[:, 0]).halves()
    rows = [torch.cat((left, torch.full_like(left, torch.nan)), -1)]
    for name, run in runs.items():
        model = run.model()
        layers, numbers = portable(model, len(content))
        content += numbers
        kind = (
            "an affine map under a sigmoid"
            if isinstance(model, AffineMap)
            else "a convolutional network"
        )
        words = f"{kind}; over all test images {run.metrics['overall']['mse']['mean']:.4f}"
        networks.append({"name": called(name, run), "words": words, "layers": layers})
        rows.append(torch.cat((left, model.predict(left)), -1))
    titles = [f"{name} {i}" for name in CLASS_NAMES for i in range(1, PER_CLASS + 1)]
    picked = {"titles": titles, "pixels": _text(images.numpy().tobytes()), "given": "left"}
    live = {"networks": networks, "weights": _text(content), "images": picked}
    stacked = torch.stack([*rows, truth])[:, :, 0].numpy()
    return {"component": "explore/try_it", "data": live}, stacked


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
