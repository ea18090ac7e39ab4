"""Which parameter is trained how: groups by name and kind."""

from typing import TypedDict

from torch import nn

from scaseg.models.encoders.rates import rate_factors
from scaseg.schema import Decay, DecayBy

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
POSITION = ("pos_embed", "relative_position_bias_table", "rpb")


class Group(TypedDict):
    """Of the optimiser's parameters; names: theirs, in order."""

    name: str
    names: list[str]
    params: list[nn.Parameter]
    lr: float
    weight_decay: float


def parameter_groups(
    encoder: nn.Module,
    decoder: nn.Module,
    lr: float,
    decoder_lr_mult: float,
    weight_decay: float,
    decay: Decay,
    encoder_lr_decay: float = 1.0,
    encoder_lr_decay_by: DecayBy = DecayBy.stage,
    distillation: nn.Module | None = None,
) -> list[Group]:
    """The optimiser's groups, each with `name`, `names` (of its parameters), `params`, `lr`, `weight_decay`.

    decay `published`: the encoder's norms and position tensors have no decay, everything else has. So the public
    codes' rule comes out, which goes by names: it spares no norm of the decoder, and none that is not called one
    (in MSCAN's stem, in ResNets). `no_norm_or_bias`: no norm, no position tensor and no vector has decay.
    encoder_lr_decay, encoder_lr_decay_by: see scaseg.models.encoders.rates. distillation: its projections learn as the
    decoder does.
    """
    factors = {} if encoder_lr_decay == 1 else rate_factors(encoder, encoder_lr_decay, encoder_lr_decay_by)
    groups: dict[tuple[str, bool, float], Group] = {}
    modules = [("encoder", encoder, lr), ("decoder", decoder, lr * decoder_lr_mult)]
    if distillation is not None:
        modules.append(("distillation", distillation, lr * decoder_lr_mult))
    for part, module, rate in modules:
        for owner_name, owner in module.named_modules():
            for name, parameter in owner.named_parameters(recurse=False):
                if not parameter.requires_grad:
                    continue
                if decay is Decay.published:
                    norm = isinstance(owner, NORMS) and "norm" in owner_name
                    plain = part == "encoder" and (norm or name.startswith(POSITION))
                else:
                    plain = isinstance(owner, NORMS) or parameter.ndim <= 1 or name.startswith(POSITION)
                full = ".".join(filter(None, (owner_name, name)))
                factor = factors.get(full, 1.0) if part == "encoder" else 1.0
                group_name = f"{part}_no_decay" if plain else part
                group = groups.setdefault(
                    (part, plain, factor),
                    {
                        "name": group_name + (f"_x{factor:.4g}" if factor != 1 else ""),
                        "names": [],
                        "params": [],
                        "lr": rate * factor,
                        "weight_decay": 0.0 if plain else weight_decay,
                    },
                )
                group["names"].append(f"{part}.{full}")
                group["params"].append(parameter)
    return list(groups.values())
