"""A grid of pixels to draw on, with a pointer or with the keys."""

from __future__ import annotations

from pathlib import Path

import anywidget
import numpy as np
import traitlets

from .data import HALF_WIDTH, IMAGE_SIZE

SCRIPT = Path(__file__).parent / "templates" / "drawing.js"


class Drawing(anywidget.AnyWidget):
    """A left half to draw on.

    Args:
        start: uint8 (28, 14), what it shows first and goes back to.
    """

    _esm = SCRIPT
    value = traitlets.Bytes().tag(sync=True)
    start = traitlets.Bytes().tag(sync=True)
    rows = traitlets.Int(IMAGE_SIZE).tag(sync=True)
    columns = traitlets.Int(HALF_WIDTH).tag(sync=True)

    def __init__(self, start: np.ndarray):
        content = np.ascontiguousarray(start, dtype=np.uint8).tobytes()
        super().__init__(value=content, start=content)

    def pixels(self) -> np.ndarray:
        """Return what is drawn: uint8 (28, 14)."""
        return np.frombuffer(self.value, dtype=np.uint8).reshape(self.rows, self.columns)
