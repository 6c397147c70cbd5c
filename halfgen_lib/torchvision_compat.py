"""Import torchvision where its wheel was built for another torch than the one installed."""

import importlib
from types import ModuleType


def import_torchvision(module: str = "torchvision") -> ModuleType:
    """Import torchvision, or a module of it, beside a CPU-only torch too.

    A torchvision that is linked against CUDA cannot load its compiled operators beside a CPU-only
    torch, and its Python part then fails on their missing schemas. Only after that failure the two
    schemas are declared and the import is tried once more: datasets, transforms and utils work,
    the detection operators do not. An import that fails for another reason raises what it raises.
    """
    try:
        return importlib.import_module(module)
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    import torch

    schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", schema)
    return importlib.import_module(module)
