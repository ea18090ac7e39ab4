"""The widths of a model that can be smaller, and where their channels lie in its tensors.

A channel may go where it meets no other before its result is weighed: a hidden channel of a mix-FFN, of an inverted
residual block or of the LPM, a value channel of a head, a channel of the fused map. A model that has it at zero and one
that does without it then answer alike. That is not so of what a LayerNorm, or a channel attention that looks at
neighbours (eca) or at all channels at once (cbam), runs over.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scaseg.models.decoders.scaseg import SCASegDecoder
from scaseg.models.encoders.inverted_residual import MADE, READ, inverted_residuals
from scaseg.models.encoders.mit import MiT
from scaseg.models.encoders.mscan import MSCAN
from scaseg.models.encoders.timm_encoder import TimmEncoder
from scaseg.models.layers.attention import CrossAttention, PooledCrossAttention
from scaseg.models.layers.channel_attention import CoordinateAttention, SqueezeExcitation
from scaseg.models.layers.offset_classifier import OffsetClassifier
from scaseg.models.layers.ranked_attention import RankedCrossAttention
from scaseg.models.segmentor import Segmentor

ENCODERS = (MiT, MSCAN)


@dataclass(frozen=True)
class Width:
    """One number of the configuration.

    part, key: where it stands, `backbone` or `decoder` and the option; place: in the option's lists, () for a number.
    channels: what it is now, in each of `heads`. made: tensors of the Segmentor that have a channel along their first
    axis, head after head; read: those that weigh it, along their second.
    """

    part: str
    key: str
    place: tuple[int, ...]
    channels: int
    made: tuple[str, ...]
    read: tuple[str, ...]
    heads: int = 1

    @property
    def in_words(self) -> str:
        return f"{self.part}.{self.key}" + "".join(f"[{place}]" for place in self.place)

    def sliced(self, tensors: dict[str, Tensor], kept: Tensor) -> dict[str, Tensor]:
        """The tensors that have its channels, with these alone: kept (heads, k), numbers within each head."""
        flat = (kept + self.channels * torch.arange(self.heads)[:, None]).flatten()
        axes = [*((name, 0) for name in self.made), *((name, 1) for name in self.read)]
        return {name: tensors[name].index_select(axis, flat) for name, axis in axes}


def widths_of(segmentor: Segmentor) -> tuple[list[Width], list[str]]:
    """All of a model's, encoder first; and in words what of it stays as it is."""
    found, notes = [], []
    encoder, decoder = segmentor.encoder, segmentor.decoder
    own = _of_mix_ffns(encoder) if type(encoder) in ENCODERS else _of_inverted_residuals(encoder)
    found += list(own)
    if not found:
        what = "what can be pruned is MiT, MSCAN and inverted residual blocks of timm's"
        notes.append(f"the encoder ({type(encoder).__name__}) stays as it is: {what}")
    if type(decoder) is SCASegDecoder:
        found += list(_of_decoder(decoder))
        notes += _left(decoder)
    else:
        notes.append(f"the decoder ({type(decoder).__name__}) stays as it is: decoder=scaseg alone can be pruned")
    return found, notes


def blocks_of_stages(encoder: nn.Module) -> list[nn.ModuleList]:
    """Of an encoder of ENCODERS, by stage."""
    return [encoder.get_submodule(f"block{stage}") for stage in (1, 2, 3, 4)]  # type: ignore[misc]


def _of_inverted_residuals(encoder: nn.Module) -> Iterator[Width]:
    if type(encoder) is TimmEncoder:
        for place, (name, block) in enumerate(inverted_residuals(encoder.net)):
            at = f"encoder.net.{name}."
            made, channels = tuple(at + one for one in MADE), block.conv_pwl.in_channels
            yield Width("backbone", "hidden_channels", (place,), channels, made, (at + READ,))


def _of_mix_ffns(encoder: nn.Module) -> Iterator[Width]:
    for stage, blocks in enumerate(blocks_of_stages(encoder)):
        layers: Iterable[Any] = blocks
        for number, block in enumerate(layers):
            at = f"encoder.block{stage + 1}.{number}.mlp."
            made = _with_bias(f"{at}fc1", f"{at}dwconv.dwconv")
            yield Width(
                "backbone", "ffn_channels", (stage, number), block.mlp.fc2.weight.shape[1], made, (f"{at}fc2.weight",)
            )


def _of_decoder(decoder: SCASegDecoder) -> Iterator[Width]:
    blocks: Iterable[tuple[str, Any]] = decoder.blocks.items()
    for place, (stage, block) in enumerate(blocks):
        at = f"decoder.blocks.{stage}."
        made = _with_bias(f"{at}ffn.expand", f"{at}ffn.depthwise")
        channels = block.ffn.project.in_features
        yield Width("decoder", "ffn_channels", (place,), channels, made, (f"{at}ffn.project.weight",))
        if isinstance(block.lpm and block.lpm.attention, SqueezeExcitation | CoordinateAttention):
            yield _of_lpm(block.lpm, f"{at}lpm.", place)
        attention, within = block.attention, f"{at}attention."
        if isinstance(attention, PooledCrossAttention):
            attention, within = attention.attention, f"{within}attention."
        if isinstance(attention, CrossAttention | RankedCrossAttention):
            heads = attention.heads if isinstance(attention, CrossAttention) else len(attention.ranks)
            each = attention.v.out_features // heads
            made, read = (f"{within}v.weight",), (f"{within}out.weight",)
            yield Width("decoder", "value_channels", (place,), each, made, read, heads)
    if not isinstance(decoder.classifier, OffsetClassifier):
        norm = (f"decoder.fuse.norm.{name}" for name in ("weight", "bias", "running_mean", "running_var"))
        channels, made = decoder.classifier.in_channels, ("decoder.fuse.conv.weight", *norm)
        yield Width("decoder", "embed_channels", (), channels, made, ("decoder.classifier.weight",))


def _of_lpm(lpm: Any, at: str, place: int) -> Width:
    coordinate = isinstance(lpm.attention, CoordinateAttention)
    gates = ("attention.rows", "attention.columns") if coordinate else ("attention.excite",)
    made = _with_bias(*(f"{at}{name}" for name in ("expand", "depthwise", *gates)))
    read = f"{at}attention.squeeze.weight", f"{at}project.weight"
    return Width("decoder", "lpm_channels", (place,), lpm.project.in_channels, made, read)


def _left(decoder: SCASegDecoder) -> list[str]:
    notes = []
    blocks: Iterable[Any] = decoder.blocks.values()
    kinds = {type(block.lpm.attention).__name__ for block in blocks if block.lpm is not None}
    if other := kinds - {SqueezeExcitation.__name__, CoordinateAttention.__name__}:
        notes.append(f"the LPMs stay as they are: {', '.join(other)} looks at channels beside each other")
    if isinstance(decoder.classifier, OffsetClassifier):
        notes.append("the fused map keeps its channels: the offset classifier moves each by all others")
    return notes


def _with_bias(*layers: str) -> tuple[str, ...]:
    return tuple(f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias"))


def order(scores: Tensor) -> Tensor:
    """Scores (heads, channels) -> the channels of each head, the least worth first."""
    return scores.argsort(dim=1, stable=True)


def losses(scores: Tensor) -> Sequence[float]:
    """By how many channels each head keeps, from 0 to all: the scores of the others, those of least worth, summed."""
    going = scores.double().sort(1).values.sum(0).cumsum(0)
    return [0.0, *going.tolist()][::-1]
