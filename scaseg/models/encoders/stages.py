"""Which of an encoder's four stages a parameter is of, whatever it is called: that of the first map it moves."""

import torch
from torch import nn

from scaseg.errors import UserError
from scaseg.models.layers.block_recompute import BATCH_NORMS

SIDE = 64  # of the image that is looked at, pixels


def stages_of(encoder: nn.Module) -> dict[str, int]:
    """Name of each parameter -> 1 to 4; 4 for one that moves no map. The encoder is left as it was."""
    training = encoder.training
    named = dict(encoder.named_parameters())
    asked = {name: parameter.requires_grad for name, parameter in named.items()}
    first = next(iter(named.values()))
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        for parameter in named.values():
            parameter.requires_grad_(True)
        torch.manual_seed(0)
        inputs = getattr(encoder, "in_channels", 3)
        maps = encoder.eval()(torch.randn(1, inputs, SIDE, SIDE, device=first.device, dtype=first.dtype))
        found: dict[str, int] = {}
        for stage, map_ in enumerate(maps, 1):
            gradients = torch.autograd.grad(map_.sum(), list(named.values()), retain_graph=True, allow_unused=True)
            for name, gradient in zip(named, gradients, strict=True):
                if gradient is not None:
                    found.setdefault(name, stage)
    for name, parameter in named.items():
        parameter.requires_grad_(asked[name])
    encoder.train(training)
    return {name: found.get(name, len(maps)) for name in named}


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


def rates_by_stage(encoder: nn.Module, decay: float) -> dict[str, float]:
    """Name of each parameter -> decay^(4 - stage): the nearer to the image, the less it learns.

    Stage-wise decay, as mmsegmentation's optimizer constructor has it for ConvNeXt; by layers it is finer.
    """
    return {name: decay ** (4 - stage) for name, stage in stages_of(encoder).items()}


def kept(norms: list[nn.Module]) -> None:
    """Keep frozen BatchNorms' statistics, whatever mode their model was put into."""
    for norm in norms:
        norm.eval()
