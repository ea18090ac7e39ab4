"""When Triton's kernels stand in for a torch form: plain float32 tensors on a GPU that has tf32."""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def on_kernels(x: Tensor) -> bool:
    """Graphs keep to the torch form, which a compiler fuses and any machine can load; counters of operators see it."""
    eager = type(x) is Tensor and not torch.compiler.is_compiling() and not is_in_torch_dispatch_mode()
    return eager and x.dtype is torch.float32 and _has_kernels(x.device)


@cache
def _has_kernels(device: torch.device) -> bool:
    ours = device.type == "cuda" and torch.version.hip is None and find_spec("triton") is not None
    return ours and torch.cuda.get_device_capability(device) >= (8, 0)  # tf32
