"""Whole public models and ours: their state dicts through the key maps, the same logits."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scaseg.errors import UserError
from scaseg.models.decoders.segformer import SegFormerDecoder
from scaseg.models.decoders.segnext import SegNeXtDecoder
from scaseg.models.decoders.umixformer import UMixFormerDecoder
from scaseg.models.encoders.mit import MiT
from scaseg.models.encoders.mscan import MSCAN
from scaseg.models.segmentor import Segmentor
from scaseg.models.weights import load_model_weights
from tests.models import umixformer_reading
from tests.models.peers import mmseg, randomise, transformers

SIZES = [(64, 96), (65, 97)]
B0 = ((32, 64, 160, 256), (2, 2, 2, 2))
MSCAN_T = ((32, 64, 160, 256), (3, 3, 5, 2))
K = 19


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def model(encoder: nn.Module, decoder: nn.Module) -> Segmentor:
    return Segmentor(encoder, decoder, mean=(0.0,) * 3, std=(1.0,) * 3).eval()


def same_logits(ours: Segmentor, peer: nn.Module, size: tuple[int, int], run: Any) -> None:
    """To 1e-5 in single precision, and to 1e-10 in double, which no rounding explains away."""
    images = torch.randn(2, 3, *size)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        ours.to(dtype), peer.to(dtype)
        with torch.no_grad():
            theirs: Tensor = run(peer, images.to(dtype))
            torch.testing.assert_close(ours(images.to(dtype)), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", ["file", "memory"])
def test_segformer_against_transformers(tmp_path: Path, size: tuple[int, int], form: str) -> None:
    library = transformers()
    peer = randomise(library.SegformerForSemanticSegmentation(library.SegformerConfig(num_labels=K)))
    if form == "file":  # the hub's layout: what save_pretrained writes
        peer.save_pretrained(tmp_path)
        source = tmp_path / "model.safetensors"
    else:
        source = tmp_path / "state.pth"
        torch.save(peer.state_dict(), source)
    ours = model(MiT(*B0, eps=1e-5), SegFormerDecoder(B0[0], K))
    report = load_model_weights(ours, "mit_b0", "segformer", str(source))
    assert report.loaded == len(ours.state_dict())
    assert report.dropped == ()
    same_logits(ours, peer, size, lambda peer, x: peer(x).logits)


def mmseg_model(backbone: dict[str, Any], head: dict[str, Any]) -> nn.Module:
    library = mmseg()
    norm = {"type": "BN", "requires_grad": True}
    backbones, heads = {**backbone}, {"norm_cfg": norm, **head}
    peer = nn.Module()
    peer.backbone = getattr(library.backbones, backbones.pop("type"))(**backbones)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations
        peer.decode_head = getattr(library.decode_heads, heads.pop("type"))(
            num_classes=K, dropout_ratio=0.1, align_corners=False, **heads
        )
    return randomise(peer)


@pytest.mark.parametrize("size", SIZES)
def test_segformer_against_mmsegmentation(tmp_path: Path, size: tuple[int, int]) -> None:
    peer = mmseg_model(
        {"type": "MixVisionTransformer", "embed_dims": 32, "num_layers": [2, 2, 2, 2], "num_heads": [1, 2, 5, 8]},
        {"type": "SegformerHead", "in_channels": [32, 64, 160, 256], "in_index": [0, 1, 2, 3], "channels": 256},
    )
    torch.save({"state_dict": peer.state_dict()}, tmp_path / "segformer.pth")
    ours = model(MiT(*B0, reduction_eps=1e-6), SegFormerDecoder(B0[0], K, projection="conv_norm"))
    load_model_weights(ours, "mit_b0", "segformer", str(tmp_path / "segformer.pth"))
    same_logits(ours, peer, size, lambda peer, x: peer.decode_head(peer.backbone(x)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("steps", [7, 6])
def test_segnext_against_mmsegmentation(
    tmp_path: Path, size: tuple[int, int], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are given the same random bases; in training mode (6 steps) the dropout and batch statistics rest."""
    peer = mmseg_model(
        {
            "type": "MSCAN",
            "embed_dims": [32, 64, 160, 256],
            "depths": [3, 3, 5, 2],
            "mlp_ratios": [8, 8, 4, 4],
            "norm_cfg": {"type": "BN", "requires_grad": True},
        },
        {
            "type": "LightHamHead",
            "in_channels": [64, 160, 256],
            "in_index": [1, 2, 3],
            "channels": 256,
            "ham_channels": 256,
            "norm_cfg": {"type": "GN", "num_groups": 32, "requires_grad": True},
            "ham_kwargs": {"MD_R": 16},
        },
    )
    torch.save({"state_dict": peer.state_dict()}, tmp_path / "segnext.pth")
    ours = model(MSCAN(*MSCAN_T), SegNeXtDecoder(MSCAN_T[0], K))
    load_model_weights(ours, "mscan_t", "segnext", str(tmp_path / "segnext.pth"))
    bases = torch.rand(2, 256, 16, dtype=torch.float64)
    monkeypatch.setattr(ours.decoder.hamburger.factorise, "_bases", lambda x: bases.to(x.dtype))
    monkeypatch.setattr(
        peer.decode_head.hamburger.ham,
        "_build_bases",
        lambda *shape, device: torch.nn.functional.normalize(bases.to(next(peer.parameters()).dtype), dim=1),
    )
    ours.decoder.hamburger.factorise.train(steps == 6)
    peer.decode_head.hamburger.ham.train(steps == 6)
    same_logits(ours, peer, size, lambda peer, x: peer.decode_head(peer.backbone(x)))


def test_segformer_in_the_official_layout(tmp_path: Path) -> None:
    """NVlabs' keys, its unused classifier with them; stages joined from the coarsest on."""
    ours = randomise(model(MiT(*B0), SegFormerDecoder(B0[0], K)))
    state = {f"backbone.{key}": value for key, value in ours.encoder.state_dict().items()}
    for key, value in ours.decoder.state_dict().items():
        new = key.replace("fuse.", "linear_fuse.").replace("fuse.norm", "fuse.bn")
        new = new.replace("classifier", "linear_pred")
        if key.startswith("project."):
            new = f"linear_c{int(key[8]) + 1}.proj.{key[10:]}"
        if key == "fuse.conv.weight":
            value = torch.cat(value.chunk(4, 1)[::-1], 1)
        state[f"decode_head.{new}"] = value
    state["decode_head.conv_seg.weight"], state["decode_head.conv_seg.bias"] = (
        torch.zeros(150, 128, 1, 1),
        torch.ones(1),
    )
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "segformer.pth")
    target = model(MiT(*B0), SegFormerDecoder(B0[0], K))
    report = load_model_weights(target, "mit_b0", "segformer", str(tmp_path / "segformer.pth"))
    assert report.dropped == ("decode_head.conv_seg.weight", "decode_head.conv_seg.bias")
    assert all(torch.equal(value, ours.state_dict()[key]) for key, value in target.state_dict().items())


@pytest.mark.parametrize("city", [False, True])
@pytest.mark.parametrize("size", [(64, 128), (128, 192)])
def test_umixformer_in_the_official_layout(tmp_path: Path, city: bool, size: tuple[int, int]) -> None:
    """Against a second reading that has the official module's names and is computed as they are."""
    widths = (16, 32, 80, 64)
    peer = randomise(umixformer_reading.UMixFormerHead(widths, K, 24, city))
    encoder = randomise(MiT(widths, (1, 1, 1, 1)))
    state = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    state |= {f"decode_head.{key}": value for key, value in peer.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "umixformer.pth")
    ours = model(MiT(widths, (1, 1, 1, 1)), UMixFormerDecoder(widths, K, 24, query_pool=2 if city else 1))
    report = load_model_weights(ours, "mit_b0", "umixformer", str(tmp_path / "umixformer.pth"))
    assert {key.split(".")[1] for key in report.dropped} >= {"conv_seg", "attn_c1", "attn_c4"}
    same_logits(ours, nn.ModuleList([encoder, peer]), size, lambda peer, x: peer[1](peer[0](x)))


def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path: Path) -> None:
    source = model(MiT((8, 16, 40, 32), (1, 1, 1, 1)), SegFormerDecoder((8, 16, 40, 32), K, 16))
    state = {f"backbone.{key}": value for key, value in source.encoder.state_dict().items()}
    head = source.decoder.state_dict()
    official = {"fuse.conv.weight": "linear_fuse.conv.weight", "classifier.weight": "linear_pred.weight"}
    official |= {"classifier.bias": "linear_pred.bias"}
    for i in range(4):
        official |= {f"project.{i}.{kind}": f"linear_c{i + 1}.proj.{kind}" for kind in ("weight", "bias")}
    for key, value in head.items():
        state["decode_head." + official.get(key, key.replace("fuse.norm", "linear_fuse.bn"))] = value

    def loading(state: dict[str, Tensor], classes: int = K) -> None:
        torch.save(state, tmp_path / "state.pth")
        target = model(MiT((8, 16, 40, 32), (1, 1, 1, 1)), SegFormerDecoder((8, 16, 40, 32), classes, 16))
        before = {key: value.clone() for key, value in target.state_dict().items()}
        try:
            load_model_weights(target, "mit_b0", "segformer", str(tmp_path / "state.pth"))
        finally:
            changed = any(not torch.equal(value, before[key]) for key, value in target.state_dict().items())
            loading.changed = changed  # type: ignore[attr-defined]

    loading(state)
    assert loading.changed  # type: ignore[attr-defined]
    wrong: list[tuple[str, dict[str, Tensor], int]] = [
        ("knows 19 classes, the dataset has 8; backbone.weights=", state, 8),
        ("holds no decoder", {key: value for key, value in state.items() if key.startswith("backbone")}, K),
        ("1 missing: project.1.bias", {key: v for key, v in state.items() if "linear_c2.proj.bias" not in key}, K),
        ("1 unexpected: .*surplus", state | {"decode_head.surplus.weight": torch.ones(2)}, K),
        ("1 missing: norm3.weight", {key: v for key, v in state.items() if key != "backbone.norm3.weight"}, K),
    ]
    for message, content, classes in wrong:
        with pytest.raises(UserError, match=message):
            loading(content, classes)
        assert not loading.changed  # type: ignore[attr-defined]
