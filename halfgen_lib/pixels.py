"""Images inside published results: 8-bit pixels as text."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
from torch import Tensor


def encode(completed: Tensor) -> str:
    """Return halves (N, 1, 28, 14) in [0, 1] as base64 of their uint8 pixels."""
    return base64.b64encode((completed * 255).round().byte().cpu().numpy().tobytes()).decode()


def decode(text: str) -> np.ndarray:
    """Return what :func:`encode` wrote: (N, 28, 14) in [0, 1]."""
    pixels = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return pixels.reshape(-1, 28, 14).astype(np.float32) / 255


def decode_all(texts: Iterable[str]) -> np.ndarray:
    """Return what :func:`encode` wrote, several times: (K, N, 28, 14) in [0, 1]."""
    return np.stack([decode(text) for text in texts])
