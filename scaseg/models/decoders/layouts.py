"""Key maps of whole published models: from their decoders' tensors to ours.

Published heads join stages from the coarsest to the finest, ours from the finest on: where a weight runs over joined
stages, its blocks change places.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scaseg.models.decoders.ccaseg import CCASegDecoder
from scaseg.models.decoders.edaformer import DEPTHS, EDAFormerDecoder
from scaseg.models.decoders.segformer import SegFormerDecoder
from scaseg.models.decoders.segnext import SegNeXtDecoder
from scaseg.models.decoders.umixformer import UMixFormerDecoder
from scaseg.models.encoders.layouts import Layout, State


def turned(weight: Tensor, widths: Sequence[int], dim: int) -> Tensor:
    """Blocks for stages 4, 3, 2, 1 along `dim` -> blocks for stages 1, 2, 3, 4, whose widths are given."""
    if weight.shape[dim] != sum(widths):  # of another model: its shape will be named
        return weight
    return torch.cat(weight.split(list(reversed(widths)), dim)[::-1], dim)


def segformer_layouts(decoder: SegFormerDecoder) -> tuple[Layout, ...]:
    """The official code's, the hub's, and mmsegmentation's, which has normed projections."""
    widths = decoder.fuse.in_channels

    def coarsest_first(state: State) -> State:
        return {key: turned(value, widths, 1) if key == "fuse.conv.weight" else value for key, value in state.items()}

    official = {f"linear_c{i + 1}.proj.": f"project.{i}." for i in range(4)}
    hub = {"linear_fuse.": "fuse.conv.", "batch_norm.": "fuse.norm."}
    return (
        Layout(
            "official (NVlabs/SegFormer)",
            marker=r"linear_c[1-4]\.proj\.|linear_pred\.",
            names={
                **official,
                "linear_fuse.conv.": "fuse.conv.",
                "linear_fuse.bn.": "fuse.norm.",
                "linear_pred.": "classifier.",
            },
            reshape=coarsest_first,
            drop=r"conv_seg\.",
        ),
        Layout(
            "Hugging Face (nvidia/segformer-b*)",
            marker=r"linear_c\.\d\.proj\.",
            names={**hub, **{f"linear_c.{i}.proj.": f"project.{i}." for i in range(4)}},
            reshape=coarsest_first,
            drop=r"(?!)",
        ),
        Layout(
            "transformers 5, in memory",
            marker=r"linear_projections\.\d\.proj\.",
            names={**hub, **{f"linear_projections.{i}.proj.": f"project.{i}." for i in range(4)}},
            reshape=coarsest_first,
            drop=r"(?!)",
        ),
        Layout(
            "mmsegmentation",
            marker=r"fusion_conv\.conv\.",
            names={
                "fusion_conv.conv.": "fuse.conv.",
                "fusion_conv.bn.": "fuse.norm.",
                "convs.": "project.",
                ".bn.": ".norm.",
                "conv_seg.": "classifier.",
            },
            drop=r"(?!)",
        ),
    )


SEGNEXT_LAYOUTS = (
    Layout(
        "official (Visual-Attention-Network/SegNeXt) or mmsegmentation",
        marker=r"hamburger\.ham_in\.",
        names={
            "hamburger.ham_in.conv.": "hamburger.ham_in.",
            "hamburger.ham_out.conv.": "hamburger.ham_out.",
            "hamburger.ham_out.gn.": "hamburger.norm.",
            ".gn.": ".norm.",
            "conv_seg.": "classifier.",
        },
        drop=r"(?!)",
    ),
)


def ccaseg_layouts(decoder: CCASegDecoder) -> tuple[Layout, ...]:
    """The official code's, which calls a mix of stages by its side for an image of 256 pixels."""
    names = {f"attnc{i}_{j}.": f"attentions.{i}.{j}." for i in (1, 2, 3, 4) for j in (1, 2, 3)}
    names |= {f"attnc{i}.": f"attentions.{i}.0." for i in (1, 2, 3, 4)}
    names |= {f"conv{i}_{j}.": f"query.strips.{i}.{j - 1}." for i in (0, 1, 2) for j in (1, 2)}
    names |= {f"conv{i}_{j}.": f"key.strips.{i}.{j - 3}." for i in (0, 1, 2) for j in (3, 4)}
    names |= {"norm1.": "query.norm.", "proj1.": "query.project.", "conv1.": "query.local."}
    names |= {"norm2.": "key.norm.", "proj2.": "key.project.", "conv2.": "key.local."}
    names |= {"conv3.": "mix.", "norm3.": "norm_ffn.", "conv4.": "expand.", "dw.": "depthwise.", "conv5.": "project."}
    names |= {f"down{i}_{j}.sr.": f"pools.{i}_{i + j}.project." for i in (1, 2, 3) for j in (1, 2, 3)}
    names |= {f"multi{2 ** (7 - i)}_{j}.": f"keys.{i}.{j}." for i in (1, 2, 3, 4) for j in (2, 3, 4)}
    names |= {f"predict{j - 1}_{j}.": f"join.{j}." for j in (2, 3, 4)}
    names |= {f"inject{i}.": f"renew.{i}." for i in (1, 2, 3, 4)}
    names |= {"local_embedding.conv.": "local.0.", "local_embedding.bn.": "local.1."}
    names |= {"global_act.conv.": "injected.0.", "global_act.bn.": "injected.1."}
    names |= {"linear_fuse.conv.": "fuse.conv.", "linear_fuse.bn.": "fuse.norm.", "linear_pred.": "classifier."}
    unused = r"|multi64_" if decoder.stages[0] == 2 else ""
    return (
        Layout(
            "official (catchyoo/CCASeg)",
            marker=r"attnc4\.conv0_3\.",
            names=names,
            drop=rf"conv_seg\.{unused}",
        ),
    )


def edaformer_layouts(decoder: EDAFormerDecoder) -> tuple[Layout, ...]:
    """The official code's, which names a stage's second block by its digit twice, and the third by it three times."""
    widths = decoder.fuse.in_channels

    def coarsest_first(state: State) -> State:
        return {key: turned(value, widths, 1) if key == "fuse.conv.weight" else value for key, value in state.items()}

    blocks = {f"attn{str(stage) * (i + 1)}.": f"blocks.{stage}.{i}." for stage, n in DEPTHS.items() for i in range(n)}
    inner = {".norm1.": ".norm_query.", ".attn.": ".attention.", ".norm2.": ".norm_ffn.", ".mlp.fc1.": ".ffn.expand."}
    inner |= {".mlp.dwconv.dwconv.": ".ffn.depthwise.", ".mlp.fc2.": ".ffn.project."}
    return (
        Layout(
            "official (hyunwoo137/EDAFormer)",
            marker=r"attn[234]+\.attn\.sr\.",
            names={
                **blocks,
                **inner,
                "linear_fuse.conv.": "fuse.conv.",
                "linear_fuse.bn.": "fuse.norm.",
                "linear_pred.": "classifier.",
            },
            reshape=coarsest_first,
            drop=r"conv_seg\.",
        ),
    )


def umixformer_layouts(decoder: UMixFormerDecoder) -> tuple[Layout, ...]:
    """The official code's; its plain and its Cityscapes head name the parts of the attention differently."""
    widths = decoder.fuse.in_channels
    city = decoder.query_pool > 1
    inner = "attention.attention" if city else "attention"
    block = {
        ".norm1.": ".norm_query.",
        ".norm2.": ".norm_memory.",
        ".norm3.": ".norm_ffn.",
        ".mlp.fc1.": ".ffn.expand.",
        ".mlp.dwconv.dwconv.": ".ffn.depthwise.",
        ".mlp.fc2.": ".ffn.project.",
    }
    pooled = {  # before the block's own norms, whose names these contain
        ".attn.sr1.": ".attention.reduce.",
        ".attn.norm1.": ".attention.norm_Query.",
        ".attn.norm2.": ".attention.norm_Memory.",
    }
    names = {"linear_fuse.conv.": "fuse.conv.", "linear_fuse.bn.": "fuse.norm.", "linear_pred.": "classifier."}
    names |= pooled if city else {}
    names |= {".attn.proj.": f".{inner}.out.", ".attn.": f".{inner}.", **block}
    names |= {"norm_Query": "norm_query", "norm_Memory": "norm_memory"}
    names |= {f"attn_c{stage}.": f"blocks.{stage}." for stage in (1, 2, 3, 4)}
    # a stage at stride 32 already has no convolution of its own: the plain head starts counting at stage 3
    names |= {
        f"cat_key{5 - stage}.sr_list.{i}.": f"gathers.{stage}.project.{(3 if city else 2) - i}."
        for stage in (1, 2, 3, 4)
        for i in range(4 if city else 3)
    }

    def split_and_turned(state: State) -> State:
        out: State = {}
        for key, value in state.items():
            if key.endswith(f"{inner}.kv.weight") and value.shape[0] % 2 == 0:
                start = key.removesuffix("kv.weight")
                weight = turned(value, widths, 1)
                out[f"{start}k.weight"], out[f"{start}v.weight"] = weight.chunk(2)
            elif "norm_memory." in key:
                out[key] = turned(value, widths, 0)
            else:
                out[key] = turned(value, widths, 1) if key == "fuse.conv.weight" else value
        return out

    unused = r"attn_c\d\.attn\.(sr2|pool)" if city else r"attn_c\d\.attn\.(sr|norm)"
    return (
        Layout(
            "official (julian-klitzing/u-mixformer)",
            marker=r"cat_key\d\.sr_list\.",
            names=names,
            reshape=split_and_turned,
            drop=rf"(conv_seg|{unused})\.",
        ),
    )


def layouts_of(decoder: nn.Module) -> tuple[Layout, ...]:
    """The layouts in which whole models with this decoder are published; none for one that has no weights."""
    match decoder:
        case SegFormerDecoder():
            return segformer_layouts(decoder)
        case SegNeXtDecoder():
            return SEGNEXT_LAYOUTS
        case CCASegDecoder():
            return ccaseg_layouts(decoder)
        case EDAFormerDecoder():
            return edaformer_layouts(decoder)
        case UMixFormerDecoder():
            return umixformer_layouts(decoder)
    return ()
