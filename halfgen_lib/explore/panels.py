"""The explorer's panels: controls, each with a description, and below them what they choose.

Every panel is plain HTML where no widget can be shown: in a notebook that was run headless, say.
"""

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from .. import extra
from ..data import CLASS_NAMES, IMAGE_SIZE, Side, to_unit
from ..runs import RunError
from .explorer import ORDERS, STRIP, WHAT_TO_RUN, Explorer, called, page, tiles
from .pictures import PictureError, to_pose
from .try_it import TryIt

with extra("explore"):
    import anywidget
    import ipywidgets as widgets
    import traitlets

HERE = Path(__file__).parent
ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 20px"}
SNUG = {"width": "max-content"}

Controls = dict[str, widgets.Widget]
Look = Callable[..., Iterator[Any]]


class Slider(anywidget.AnyWidget, widgets.IntSlider):
    """A whole number in a range; its description is its name for a screen reader."""

    _esm = HERE / "slider.js"


class Counter(widgets.Button):
    """A button whose value is how often it was pressed."""

    value = traitlets.Int(0)

    def click(self) -> None:
        """Press the button, which a click in the browser does as well."""
        super().click()
        self.value += 1


class Keys(anywidget.AnyWidget):
    """Nothing to see: keeps keys within the element of class ``halfgen-panel`` around it."""

    _esm = HERE / "keys.js"


class Panel(widgets.VBox):
    """Controls over a picture that follows them at once.

    ``look`` takes each control's value by its name and returns what is to be shown, each in place
    of the one before. The keyboard reaches the controls in their order. Where there is no ``model``
    to choose, ``missing`` is said instead of all.
    """

    def __init__(
        self, explorer: Explorer, look: Look, controls: Controls, missing: str = WHAT_TO_RUN
    ):
        self.picture = widgets.HTML(_message(missing))
        if not controls["model"].options:
            super().__init__([self.picture])
            return
        self._explorer, self._look, self._controls = explorer, look, controls
        super().__init__(self._parts(list(controls.values())))
        self.add_class("halfgen-panel")
        for shown in self._pages():
            self._show(shown)
        for control in controls.values():
            control.observe(self._update, "value")

    def _parts(self, controls: list[widgets.Widget]) -> list[widgets.Widget]:
        row = widgets.HBox(controls, layout=ROW | {"margin": "0 0 10px 0"})
        return [row, self.picture, Keys()]

    def _show(self, shown: Any) -> None:
        self.picture.value = shown

    def _update(self, _: object) -> None:
        """Show what the controls choose; what takes long follows once no other change waits."""
        pages = self._wanted = self._pages()
        self._show(next(pages))
        try:
            asyncio.get_running_loop().call_soon(self._finish, pages)
        except RuntimeError:  # a script: there is nothing to wait for
            self._finish(pages)

    def _finish(self, pages: Iterator[Any]) -> None:
        if pages is self._wanted:
            for shown in pages:
                self._show(shown)

    def _pages(self) -> Iterator[Any]:
        """Yield what the controls choose, or as HTML why it cannot be shown."""
        chosen = {name: control.value for name, control in self._controls.items()}
        try:
            drawn = self._explorer.draws(chosen["model"]) and not chosen.get("compare")
            for name in {"draws", "seed"} & chosen.keys():  # shown where they do something
                self._controls[name].layout.display = "" if drawn else "none"
            yield from self._look(**chosen)
        except (PictureError, RunError) as error:  # any other one is a defect
            yield _message(str(error))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return {**super()._repr_mimebundle_(**options), "text/html": self.picture.value}


class TryPanel(Panel):
    """A test image to pick or a half to draw, and what one network makes of it, or every one."""

    def __init__(self, explorer: Explorer, given: Side = "left"):
        self.hands, self._notes = TryIt(), list[str]()  # what was done to a picture
        self._given = _dropdown("known side", get_args(Side), value=given)
        classes = [("all classes", -1), *zip(CLASS_NAMES, range(len(CLASS_NAMES)), strict=True)]
        self._class = _dropdown("class", classes)
        self._number = _number("test image", explorer)
        self._file = widgets.FileUpload(description="a picture of yours", accept="image/*")
        self._file.layout = SNUG
        self._order = {name: Counter(description=name, layout=SNUG) for name in ORDERS}
        compare = widgets.Checkbox(description="compare all networks", indent=False, layout=SNUG)
        compare.layout.display = "" if len(explorer.runs) > 1 else "none"
        controls = _completion(explorer, compare=compare)
        if explorer.runs:
            self._explorer, self._model = explorer, controls["model"]
            self._pick(explorer.strip(ORDERS[0], -1, self._model.value, given))
        super().__init__(explorer, self._complete, {"asked": self.hands} | controls)
        for control in (self._class, self._given, *self._order.values()):
            control.observe(self._choose, "value")
        self._number.observe(self._count_from, "value")
        self._file.observe(self._draw_on, "value")

    def _parts(self, controls: list[widgets.Widget]) -> list[widgets.Widget]:
        images = [self._class, *self._order.values(), self._number, self._file, self._given]
        rows = (widgets.HBox(row, layout=ROW) for row in (images, controls[1:]))
        return [*rows, self.hands, self.picture, Keys()]

    def _choose(self, change: Any) -> None:
        order = change.owner.description if change.owner in self._order.values() else ORDERS[0]
        chosen = self._class.value, self._model.value, self._given.value
        try:
            self._pick(self._explorer.strip(order, *chosen))
        except RunError as error:
            self._show(_message(str(error)))

    def _count_from(self, change: Any) -> None:
        self._pick(torch.arange(len(self._explorer.test))[change.new :][:STRIP])

    def _pick(self, positions: Tensor) -> None:
        """Let the reader pick one of the test images at ``positions``; the first is shown."""
        pixels, few = self._explorer.test.images, positions.tolist()
        titles, content = map(self._explorer.title, few), pixels[positions].numpy().tobytes()
        picked = {"titles": [*titles], "pixels": content, "given": self._given.value}
        self.hands.images, self._notes = picked, []
        if not self.hands.value.get("image"):  # no page has asked yet
            image = to_unit(pixels[positions[:1]]).numpy()
            self.hands.value = self.hands.value | {"image": image.tobytes()}

    def _draw_on(self, change: Any) -> None:
        """Put a picture of the reader's own on the drawing, as far as it is known there."""
        content = io.BytesIO(change.new[0]["content"])
        content.name = change.new[0]["name"]
        try:
            image, notes = to_pose(content)
        except PictureError as error:
            self._show(_message(str(error)))
            return
        self._notes = [f"{note[0].upper()}{note[1:]}." for note in notes]
        self.hands.send({}, [image.mul(255).round().byte().numpy().tobytes()])

    def _complete(
        self, asked: Mapping[str, Any], model: str, compare: bool, **draws: int
    ) -> Iterator[Any]:
        pixels = np.frombuffer(asked["image"], np.float32).reshape(1, 1, IMAGE_SIZE, IMAGE_SIZE)
        given, models = self._given.value, list(self._explorer.runs) if compare else [model]
        image, draws = torch.tensor(pixels), draws if not compare else {}
        notes = self._notes + self._explorer.expect_less(models, given)
        for made in self._explorer.completions(image, given, models, **draws):
            row = len(made) - (not compare)  # so many in a row: all, or all draws
            panels = [
                {"name": name, "words": words, "image": b"" if i is None else i.numpy().tobytes()}
                | {"row": row * (compare or k > 0)}
                for k, (name, words, i) in enumerate(made)
            ]
            still = page([tiles(image, made, given, "a test image")], notes)
            yield {"serial": asked["serial"], "panels": panels, "notes": notes}, still

    def _show(self, shown: Any) -> None:
        if is_wrong := isinstance(shown, str):
            shown = {"panels": [], "notes": []}, shown
        results, self.picture.value = shown  # HTML is shown here only if there is no other
        self.picture.layout.display = "" if is_wrong else "none"
        self.hands.results = {"serial": self.hands.value["serial"]} | results


def walk_panel(explorer: Explorer) -> Panel:
    """Return the panel of the walk between two left halves: both images, the place on the way."""
    controls = {
        "first": _number("from test image", explorer),
        "second": _number("to test image", explorer, 1),
        "model": _models(explorer, explorer.walkers()),
        "percent": Slider(50, 0, 100, description="place (%)"),
    }
    missing = "No trained network has an encoder and a decoder: train a cae, or publish one."
    return Panel(explorer, explorer.walk, controls, missing if explorer.runs else WHAT_TO_RUN)


def _completion(explorer: Explorer, **choices: widgets.Widget) -> Controls:
    """Return the choice of a model, more choices, and those of draws: how many, of which seed."""
    model = _models(explorer, list(explorer.runs))
    draws = Slider(4, 1, 8, description="draws")
    return {"model": model, **choices, "draws": draws, "seed": Counter(description="draw again")}


def _models(explorer: Explorer, names: Sequence[str]) -> widgets.Dropdown:
    """Return the choice of a network by its name for readers; a run of one's own has its id."""
    return _dropdown("network", [(called(name, explorer.runs[name]), name) for name in names])


def _number(description: str, explorer: Explorer, value: int = 0) -> widgets.BoundedIntText:
    look = {"style": {"description_width": "max-content"}, "layout": {"width": "12em"}}
    last = len(explorer.test) - 1
    return widgets.BoundedIntText(value, min=0, max=last, description=description, **look)


def _dropdown(description: str, options: Sequence[Any], **value: Any) -> widgets.Dropdown:
    look = {"style": {"description_width": "max-content"}, "layout": SNUG}
    return widgets.Dropdown(description=description, options=options, **look, **value)


def _message(text: str) -> str:  # a screen reader says it at once
    return f'<p role="alert">{escape(text)}</p>'
