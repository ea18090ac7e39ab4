"""Which of an encoder's four stages a parameter is of, whatever it is called: that of the first map it moves."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from scaseg.errors import UserError
from scaseg.models.layers.block_recompute import BATCH_NORMS

SIDE = 64  # of the image that is looked at, pixels


def stages_of(encoder: nn.Module) -> dict[str, int]:
    """Name of each parameter -> 1 to 4; 4 for one that moves no map. The encoder is left as it was."""
    named = dict(encoder.named_parameters())
    with looked_at(encoder) as image:
        maps = encoder(image)
        found = first_moved(maps, named)
    return {name: found.get(name, len(maps) - 1) + 1 for name in named}


@contextmanager
def looked_at(encoder: nn.Module) -> Iterator[Tensor]:
    """Within it every parameter has a gradient and nothing is random; gives an image (1, C, SIDE, SIDE)."""
    training = encoder.training
    asked = {parameter: parameter.requires_grad for parameter in encoder.parameters()}
    first = next(iter(asked))
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            encoder.eval().requires_grad_(True)
            torch.manual_seed(0)
            channels = getattr(encoder, "in_channels", 3)
            yield torch.randn(1, channels, SIDE, SIDE, device=first.device, dtype=first.dtype)
    finally:
        for parameter, had in asked.items():
            parameter.requires_grad_(had)
        encoder.train(training)


def first_moved(outputs: Iterable[Tensor], named: Mapping[str, nn.Parameter]) -> dict[str, int]:
    """Name of each parameter -> the first of the outputs, from 0, that it moves; of those alone that move one."""
    found: dict[str, int] = {}
    left = dict(named)
    for place, output in enumerate(outputs):
        if not left:
            break
        gradients = torch.autograd.grad(output.sum(), list(left.values()), retain_graph=True, allow_unused=True)
        moved = {name for name, gradient in zip(left, gradients, strict=True) if gradient is not None}
        found |= dict.fromkeys(moved, place)
        left = {name: parameter for name, parameter in left.items() if name not in moved}
    return found


def freeze(encoder: nn.Module, what: str | list[int] | None) -> list[nn.Module]:
    """Let parameters learn no more: `all`, `norm` (those of BatchNorms), or those of stages, 1 to 4.

    Returns the BatchNorms whose running statistics are to stay, too: keep them in evaluation mode. Raises UserError
    where `norm` finds none.
    """
    if what is None:
        return []
    norms = {name: module for name, module in encoder.named_modules() if isinstance(module, BATCH_NORMS)}
    if what == "norm":
        if not norms:
            raise UserError("backbone.freeze=norm: this encoder has no BatchNorm")
        frozen = {f"{name}.{one}" for name, norm in norms.items() for one, _ in norm.named_parameters()}
    elif what == "all":
        frozen = {name for name, _ in encoder.named_parameters()}
    else:
        frozen = {name for name, stage in stages_of(encoder).items() if stage in what}
    for name, parameter in encoder.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    return [norm for name, norm in norms.items() if what == "all" or f"{name}.weight" in frozen]


def kept(norms: list[nn.Module]) -> None:
    """Keep frozen BatchNorms' statistics, whatever mode their model was put into."""
    for norm in norms:
        norm.eval()
