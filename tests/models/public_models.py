"""Of each public model that stored numbers are of: ours of the same sizes, and their names for our tensors."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scaseg.models.decoders.edaformer import EDAFormerDecoder
from scaseg.models.encoders.eft import EFT

K = 19
SIZES = {"64x96": (64, 96), "65x97": (65, 97)}
State = dict[str, Tensor]


@dataclass(frozen=True)
class PublicModel:
    """source: the repository, and its commit; cases: name -> (height, width) of the images; build: a case -> ours;
    published: our tensors by their names.
    """

    source: str
    cases: dict[str, tuple[int, int]]
    build: Callable[[str], nn.Module]
    published: Callable[[State], State]

    def size(self, case: str) -> tuple[int, int]:
        return self.cases[case]


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


MODELS = {
    "edaformer": PublicModel(
        "hyunwoo137/EDAFormer 9f98d76", {**SIZES, "reduced": (128, 160)}, edaformer, edaformer_published
    )
}
