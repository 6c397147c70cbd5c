"""Given the left half of a Fashion-MNIST image, generate the right half.

    from halfgen_lib import RunConfig, build_model, complete, find_run, fit
    from halfgen_lib import halves, join, load, split

Each public name is imported when it is first used (PEP 562), so that the import alone is fast.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
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
        with extra("notebooks"):
            return getattr(import_module(f".{homes[name]}", package), name)

    return find


@contextmanager
def extra(name: str, *modules: str) -> Iterator[None]:
    """Where an import in the block fails, or a module is not there, say which extra brings it."""
    try:
        for module in modules:
            if not find_spec(module):
                raise ModuleNotFoundError(name=module)
        yield
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing == __name__ or "pip install" in str(error):
            raise
        how = f"pip install 'halfgen[{name}]' brings it"
        raise ModuleNotFoundError(f"{missing} is not installed: {how}", name=missing) from None


__getattr__ = on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
