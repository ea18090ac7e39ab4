"""Learning rates that fall towards the image: the earlier a part of the encoder, the less it learns of a new task."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from scaseg.errors import UserError
from scaseg.models.encoders.stages import first_moved, looked_at, stages_of
from scaseg.models.layers.block_recompute import blocks_of
from scaseg.schema import DecayBy


def rate_factors(encoder: nn.Module, decay: float, by: DecayBy) -> dict[str, float]:
    """Name of each parameter -> decay^n, n the stages or the layers that come after its own.

    By stage as mmsegmentation has it for ConvNeXt, by layer as BEiT's fine-tuning has it (Bao et al., ICLR 2022), but
    that the head is no layer after the encoder's last: the decoder has a rate of its own, and this layer the encoder's.
    Raises UserError where it goes by layer for an encoder without blocks.
    """
    places = stages_of(encoder) if by is DecayBy.stage else layers_of(encoder)
    last = max(places.values())
    return {name: decay ** (last - place) for name, place in places.items()}


def layers_of(encoder: nn.Module) -> dict[str, int]:
    """Name of each parameter -> its layer, from 0 on at the image. The encoder is left as it was.

    A layer is a block, or what lies before a block and after the last one: stem, patch embedding, strided convolution,
    a stage's norm. What comes after all blocks is of the last one's layer. Raises UserError where there is no block.
    """
    blocks = list(blocks_of(encoder))
    if not blocks:
        raise UserError("training.encoder_lr_decay_by=layer: nothing in this encoder looks like a block")
    outputs: dict[nn.Module, Tensor] = {}  # in the order in which they come

    def keep(block: nn.Module, _: Any, output: Tensor | Sequence[Tensor]) -> None:
        outputs.setdefault(block, output if isinstance(output, Tensor) else output[0])

    hooks = [block.register_forward_hook(keep) for block in blocks]
    named = dict(encoder.named_parameters())
    block_of = {parameter: block for block in blocks for parameter in block.parameters()}
    try:
        with looked_at(encoder) as image:
            encoder(image)
            between = {name: parameter for name, parameter in named.items() if parameter not in block_of}
            before = first_moved(outputs.values(), between)
    finally:
        for hook in hooks:
            hook.remove()
    order = {block: place for place, block in enumerate(outputs)}
    last = len(order) - 1
    places = {name: (order.get(block_of.get(one, encoder), last), True) for name, one in named.items()}
    places |= {name: (place, False) for name, place in before.items()}  # before the block of that place
    layers = {place: layer for layer, place in enumerate(sorted(set(places.values())))}
    return {name: layers[place] for name, place in places.items()}
