"""Given the left half of a Fashion-MNIST image, generate the right half.

    from halfgen_lib import RunConfig, build_model, complete, find_run, fit
    from halfgen_lib import halves, join, load, split

Each public name is imported when it is first used (PEP 562), so that the import alone is fast.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

_HOMES = {
    "RunConfig": "config",
    **dict.fromkeys(("load", "split", "halves", "join"), "data"),
    "build_model": "models",
    "fit": "training",
    "find_run": "runs",
    "complete": "explore.completion",
}
__all__ = list(_HOMES)


def on_first_use(package: str, homes: dict[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose public names are imported from ``homes``."""

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{homes[name]}", package), name)

    return find


__getattr__ = on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
