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

from .. import extra
from ..data import CLASS_NAMES, HALF_WIDTH, IMAGE_SIZE, Side
from ..runs import RunError
from ..variants import NAMES
from .explorer import WHAT_TO_RUN, Explorer, Which, page
from .pictures import PictureError

with extra("explore"):
    import anywidget
    import ipywidgets as widgets
    import traitlets

HERE = Path(__file__).parent
ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 20px"}
SNUG = {"width": "max-content"}

Controls = dict[str, widgets.Widget]
Look = Callable[..., Iterator[str]]


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


class Drawing(anywidget.AnyWidget):
    """A left half to draw on, as bytes: ``value``, and what it goes back to, ``start``."""

    _esm = HERE / "drawing.js"
    value = traitlets.Bytes().tag(sync=True, from_json=lambda sent, _: bytes(sent))
    start = traitlets.Bytes().tag(sync=True)
    rows = traitlets.Int(IMAGE_SIZE).tag(sync=True)
    columns = traitlets.Int(HALF_WIDTH).tag(sync=True)


class ImageChoice(widgets.HBox):
    """A choice of a class and of a test image, as many as the class has: see ``explorer.Which``."""

    value = traitlets.Tuple()

    def __init__(self, explorer: Explorer, end: str = "", start: int = 0):
        classes = [(name, label) for label, name in enumerate(CLASS_NAMES)]
        label = _dropdown(f"{end} class".strip(), classes, value=start)
        number = Slider(0, 0, 0, description=f"{end} image".strip())

        def follow(_: object = None) -> None:
            number.max = len(explorer.images[label.value]) - 1
            self.value = label.value, number.value

        super().__init__([label, number], layout=ROW)
        follow()
        for control in self.children:
            control.observe(follow, "value")


class Panel(widgets.HBox):
    """Controls over a picture that follows them at once.

    ``look`` takes each control's value by its name and returns pages of HTML, each in place of the
    one before. The keyboard reaches the controls in their order; a drawing stands left of all
    others. Where there is no ``model`` to choose, ``missing`` is said instead of all.
    """

    def __init__(
        self, explorer: Explorer, look: Look, controls: Controls, missing: str = WHAT_TO_RUN
    ):
        self.picture = widgets.HTML(_message(missing))
        if not controls["model"].options:
            super().__init__([self.picture])
            return
        self._explorer, self._look, self._controls = explorer, look, controls
        drawings = [control for control in controls.values() if isinstance(control, Drawing)]
        others = [control for control in controls.values() if control not in drawings]
        row = widgets.HBox(others, layout=ROW | {"margin": "0 0 10px 0"})
        super().__init__([*drawings, widgets.VBox([row, self.picture, Keys()])])
        self.add_class("halfgen-panel")
        *_, self.picture.value = self._pages()
        for control in controls.values():
            control.observe(self._update, "value")

    def _update(self, _: object) -> None:
        """Show what the controls choose; what takes long follows once no other change waits."""
        pages = self._wanted = self._pages()
        self.picture.value = next(pages)
        try:
            asyncio.get_running_loop().call_soon(self._finish, pages)
        except RuntimeError:  # a script: there is nothing to wait for
            self._finish(pages)

    def _finish(self, pages: Iterator[str]) -> None:
        if pages is self._wanted:
            for html in pages:
                self.picture.value = html

    def _pages(self) -> Iterator[str]:
        """Yield what the controls choose as HTML, or why it cannot be shown."""
        chosen = {name: control.value for name, control in self._controls.items()}
        try:
            for name in {"draws", "seed"} & chosen.keys():
                self._controls[name].disabled = not self._explorer.draws(chosen["model"])
            yield from self._look(**chosen)
        except (PictureError, RunError) as error:  # any other one is a defect
            yield _message(str(error))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return {**super()._repr_mimebundle_(**options), "text/html": self.picture.value}


def image_panel(explorer: Explorer, given: Side = "left") -> Panel:
    """Return the panel of one test image: class, image, model, known side, mirror, draws."""
    mirror = widgets.Checkbox(description="mirror the image", indent=False, layout=SNUG)
    side = _dropdown("known side", get_args(Side), value=given)
    controls = {"which": ImageChoice(explorer)} | _completion(explorer, given=side, mirrored=mirror)
    return Panel(explorer, explorer.complete_image, controls)


def walk_panel(explorer: Explorer) -> Panel:
    """Return the panel of the walk between two left halves: both images, the place on the way."""
    controls = {
        "first": ImageChoice(explorer, "from", 7),
        "second": ImageChoice(explorer, "to", 9),
        "model": _models(explorer, explorer.walkers()),
        "percent": Slider(50, 0, 100, description="place (%)"),
    }
    missing = "No trained network has an encoder and a decoder: train a cae, or publish one."
    return Panel(explorer, explorer.walk, controls, missing if explorer.runs else WHAT_TO_RUN)


def upload_panel(explorer: Explorer) -> Panel:
    """Return the panel that completes a picture of the reader's own."""

    def look(files: Sequence[Mapping[str, Any]], **chosen: Any) -> Iterator[str]:
        if not files:
            yield page([], ["Choose a picture: one object on a plain ground, of any size."])
            return
        picture = io.BytesIO(files[0]["content"])
        picture.name = files[0]["name"]
        yield from explorer.complete_picture(picture, **chosen)

    file = widgets.FileUpload(description="choose a picture", accept="image/*", layout=SNUG)
    side = _dropdown("known side", get_args(Side))
    return Panel(explorer, look, {"files": file} | _completion(explorer, given=side))


def drawing_panel(explorer: Explorer, start: Which = (0, 0)) -> Panel:
    """Return the panel that completes a left half drawn by hand, from that of a test image on."""
    left = explorer.image(start)[0, 0, :, :HALF_WIDTH].mul(255).round().byte().numpy()

    def look(drawn: bytes, **chosen: Any) -> Iterator[str]:
        pixels = np.frombuffer(drawn, dtype=np.uint8).reshape(left.shape)
        return explorer.complete_picture(pixels, "left", **chosen)

    drawing = Drawing(value=left.tobytes(), start=left.tobytes())
    return Panel(explorer, look, {"drawn": drawing} | _completion(explorer))


def _completion(explorer: Explorer, **choices: widgets.Widget) -> Controls:
    """Return the choice of a model, more choices, and those of draws: how many, of which seed."""
    model = _models(explorer, list(explorer.runs))
    draws = Slider(4, 1, 8, description="draws")
    return {"model": model, **choices, "draws": draws, "seed": Counter(description="draw again")}


def _models(explorer: Explorer, names: Sequence[str]) -> widgets.Dropdown:
    """Return the choice of a network by its name for readers; a run of one's own has its id."""
    runs = {name: explorer.runs[name].config for name in names}
    titles = {n: NAMES.get(c.variant, n) + f", {n}" * (n == c.run_id) for n, c in runs.items()}
    return _dropdown("model", [(title, name) for name, title in titles.items()])


def _dropdown(description: str, options: Sequence[Any], **value: Any) -> widgets.Dropdown:
    look = {"style": {"description_width": "max-content"}, "layout": SNUG}
    return widgets.Dropdown(description=description, options=options, **look, **value)


def _message(text: str) -> str:  # a screen reader says it at once
    return f'<p role="alert">{escape(text)}</p>'
