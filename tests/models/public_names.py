"""Public decoders' names for our tensors, written down apart from the key maps that load their weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]


def renamed(key: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        key = key.replace(ours, theirs)
    return key


def coarsest_first(weight: Tensor, widths: Sequence[int]) -> Tensor:
    """Blocks of columns for stages 2, 3, 4 -> for stages 4, 3, 2."""
    return torch.cat(weight.split(list(widths), 1)[::-1], 1)


def edaformer(state: State, widths: Sequence[int]) -> State:
    """Stage 4's blocks are attn4, attn44, attn444. widths: of stages 2, 3 and 4."""
    blocks = {f"blocks.{s}.{i}.": f"attn{str(s) * (i + 1)}." for s, n in ((4, 3), (3, 2), (2, 1)) for i in range(n)}
    names = {
        **{".norm_query.": ".norm1.", ".attention.": ".attn.", ".norm_ffn.": ".norm2."},
        **{".ffn.expand.": ".mlp.fc1.", ".ffn.depthwise.": ".mlp.dwconv.dwconv.", ".ffn.project.": ".mlp.fc2."},
        **{"fuse.conv.": "linear_fuse.conv.", "fuse.norm.": "linear_fuse.bn.", "classifier.": "linear_pred."},
    }
    return {
        renamed(key, {**blocks, **names}): coarsest_first(value, widths) if key == "fuse.conv.weight" else value
        for key, value in state.items()
    }


def ccaseg(state: State) -> State:
    """Stage 4's blocks are attnc4, attnc4_1, ..; a mix is called by its side for an image of 256 pixels."""
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
        **{".mix.": ".conv3.", ".norm_ffn.": ".norm3.", ".expand.": ".conv4.", ".depthwise.": ".dw."},
        **{".project.": ".conv5.", "classifier.": "linear_pred."},
        **{"fuse.conv.": "linear_fuse.conv.", "fuse.norm.": "linear_fuse.bn."},
    }
    return {renamed(key, names): value for key, value in state.items()}
