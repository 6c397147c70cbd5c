"""Training watched: the losses and six completions, drawn anew after each epoch."""

import io
import time
from typing import Any

import torch
from IPython import get_ipython
from IPython.display import Image, display
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..data import join
from ..evaluation import first_of_each_class
from . import pen
from .images import tile

SHARE = 0.03  # of the time that drawing may take: quick epochs are drawn together
HIDDEN = {"halfgen": {"hidden": True}}  # from papers: the notebook ends with the curve


class Watch:
    """Show a run's training in the output of the cell that calls ``fit(..., watch=Watch())``.

    Only where a browser runs the cell: it sends the cell's name along, papermill does not.
    """

    def __init__(self) -> None:
        self._began, self._spent = time.perf_counter(), 0.0
        parent = getattr(get_ipython(), "get_parent", dict)()
        self._is_seen = "cellId" in parent.get("metadata", {})

    def __call__(self, trainer: Any) -> None:
        """Draw a ``training.Trainer`` as it is after an epoch, the last one in any case."""
        start, is_last = time.perf_counter(), len(trainer.history) == trainer.config.epochs
        if not self._is_seen or (self._spent > SHARE * (start - self._began) and not is_last):
            return
        FigureCanvasAgg(training_figure(trainer)).print_png(content := io.BytesIO())
        plt.close()
        picture = Image(content.getvalue(), alt="Losses by epoch, and six completions")
        # the first makes the display that the others take the place in
        display(picture, display_id=str(id(self)), update=self._spent > 0, metadata=HIDDEN)
        self._spent += time.perf_counter() - start


def training_figure(trainer: Any) -> Figure:
    """Show the losses by epoch, and six images above their completions by the network as it is."""
    figure, (losses, images) = pen.canvas(54, ncols=2, width_ratios=(1, 1.3))
    epochs = [row["epoch"] for row in trainer.history]
    for key, name, colour in ("train", "training", pen.ORANGE), ("val", "validation", pen.BLUE):
        values = [row[f"{key}_loss"] for row in trainer.history]
        losses.plot(epochs, values, ".-", color=colour, label=f"{name}: {values[-1]:.4f}")
    losses.set(xlabel="epoch", title="loss", xlim=(0.5, trainer.config.epochs + 0.5))
    losses.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    pen.legend(figure, 2)
    given, validation = trainer.config.given, trainer.validation
    few = first_of_each_class(validation.labels.cpu().numpy(), 1)[:6, 0]
    left, right = validation.select(few).halves(given)
    halves = (right, trainer.evaluated.predict(left))
    rows = torch.stack([join(left, half, given)[:, 0] for half in halves])
    images.imshow(tile(rows.cpu().numpy(), gap=1), vmin=0, vmax=1)
    images.set_axis_off()
    images.set_title(f"true, and completed after epoch {epochs[-1]}")
    return figure
