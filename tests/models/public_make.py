"""Make public_numbers.json: `python -m tests.models.public_make MODEL=CHECKOUT ...`, MODEL of public_models.py.

CHECKOUT is a folder that its authors' repository was checked out into, at the commit that is named there. Its modules
are run as they are; in place of the framework around them stand the few classes below. Models that are not given keep
their numbers.
"""

import importlib.util
import re
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.models.public import Numbers, store, stored
from tests.models.public_models import CCASEG_WIDTHS, EFT_DEPTHS, EFT_RATIO, EFT_WIDTHS, MODELS, K

PACKAGE = "mmseg"


class Head(nn.Module):
    """What their heads use of MMSegmentation's base class."""

    def __init__(self, in_channels: Any, channels: int, num_classes: int, in_index: Any, **_: Any) -> None:
        super().__init__()
        self.in_channels, self.channels, self.num_classes, self.in_index = in_channels, channels, num_classes, in_index
        self.norm_cfg, self.act_cfg, self.align_corners = {"type": "BN"}, {"type": "ReLU"}, False
        self.dropout = nn.Identity()

    def _transform_inputs(self, inputs: list[Tensor]) -> list[Tensor]:
        return [inputs[i] for i in self.in_index]


class Whole(nn.ModuleDict):
    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self["decode_head"](self["backbone"](x))
        return logits


class Registry:
    def register_module(self, *_: Any, **__: Any) -> Any:
        return lambda cls: cls


def resize(x: Tensor, size: Any, mode: str, align_corners: bool, **_: Any) -> Tensor:
    return F.interpolate(x, size=size, mode=mode, align_corners=align_corners)


def stub(name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(content)
    sys.modules[name] = module


def module_of(checkout: Path, path: str) -> Any:
    """A module of theirs, under the name that it has in its package."""
    name = path.removesuffix(".py").replace("/", ".")
    spec = importlib.util.spec_from_file_location(name, checkout / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def edaformer(checkout: Path, case: str) -> nn.Module:
    reduced = case == "reduced"
    backbone = module_of(checkout, "mmseg/models/backbones/eft.py").EmbeddingFreeTransformer(
        embed_dims=EFT_WIDTHS,
        depths=EFT_DEPTHS,
        mlp_ratios=[EFT_RATIO] * 4,
        qkv_bias=True,
        norm_layer=lambda width: nn.LayerNorm(width, eps=1e-6),
        reduction_ratios=[2, 2, 1, 1] if reduced else [1, 1, 1, 1],
    )
    head = module_of(checkout, "mmseg/models/decode_heads/edaformer_head.py").EDAFormerHead(
        reduction_ratios=[2, 2, 2] if reduced else [1, 1, 1],
        mlp_ratio=2,
        in_channels=EFT_WIDTHS[1:],
        in_index=[1, 2, 3],
        channels=128,
        num_classes=K,
        decoder_params={"embed_dim": 24},
    )
    return Whole({"backbone": backbone, "decode_head": head})


def ccaseg(checkout: Path, case: str) -> nn.Module:
    module = module_of(checkout, f"mmseg/models/decode_heads/ccaseg_{case}.py")
    head: nn.Module = getattr(module, f"CCASegHead_{case}")(
        feature_strides=[4, 8, 16, 32],
        in_channels=CCASEG_WIDTHS,
        in_index=[0, 1, 2, 3],
        channels=128,
        num_classes=K,
        decoder_params={"embed_dim": 24},
    )
    return head


MAKERS = {"edaformer": edaformer, "ccaseg": ccaseg}


def stub_the_framework() -> None:
    registry = Registry()
    stub(PACKAGE)
    for name in ("models", "models.decode_heads", "models.backbones", "models.utils"):
        stub(f"{PACKAGE}.{name}")
    stub(f"{PACKAGE}.ops", resize=resize)
    stub(f"{PACKAGE}.utils", get_root_logger=None)
    sys.modules[f"{PACKAGE}.models.utils"].resize = resize  # type: ignore[attr-defined]
    stub(f"{PACKAGE}.models.builder", HEADS=registry, BACKBONES=registry, MODELS=registry)
    stub(f"{PACKAGE}.models.decode_heads.decode_head", BaseDecodeHead=Head)
    stub("mmcv.runner", load_checkpoint=None)


def numbers(name: str, checkout: Path) -> dict[str, Numbers]:
    found = {}
    for case in MODELS[name].cases:
        peer = MAKERS[name](checkout, case).double().eval()
        missing, unexpected = peer.load_state_dict(
            MODELS[name].published(dict(MODELS[name].filled(case).state_dict())), strict=False
        )
        missing = [key for key in missing if not re.match(MODELS[name].unused, key)]
        if missing or unexpected:
            raise SystemExit(f"{name}: without a name of ours {missing}, without one of theirs {unexpected}")
        with torch.no_grad():
            found[case] = Numbers.of(peer(MODELS[name].inputs(case, torch.float64)))
    return found


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    import mmcv.cnn  # noqa: F401  # before its `runner` is stubbed: of the newer releases, it has none

    stub_the_framework()
    given = {name: Path(folder) for name, _, folder in (argument.partition("=") for argument in arguments)}
    kept = stored() if len(given) < len(MAKERS) else {}
    made = {**kept, **{name: numbers(name, checkout) for name, checkout in given.items()}}
    store(f"torch {torch.__version__}, float64", made)


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
