"""What ipywidgets lacks: a grid to draw on, a slider with a name, keys that stay in a panel.

Both controls work with a pointer and with the keys.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import numpy as np
import traitlets

from ..data import HALF_WIDTH, IMAGE_SIZE

HERE = Path(__file__).parent


class Slider(anywidget.AnyWidget):
    """A whole number in a range.

    Attributes:
        value, min, max: the number, its least and its greatest value.
        description: its label.
        disabled: whether it cannot be moved.
    """

    _esm = HERE / "slider.js"
    value = traitlets.Int().tag(sync=True)
    min = traitlets.Int(0).tag(sync=True)
    max = traitlets.Int(100).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    @traitlets.validate("value")
    def _within(self, proposal: traitlets.Bunch) -> int:
        return min(max(proposal["value"], self.min), self.max)

    @traitlets.observe("max")
    def _keep_within(self, change: traitlets.Bunch) -> None:
        self.value = min(self.value, change["new"])


class Keys(anywidget.AnyWidget):
    """Nothing to see: keeps keys within the element of class ``halfgen-panel`` around it."""

    _esm = HERE / "keys.js"


class Drawing(anywidget.AnyWidget):
    """A left half to draw on.

    Args:
        start: uint8 (28, 14), what it shows first and goes back to.
    """

    _esm = HERE / "drawing.js"
    value = traitlets.Bytes().tag(sync=True, from_json=lambda sent, _: bytes(sent))
    start = traitlets.Bytes().tag(sync=True)
    rows = traitlets.Int(IMAGE_SIZE).tag(sync=True)
    columns = traitlets.Int(HALF_WIDTH).tag(sync=True)

    def __init__(self, start: np.ndarray):
        content = np.ascontiguousarray(start, dtype=np.uint8).tobytes()
        super().__init__(value=content, start=content)

    def pixels(self) -> np.ndarray:
        """Return what is drawn: uint8 (28, 14)."""
        return np.frombuffer(self.value, dtype=np.uint8).reshape(self.rows, self.columns)
