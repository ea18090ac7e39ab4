"""Numbers of public_numbers.json: `python -m tests.models.public_make PROJECT=CHECKOUT ...`, ccaseg or edaformer.

CHECKOUT is a folder that the project's repository (hyunwoo137/EDAFormer 9f98d76, catchyoo/CCASeg 98242d5) was checked
out into. Its modules are run as they are; in place of the framework around them stand the few classes below.
"""

import importlib.util
import json
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.models import public_names
from tests.models.public_models import (
    BUILT,
    CCASEG_FORMS,
    EFT_DEPTHS,
    EFT_RATIO,
    EFT_WIDTHS,
    REDUCED,
    WIDTH,
    OnImages,
)
from tests.models.public_names import State
from tests.models.public_numbers import CHANNELS, CLASSES, maps, shown

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


def edaformer(checkout: Path) -> Iterator[tuple[str, nn.Module, State]]:
    """Decoders and encoders, each with our weights under their names."""
    backbones, heads = (
        module_of(checkout, f"mmseg/models/{path}.py") for path in ("backbones/eft", "decode_heads/edaformer_head")
    )
    for name, (of_encoder, of_decoder) in REDUCED.items():
        head = heads.EDAFormerHead(
            reduction_ratios=of_decoder,
            mlp_ratio=2,
            in_channels=CHANNELS[1:],
            in_index=[1, 2, 3],
            channels=128,
            num_classes=CLASSES,
            decoder_params={"embed_dim": WIDTH},
        )
        ours = dict(BUILT[f"edaformer{name}"]().state_dict())
        yield f"edaformer{name}", head, public_names.edaformer(ours, CHANNELS[1:])
        encoder = backbones.EmbeddingFreeTransformer(
            embed_dims=EFT_WIDTHS,
            depths=EFT_DEPTHS,
            mlp_ratios=[EFT_RATIO] * 4,
            qkv_bias=True,
            norm_layer=lambda width: nn.LayerNorm(width, eps=1e-6),
            reduction_ratios=of_encoder,
        )
        yield f"eft{name}", OnImages(encoder), dict(BUILT[f"eft{name}"]().state_dict())


def ccaseg(checkout: Path) -> Iterator[tuple[str, nn.Module, State]]:
    for form in CCASEG_FORMS:
        module = module_of(checkout, f"mmseg/models/decode_heads/ccaseg_{form}.py")
        head = getattr(module, f"CCASegHead_{form}")(
            feature_strides=[4, 8, 16, 32],
            in_channels=CHANNELS,
            in_index=[0, 1, 2, 3],
            channels=128,
            num_classes=CLASSES,
            decoder_params={"embed_dim": WIDTH},
        )
        yield f"ccaseg {form}", head, public_names.ccaseg(dict(BUILT[f"ccaseg {form}"]().state_dict()))


MAKERS = {"edaformer": ("hyunwoo137/EDAFormer", edaformer), "ccaseg": ("catchyoo/CCASeg", ccaseg)}
UNUSED = "multi64_"  # what two forms of CCASeg's head build and never use
EVEN = "ccaseg"  # whose code refuses sides that 32 does not divide


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


def numbers(project: str, checkout: Path) -> Iterator[tuple[str, dict[str, str | list[float]]]]:
    repository, maker = MAKERS[project]
    for name, peer, state in maker(checkout):
        missing, unexpected = peer.double().eval().load_state_dict(state, strict=False)
        if unexpected or any(not key.startswith(UNUSED) for key in missing):
            raise SystemExit(f"{name}: without a name of ours {missing}, without one of theirs {unexpected}")
        sizes = {"logits": (96, 160)} if project == EVEN else {"logits": (96, 160), "odd size": (70, 101)}
        with torch.no_grad():
            yield name, {"source": repository, **{key: shown(peer(maps(size))) for key, size in sizes.items()}}


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    import mmcv.cnn  # noqa: F401  # before its `runner` is stubbed: of the newer releases, it has none

    stub_the_framework()
    for project, _, checkout in (argument.partition("=") for argument in arguments):
        for name, found in numbers(project, Path(checkout)):
            print(f'  "{name}": {json.dumps(found)},')


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
