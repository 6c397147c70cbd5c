"""Import torchvision where its wheel was built for another torch than the one installed."""

import importlib
import sys
from types import ModuleType

_kept_alive: list[object] = []  # a torch.library.Library undoes its definitions when collected


def import_torchvision(module: str = "torchvision") -> ModuleType:
    """Import torchvision, or a module of it, beside a CPU-only torch too.

    A torchvision that is linked against CUDA cannot load its compiled operators beside a CPU-only
    torch, and its Python part then fails on their missing schemas. Only after that failure the two
    schemas are declared and the import is tried once more: datasets, transforms and utils work,
    the detection operators do not.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: Its import fails for another reason.
    """
    try:
        return importlib.import_module(module)
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    import torch

    if not _kept_alive:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept_alive.append(library)
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]
    return importlib.import_module(module)
