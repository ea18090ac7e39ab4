"""Work in place where no gradient is asked for.

With gradients the result of a linear over maps is a view to autograd, and what is written into a view makes the
backward pass copy the view's whole gradient, often out of channels-last memory: dearer than the tensor it saves.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def relu(x: Tensor) -> Tensor:
    """max(x, 0); x is a tensor that nobody else reads."""
    return F.relu(x, inplace=not torch.is_grad_enabled())


def residual(branch: Tensor, x: Tensor) -> Tensor:
    """branch + x, both of one shape; `branch` is a tensor that nobody else reads."""
    return branch + x if torch.is_grad_enabled() else branch.add_(x)
