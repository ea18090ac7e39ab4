"""Make `import torchvision` work beside a CPU build of torch.

PyPI's torchvision wheel is built for CUDA torch; beside the CPU build its operators are missing and the import
fails with `RuntimeError: operator torchvision::nms does not exist`, and with it timm, torchmetrics and lightning.
We use none of these operators, so declaring their schemas is enough. Where torchvision imports by itself, or
fails in any other way, this changes nothing. Import this module before timm, torchmetrics or lightning.
"""

import importlib
import sys

import torch

_library: torch.library.Library | None = None  # operators vanish with the object that defined them


def _ensure() -> None:
    global _library
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        _library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    importlib.import_module("torchvision")


_ensure()
