"""Given the left half of a Fashion-MNIST image, generate the right half.

    from halfgen_lib import RunConfig, build_model, complete, find_run, fit
    from halfgen_lib import halves, join, load, split

Each public name is imported when it is first used (PEP 562), so that the import alone is fast.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "RunConfig": "config",
    "load": "data",
    "split": "data",
    "halves": "data",
    "join": "data",
    "build_model": "models",
    "fit": "training",
    "find_run": "runs",
    "complete": "explore.completion",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
