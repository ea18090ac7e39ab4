"""Gradient checkpointing (Chen et al., Training deep nets with sublinear memory cost, 2016) of whole blocks: each keeps
its input alone, and is computed again for the gradient.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from scaseg.models.layers.recompute import traced

BATCH_NORMS = nn.modules.batchnorm._BatchNorm
LISTS = nn.ModuleList, nn.Sequential


def recompute_blocks(encoder: nn.Module) -> int:
    """Let an encoder's blocks be computed again; returns how many. Loss, gradients and statistics stay the same."""
    blocks = list(blocks_of(encoder))
    for block in blocks:
        block.forward = MethodType(_again, block)  # bound: a copy of the model has its own
    return len(blocks)


def blocks_of(module: nn.Module) -> Iterator[nn.Module]:
    """The members of its lists that have parts.

    Of lists within lists it is the innermost's members, of blocks within blocks the outer ones; but a list that holds
    lists beside others is one of stages, and of its members it is the blocks within.
    """
    children = list(module.children())
    mixed = any(isinstance(child, LISTS) for child in children)
    for child in children:
        if not isinstance(module, LISTS) or isinstance(child, LISTS) or not any(True for _ in child.children()):
            yield from blocks_of(child)
        else:
            yield from (list(blocks_of(child)) if mixed else []) or [child]


def _again(block: nn.Module, *arguments: Any, **options: Any) -> Any:
    forward = partial(type(block).forward, block)
    if not block.training or traced() or not torch.is_grad_enabled():
        return forward(*arguments, **options)
    norms = [module for module in block.modules() if isinstance(module, BATCH_NORMS) and module.training]
    return checkpoint(forward, *arguments, use_reentrant=False, context_fn=partial(_contexts, norms), **options)


def _contexts(norms: Sequence[Any]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Of the first pass, and of the second, which must not count in the running statistics again."""
    return nullcontext(), _uncounted(norms)


@contextmanager
def _uncounted(norms: Sequence[Any]) -> Iterator[None]:
    counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, before, counts, strict=True):
            norm.momentum = momentum
            if count is not None:
                norm.num_batches_tracked.copy_(count)
