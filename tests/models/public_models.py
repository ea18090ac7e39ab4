"""Of each public model that stored numbers are of: ours of the same sizes, and their names for our tensors."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scaseg.models.decoders.ccaseg import CCASegDecoder
from scaseg.models.decoders.edaformer import EDAFormerDecoder
from scaseg.models.encoders.eft import EFT
from tests.models.public import filled, spread

K = 19
SIZES = {"64x96": (64, 96), "65x97": (65, 97)}
State = dict[str, Tensor]


@dataclass(frozen=True)
class PublicModel:
    """source: the repository, and its commit; cases: name -> (height, width) of the images; build: a case -> ours;
    published: our tensors by their names; widths: of the maps that are the input of a decoder alone; unused: regular
    expression for the start of their names that no result depends on; gain: as of `filled`.
    """

    source: str
    cases: dict[str, tuple[int, int]]
    build: Callable[[str], nn.Module]
    published: Callable[[State], State]
    widths: tuple[int, ...] = ()
    unused: str = r"(?!)"
    gain: float = 1

    def filled(self, case: str) -> nn.Module:
        return filled(self.build(case), self.gain)

    def inputs(self, case: str, dtype: torch.dtype) -> Tensor | list[Tensor]:
        """Images (2, 3, height, width), or four maps (2, C_i, height / s_i, width / s_i)."""
        height, width = self.cases[case]
        if not self.widths:
            return spread("images", (2, 3, height, width)).to(dtype)
        shapes = [(2, c, height // s, width // s) for c, s in zip(self.widths, (4, 8, 16, 32), strict=True)]
        return [spread(f"map {i}", shape).to(dtype) for i, shape in enumerate(shapes, 1)]


def renamed(key: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        key = key.replace(ours, theirs)
    return key


def coarsest_first(weight: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Blocks of columns for stages 2, 3, 4 -> for stages 4, 3, 2."""
    return torch.cat(weight.split(list(widths), 1)[::-1], 1)


EFT_WIDTHS = (16, 32, 64, 128)
EFT_DEPTHS = (1, 1, 2, 1)
EFT_RATIO = 3.8


def edaformer(case: str) -> nn.Module:
    reduced = case == "reduced"
    encoder = EFT(
        EFT_WIDTHS, EFT_DEPTHS, mlp_ratio=EFT_RATIO, inference_reduction=(2, 2, 1, 1) if reduced else (1, 1, 1, 1)
    )
    decoder = EDAFormerDecoder(EFT_WIDTHS, K, 24, inference_reduction=(2, 2, 2) if reduced else (1, 1, 1))
    return nn.Sequential(encoder, decoder)


def edaformer_published(state: State) -> State:
    blocks = {
        f"blocks.{stage}.{i}.": f"attn{stage}{str(stage) * i}."
        for stage, depth in ((4, 3), (3, 2), (2, 1))
        for i in range(depth)
    }
    names = {
        **{".norm_query.": ".norm1.", ".attention.": ".attn.", ".norm_ffn.": ".norm2."},
        **{".ffn.expand.": ".mlp.fc1.", ".ffn.depthwise.": ".mlp.dwconv.dwconv.", ".ffn.project.": ".mlp.fc2."},
        **{"fuse.conv.": "linear_fuse.conv.", "fuse.norm.": "linear_fuse.bn.", "classifier.": "linear_pred."},
    }
    out: State = {}
    for key, value in state.items():
        half, _, name = key.partition(".")
        if half == "0":
            out[f"backbone.{name}"] = value
        else:
            turned = coarsest_first(value, EFT_WIDTHS[1:]) if name == "fuse.conv.weight" else value
            out[f"decode_head.{renamed(renamed(name, blocks), names)}"] = turned
    return out


CCASEG_WIDTHS = (16, 24, 40, 32)
CCASEG_FORMS = {"mit": (1, 3), "tiny": (2, 4), "small": (2, 3)}  # first stage and depth


def ccaseg(case: str) -> nn.Module:
    first_stage, depth = CCASEG_FORMS[case]
    return CCASegDecoder(CCASEG_WIDTHS, K, 24, first_stage, depth)


def ccaseg_published(state: State) -> State:
    """Of stage 4 the blocks are attnc4, attnc4_1, ..; a mix is called by its resolution at an input of 512 pixels."""
    names = {
        **{f"attentions.{i}.{j}.": f"attnc{i}{f'_{j}' if j else ''}." for i in (1, 2, 3, 4) for j in range(4)},
        **{f"pools.{i}_{j}.project.": f"down{i}_{j - i}.sr." for i in (1, 2, 3) for j in range(i + 1, 5)},
        **{f"keys.{i}.{j}.": f"multi{2 ** (7 - i)}_{j}." for i in (1, 2, 3, 4) for j in (2, 3, 4)},
        **{f"join.{j}.": f"predict{j - 1}_{j}." for j in (2, 3, 4)},
        **{f"renew.{i}.": f"inject{i}." for i in (1, 2, 3, 4)},
        **{"local.0.": "local_embedding.conv.", "local.1.": "local_embedding.bn."},
        **{"injected.0.": "global_act.conv.", "injected.1.": "global_act.bn."},
        **{"query.norm.": "norm1.", "key.norm.": "norm2.", "query.project.": "proj1.", "key.project.": "proj2."},
        **{"query.local.": "conv1.", "key.local.": "conv2."},
        **{f"query.strips.{i}.{j}.": f"conv{i}_{j + 1}." for i in range(3) for j in range(2)},
        **{f"key.strips.{i}.{j}.": f"conv{i}_{j + 3}." for i in range(3) for j in range(2)},
        **{
            ".mix.": ".conv3.",
            ".norm_ffn.": ".norm3.",
            ".expand.": ".conv4.",
            ".depthwise.": ".dw.",
            ".project.": ".conv5.",
        },
        **{"fuse.conv.": "linear_fuse.conv.", "fuse.norm.": "linear_fuse.bn.", "classifier.": "linear_pred."},
    }
    return {renamed(key, names): value for key, value in state.items()}


MODELS = {
    "edaformer": PublicModel(
        "hyunwoo137/EDAFormer 9f98d76", {**SIZES, "reduced": (128, 160)}, edaformer, edaformer_published
    ),
    "ccaseg": PublicModel(
        "catchyoo/CCASeg 98242d5",
        dict.fromkeys(CCASEG_FORMS, (128, 96)),
        ccaseg,
        ccaseg_published,
        CCASEG_WIDTHS,
        gain=0.7,
        unused=r"multi64_",  # of the forms without stage 1
    ),
}
