import math

from torch import nn


def init_weights(module: nn.Module) -> None:
    """Initialise one module as SegFormer's code does; use with `model.apply(init_weights)`.

    Linear: truncated normal, std 0.02, zero bias. Convolution: normal, std sqrt(2 / fan_out) with
    fan_out = kernel area * out_channels / groups, zero bias. Norms: weight 1, bias 0.
    """
    match module:
        case nn.Linear():
            nn.init.trunc_normal_(module.weight, std=0.02)
        case nn.Conv1d() | nn.Conv2d():
            fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        case nn.LayerNorm() | nn.BatchNorm2d():
            nn.init.ones_(module.weight)
        case _:
            return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
