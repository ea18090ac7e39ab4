"""The same four maps as the public implementations, with their weights read through the key maps."""

import pytest
import torch
from torch import nn

from scaseg.models.encoders.mit import MiT
from scaseg.models.encoders.mscan import MSCAN
from scaseg.models.encoders.weights import load_encoder_weights
from tests.models.peers import mmseg_backbone, randomise, transformers

SIZES = [(64, 96), (65, 97)]
B0 = ((32, 64, 160, 256), (2, 2, 2, 2))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def same_maps(encoder: nn.Module, peer: nn.Module, size, run=lambda peer, images: peer(images)) -> None:
    """To 1e-5 in single precision, and to 1e-10 in double, which no rounding explains away."""
    images = torch.randn(2, 3, *size)
    encoder.eval()
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        encoder.to(dtype), peer.to(dtype)
        with torch.no_grad():
            ours, theirs = encoder(images.to(dtype)), run(peer, images.to(dtype))
        assert len(ours) == len(theirs) == 4
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", ["file", "memory"])
def test_mit_against_transformers(tmp_path, size, form):
    library = transformers()
    peer = randomise(library.SegformerForImageClassification(library.SegformerConfig()))
    if form == "file":  # the hub's layout: what save_pretrained writes
        peer.save_pretrained(tmp_path)
        source = tmp_path / "model.safetensors"
    else:
        source = tmp_path / "state.pth"
        torch.save(peer.state_dict(), source)
    encoder = MiT(*B0, eps=1e-5)  # Hugging Face's
    report = load_encoder_weights(encoder, "mit_b0", str(source))
    assert report.loaded == len(encoder.state_dict())
    assert set(report.dropped) == {"classifier.weight", "classifier.bias"}
    same_maps(encoder, peer, size, lambda peer, x: peer.segformer(x, output_hidden_states=True).hidden_states)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_mit_against_mmsegmentation(tmp_path, size, prefix):
    peer = randomise(
        mmseg_backbone("MixVisionTransformer")(embed_dims=32, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8])
    )
    torch.save({prefix + key: value for key, value in peer.state_dict().items()}, tmp_path / "mit.pth")
    encoder = MiT(*B0, reduction_eps=1e-6)  # mmsegmentation's
    load_encoder_weights(encoder, "mit_b0", str(tmp_path / "mit.pth"))
    same_maps(encoder, peer, size)


@pytest.mark.parametrize("size", SIZES)
def test_mscan_against_mmsegmentation(tmp_path, size):
    peer = randomise(
        mmseg_backbone("MSCAN")(
            embed_dims=[32, 64, 160, 256],
            depths=[3, 3, 5, 2],
            mlp_ratios=[8, 8, 4, 4],
            norm_cfg={"type": "BN", "requires_grad": True},
        )
    )
    torch.save({"state_dict": peer.state_dict()}, tmp_path / "mscan.pth")
    encoder = MSCAN((32, 64, 160, 256), (3, 3, 5, 2))
    load_encoder_weights(encoder, "mscan_t", str(tmp_path / "mscan.pth"))
    same_maps(encoder, peer, size)


def test_default_norms_of_mit_are_the_official_ones():
    """NVlabs/SegFormer: partial(LayerNorm, eps=1e-6) for blocks and stages, plain LayerNorm elsewhere."""
    for name, module in MiT(*B0).named_modules():
        if isinstance(module, nn.LayerNorm):
            plain = name.startswith("patch_embed") or name.endswith("attn.norm")
            assert module.eps == (1e-5 if plain else 1e-6), name
