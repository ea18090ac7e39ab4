"""Training with less memory: what is cheap to compute again is not kept for the backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHOICES = (True, False, "auto")


def traced() -> bool:
    """Whether a compiler or torch.func looks on: both want the plain form, without hooks and writes in place."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def not_kept(form: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """form(x), keeping x alone; in the backward pass `form` runs again, up to the input of its last operation.

    Without gradients, in a graph that is being traced and under torch.func, which has no such hooks, it is form(x).
    """
    if traced() or not torch.is_grad_enabled():
        return form(x)
    out: Tensor = checkpoint(form, x, use_reentrant=False, preserve_rng_state=False)
    return out
