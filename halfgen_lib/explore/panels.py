"""The explorer's panels: controls with labels, and below them what they choose.

Every panel is plain HTML where no widget can be shown: in a notebook that was run headless, say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, get_args

import ipywidgets as widgets
import numpy as np

from ..data import CLASS_NAMES, HALF_WIDTH, Side
from ..runs import RunError
from .controls import Drawing, Keys, Slider
from .explorer import MOST_DRAWS, WHAT_TO_RUN, Choice, Explorer
from .pictures import PictureError
from .tiles import View, message

CLASSES = [(name, label) for label, name in enumerate(CLASS_NAMES)]
_SNUG = widgets.Layout(width="max-content")
SHOWN = (PictureError, RunError)  # told in the panel; any other error is a defect


class Panel(widgets.HBox):
    """Controls over a picture that follows them at once.

    Args:
        controls: in the order in which the keyboard reaches them.
        look: returns what the controls choose.
        models: the names that can be chosen; where there is none, ``missing`` is said instead.
        beside: a control that stands left of all others and is reached first.
    """

    def __init__(
        self,
        controls: Sequence[widgets.Widget],
        look: Callable[[], View],
        models: Collection[str],
        *,
        missing: str = WHAT_TO_RUN,
        beside: widgets.Widget | None = None,
    ):
        self.look, self._view = look, None
        self.picture = widgets.HTML(message(missing))
        if not models:
            super().__init__([self.picture])
            return
        flow = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 20px"}
        row = widgets.HBox(controls, layout=widgets.Layout(margin="0 0 10px 0", **flow))
        column = widgets.VBox([row, self.picture, Keys()])
        super().__init__([beside, column] if beside else [column])
        self.add_class("halfgen-panel")
        self._show(lambda: look().whole())
        for control in (*controls, *([beside] if beside else [])):
            if control.has_trait("value"):
                control.observe(self.update, "value")

    def update(self, *_: object) -> None:
        """Show what the controls choose, or say why that cannot be shown.

        What takes long follows once no other change waits: a slider that is moved fast stops where
        it is let go, and not later.
        """
        self._show(self.look)
        try:
            asyncio.get_running_loop().call_soon(self._show_rest, self._view)
        except RuntimeError:  # a script: there is nothing to wait for
            self._show_rest(self._view)

    def _show_rest(self, view: View | None) -> None:
        if view and view.rest and view is self._view:
            self._show(view.rest)

    def _show(self, look: Callable[[], View]) -> None:
        self._view = None
        try:
            self._view = look()
            self.picture.value = self._view.html()
        except SHOWN as error:
            self.picture.value = message(str(error))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return {**super()._repr_mimebundle_(**options), "text/html": self.picture.value}


def image_panel(explorer: Explorer, given: Side = "left") -> Panel:
    """Return the panel of one test image: class, image, model, known side, mirror, draws."""
    label, number = _image_controls(explorer, "class", "image")
    model, side = _model(explorer), _side(given)
    mirror = widgets.Checkbox(description="mirror the image", indent=False, layout=_SNUG)
    draws, again, seed = _draws()

    def look() -> View:
        _enable(explorer, model.value, draws, again)
        chosen = (label.value, number.value, model.value, side.value)
        return explorer.view(Choice(*chosen, mirror.value, draws.value, seed[0]))

    controls = [label, number, model, side, mirror, draws, again]
    panel = Panel(controls, look, explorer.models)
    _draw_again(again, seed, panel)
    return panel


def walk_panel(explorer: Explorer) -> Panel:
    """Return the panel of the walk between two left halves: both images, the place on the way."""
    names = explorer.walkers()
    ends = [
        _image_controls(explorer, "from class", "from image", 7),
        _image_controls(explorer, "to class", "to image", 9),
    ]
    model = _dropdown("model", names)
    place = _slider("place (%)", 0, 100, 50)

    def look() -> View:
        (first, a), (second, b) = ends
        pair = (first.value, a.value), (second.value, b.value)
        return explorer.walk(*pair, model.value, place.value / 100)

    controls = [*ends[0], *ends[1], model, place]
    missing = "No trained network has an encoder and a decoder: train a cae, or publish one."
    return Panel(controls, look, names, missing=missing if explorer.models else WHAT_TO_RUN)


def upload_panel(explorer: Explorer) -> Panel:
    """Return the panel that completes a picture of the reader's own."""
    file = widgets.FileUpload(description="choose a picture", accept="image/*", layout=_SNUG)
    model, side = _model(explorer), _side("left")
    draws, again, seed = _draws()

    def look() -> View:
        _enable(explorer, model.value, draws, again)
        if not file.value:
            return View([], ["Choose a picture: one object on a plain ground, of any size."])
        picture = file.value[0]
        chosen = (side.value, model.value, draws.value, seed[0])
        return explorer.complete_file(picture["name"], bytes(picture["content"]), *chosen)

    panel = Panel([file, model, side, draws, again], look, explorer.models)
    _draw_again(again, seed, panel)
    return panel


def drawing_panel(explorer: Explorer, start: tuple[int, int] = (0, 0)) -> Panel:
    """Return the panel that completes a left half drawn by hand.

    Args:
        explorer: the images and models.
        start: the test image from which the drawing starts: its class and its number there.
    """
    left = explorer.image(*start)[0, 0, :, :HALF_WIDTH].numpy()
    drawing = Drawing(np.rint(left * 255).astype(np.uint8))
    model = _model(explorer)
    draws, again, seed = _draws()

    def look() -> View:
        _enable(explorer, model.value, draws, again)
        return explorer.complete(drawing.pixels(), "left", model.value, draws.value, seed[0])

    panel = Panel([model, draws, again], look, explorer.models, beside=drawing)
    _draw_again(again, seed, panel)
    return panel


# ---- the controls: each with a description, which is its name for a screen reader


def _dropdown(description: str, options: Sequence[Any], value: Any = None) -> widgets.Dropdown:
    chosen = {} if value is None else {"value": value}
    style = {"description_width": "max-content"}
    return widgets.Dropdown(
        options=options, description=description, style=style, layout=_SNUG, **chosen
    )


def _slider(description: str, low: int, high: int, value: int) -> Slider:
    return Slider(value=value, min=low, max=high, description=description)


def _image_controls(
    explorer: Explorer, of_class: str, of_image: str, start: int = 0
) -> tuple[widgets.Dropdown, Slider]:
    """Return the choice of a class and of an image, as many as the class has."""
    label = _dropdown(of_class, CLASSES, start)
    number = _slider(of_image, 0, explorer.count(start) - 1, 0)

    def keep_in_range(_: object) -> None:
        number.max = explorer.count(label.value) - 1

    label.observe(keep_in_range, "value")
    return label, number


def _model(explorer: Explorer) -> widgets.Dropdown:
    return _dropdown("model", list(explorer.models))


def _side(given: Side) -> widgets.Dropdown:
    return _dropdown("known side", get_args(Side), given)


def _draws() -> tuple[Slider, widgets.Button, list[int]]:
    """Return the number of draws, the button for new ones, and their seed, which it changes."""
    button = widgets.Button(description="draw again")
    return _slider("draws", 1, MOST_DRAWS, 4), button, [0]


def _draw_again(button: widgets.Button, seed: list[int], panel: Panel) -> None:
    def draw(_: object) -> None:
        seed[0] += 1
        panel.update()

    button.on_click(draw)


def _enable(explorer: Explorer, name: str, *controls: widgets.Widget) -> None:
    """Let the controls of draws be used only with a model that draws."""
    for control in controls:
        control.disabled = not explorer.draws(name)
