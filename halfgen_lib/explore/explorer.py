"""The explorer: test images, pictures and drawings of one's own, and what networks make of them.

Controls choose, the component below them draws (``try_it.js``), and Python's networks answer.
"""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from .. import extra
from ..data import CLASS_NAMES, IMAGE_SIZE, Images, Side, to_unit
from ..evaluation import first_of_each_class, halves_mse
from ..runs import Run, RunError, find_run
from ..runs.published import published_runs
from .completion import complete, fill
from .pictures import PictureError, to_pose
from .try_it import called

with extra("explore"):
    import anywidget
    import ipywidgets as widgets
    import traitlets

HERE = Path(__file__).parent
WHAT_TO_RUN = (
    "There is no trained network yet. Run notebook 02_train (or halfgen train) and then this one"
    " again; published networks (halfgen publish RUN_ID --as NAME) are found too."
)
STRIP = 20  # test images to pick from
ORDERS = ("in order", "at random", "best", "median", "worst")
ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 20px"}

Panel = dict[str, Any]  # what is shown of a completion: see `_panel`


class TryIt(anywidget.AnyWidget):
    """Test images to pick and a half to draw on, beside ``results``: see ``try_it.js``."""

    _esm = "".join((HERE / name).read_text("utf-8") for name in ("keys.js", "try_it.js"))
    _css = HERE / "try_it.css"
    html = traitlets.Unicode((HERE / "try_it.html").read_text("utf-8")).tag(sync=True)
    images = traitlets.Dict().tag(sync=True)  # titles, pixels (N, 28, 28) as uint8, known side
    value = traitlets.Dict({"serial": 0}).tag(sync=True)  # what is asked: float32 (28, 28)
    results = traitlets.Dict().tag(sync=True)  # serial of the question, panels, notes


class Explorer(widgets.VBox):
    """Controls over a component that shows what they choose, and what networks make of it.

    ``runs`` are by the names of their networks, maybe none. ``model`` returns a network by its
    name, loaded at its first use; if that fails, it and all that takes a name raise RunError. Where
    no widget can be shown, in a notebook that was run headless, say, a still picture stands.
    """

    def __init__(self, test: Images, runs: Mapping[str, Run], given: Side = "left"):
        self.test, self.runs = test, runs
        self.names = {name: called(name, run) for name, run in runs.items()}  # to readers
        self.model = cache(lambda name: runs[name].model())
        self.hands, self.message = TryIt(), widgets.HTML()
        self._notes, self._seed = list[str](), 0  # what was done to a picture; of the draws
        super().__init__([*self._rows(given), self.hands, self.message] if runs else [self.message])
        self.add_class("halfgen-explorer")  # see keys.js
        if not runs:
            self._answer(problem=WHAT_TO_RUN)
            return
        self._choose(ORDERS[0])
        self._update()
        for control in (self.hands, self._network, self._compared, self._draws):
            control.observe(self._update, "value")

    def _rows(self, given: Side) -> list[widgets.HBox]:
        """Make the controls: those of the images, and those of what is made of them."""
        classes = [("all classes", -1), *zip(CLASS_NAMES, range(len(CLASS_NAMES)), strict=True)]
        self._class = _control(widgets.Dropdown, "class", options=classes)
        self._given = _control(widgets.Dropdown, "known side", options=get_args(Side), value=given)
        number = _control(widgets.BoundedIntText, "from test image", max=len(self.test) - 1)
        file = _control(widgets.FileUpload, "a picture of yours", accept="image/*")
        orders = [_control(widgets.Button, name) for name in ORDERS]
        names = zip(self.names.values(), self.names, strict=True)
        self._network = _control(widgets.Dropdown, "network", options=list(names))
        self._compared = _control(widgets.Checkbox, "compare all networks", indent=False)
        self._compared.layout.display = "" if len(self.runs) > 1 else "none"
        self._draws = _control(widgets.BoundedIntText, "draws", value=4, min=1, max=8)
        self._again = _control(widgets.Button, "draw again")
        for control in (self._class, self._given):
            control.observe(lambda _: self._choose(ORDERS[0]), "value")
        every = torch.arange(len(self.test))
        number.observe(lambda change: self._pick(every[change.new :][:STRIP]), "value")
        file.observe(lambda change: self._draw_on(change.new[0]), "value")
        for button in orders:
            button.on_click(lambda button: self._choose(button.description))
        self._again.on_click(self._draw_again)
        images = [self._class, *orders, number, file, self._given]
        made = [self._network, self._compared, self._draws, self._again]
        return [widgets.HBox(row, layout=ROW) for row in (images, made)]

    # ---- test images to pick from

    def positions(self, order: str) -> Tensor:
        """Return the positions of up to 20 test images of the chosen class, in one of ``ORDERS``.

        Of all classes, in order, two of each. The chosen network's errors tell best and worst.
        """
        labels, label = self.test.labels, self._class.value
        if label < 0 and order == "in order":
            return torch.from_numpy(first_of_each_class(labels.numpy(), 2).flatten())
        own = ((labels == label) | (label < 0)).nonzero()[:, 0]
        if order == "at random":
            return own[torch.randperm(len(own))[:STRIP]]
        if order != "in order":
            own = own[torch.from_numpy(self._errors_of(own)).argsort()]
        if order == "median":
            own = own[(torch.arange(len(own)) - len(own) // 2).abs().argsort(stable=True)]
        return (own.flip(0) if order == "worst" else own)[:STRIP]

    def _errors_of(self, own: Tensor) -> np.ndarray:
        """Return the errors of the test images ``own``, as the run has them or computed."""
        model, given = self._network.value, self._given.value
        run = self.runs[model]
        with suppress(RunError):  # a published map comes without them
            if run.config.given == given and len(scores := run.scores["mse"]) == len(self.test):
                return scores[own.numpy()]
        return halves_mse(self.model(model).predict, self.test.select(own), given)

    def _choose(self, order: str) -> None:
        try:
            self._pick(self.positions(order))
        except RunError as error:
            self._answer(problem=error)

    def _pick(self, positions: Tensor) -> None:
        """Let the reader pick one of the test images at ``positions``; the first is shown."""
        pixels, few = self.test.images, positions.tolist()
        titles = [f"{CLASS_NAMES[self.test.labels[i]]}, test image {i}" for i in few]
        content = pixels[positions].numpy().tobytes()
        self._notes = []
        self.hands.images = {"titles": titles, "pixels": content, "given": self._given.value}
        if not self.hands.value.get("image"):  # no page has asked yet
            image = to_unit(pixels[positions[:1]]).numpy()
            self.hands.value = self.hands.value | {"image": image.tobytes()}

    def _draw_on(self, file: Mapping[str, Any]) -> None:
        """Put a picture of the reader's own on the drawing, as far as it is known there."""
        content = io.BytesIO(file["content"])
        content.name = file["name"]
        try:
            image, notes = to_pose(content)
        except PictureError as error:
            self._answer(problem=error)
            return
        self._notes = [f"{note[0].upper()}{note[1:]}." for note in notes]
        self.hands.send({}, [image.mul(255).round().byte().numpy().tobytes()])

    # ---- what networks make of an image

    def completions(
        self, image: Tensor, given: Side, models: Sequence[str], draws: int = 0, seed: int = 0
    ) -> list[Panel]:
        """Return completions of an image (1, 1, 28, 28) by each of the models.

        With ``draws`` the last one, which draws, draws so many besides, by the ``seed``.
        """
        made, row = [], len(models) * (len(models) > 1)
        for name in models:
            model = self.model(name)
            count = getattr(model, "mean_of", 0)
            words = f"mean of {count} draws" if count else ""
            made.append(_panel(self.names[name], words, fill(image, given, model), row))
        if draws:
            images, generator = image.expand(draws, -1, -1, -1), torch.Generator().manual_seed(seed)
            drawn = fill(images, given, model, generator)
            made += [_panel(f"draw {i}", "", each, draws) for i, each in enumerate(drawn, 1)]
        return made

    def expect_less(self, models: Sequence[str], given: Side) -> list[str]:
        """Return a sentence for each network that was trained on other halves than the given."""
        sides = {self.names[name]: self.runs[name].config.given for name in models}
        words = "was trained on {} halves alone: expect less."
        return [f"{n} {words.format(side)}" for n, side in sides.items() if side != given]

    def _draw_again(self, _: object) -> None:
        self._seed += 1
        self._update()

    def _update(self, _: object = None) -> None:
        """Show what the controls choose, or why it cannot be shown."""
        compare, given = self._compared.value, self._given.value
        models = list(self.runs) if compare else [self._network.value]
        try:
            is_drawn = not compare and hasattr(self.model(*models), "sample")
            for control in (self._draws, self._again):  # shown where they do something
                control.layout.display = "" if is_drawn else "none"
            draws = self._draws.value * is_drawn
            made = self.completions(self._image(), given, models, draws, self._seed)
            self._answer(made, self._notes + self.expect_less(models, given))
        except RunError as error:  # any other one is a defect
            self._answer(problem=error)

    def _image(self) -> Tensor:
        """Return the image that is asked about, (1, 1, 28, 28)."""
        pixels = np.frombuffer(self.hands.value["image"], np.float32)
        return torch.tensor(pixels).reshape(1, 1, IMAGE_SIZE, IMAGE_SIZE)

    def _answer(
        self, panels: Sequence[Panel] = (), notes: Sequence[str] = (), problem: object = ""
    ) -> None:
        serial = self.hands.value["serial"]
        self.hands.results = {"serial": serial, "panels": [*panels], "notes": [*notes]}
        # a screen reader says it at once
        self.message.value = f'<p role="alert">{escape(str(problem))}</p>' if problem else ""
        self.message.layout.display = "" if problem else "none"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        """Return the widget and, for where none can be shown, a picture or what is wrong."""
        if not (still := self.message.value):
            name, given = self._network.value, self._given.value
            png = b64encode(complete(self._image(), given, self.model(name))._repr_png_()).decode()
            alt = escape(f"A test image, and what {self.names[name]} makes of its {given} half")
            still = f'<img alt="{alt}" src="data:image/png;base64,{png}">'
        return {**super()._repr_mimebundle_(**options), "text/html": still}


def find_runs() -> dict[str, Run]:
    """Return what is published, by name, and the run last trained here unless it is published."""
    runs = published_runs()
    with suppress(RunError):  # where nothing was trained
        last = find_run()
        if last.run_id not in {run.config.run_id for run in runs.values()}:
            runs[last.run_id] = last
    return runs


def _panel(name: str, words: str, image: Tensor, row: int) -> Panel:
    """Return whose completion it is, what more there is to say, and how many stand in its row."""
    return {"name": name, "words": words, "image": image.numpy().tobytes(), "row": row}


def _control(kind: type[widgets.Widget], description: str, **options: Any) -> widgets.Widget:
    """Return a control whose description, which is its name for a screen reader, is not cut."""
    width = "12em" if kind is widgets.BoundedIntText else "max-content"
    control = kind(description=description, layout={"width": width}, **options)
    if kind in (widgets.Dropdown, widgets.BoundedIntText):
        control.style.description_width = "max-content"
    return control
