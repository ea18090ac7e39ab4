import os

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from scaseg.errors import UserError
from scaseg.models.build import build_module
from scaseg.models.encoders.eft import EFT
from scaseg.models.encoders.lvt import LVT
from scaseg.models.encoders.mit import MiT
from scaseg.models.encoders.mscan import MSCAN
from scaseg.models.encoders.segman import SegMAN
from scaseg.parts import Backbone
from tests.conftest import ROOT
from tests.models.peers import randomise

# ../shared/spec/scaseg.md, and encoders.md for LVT and SegMAN-T, whose last digits are ours; SegMAN-S and -B and
# EDAFormer's as the public code builds them
PARAMETERS = {
    "mit_b0": 3_319_392,
    "mit_b1": 13_151_424,
    "mit_b2": 24_196_288,
    "mit_b3": 44_072_128,
    "mit_b4": 60_842_688,
    "mit_b5": 81_443_008,
    "mscan_t": 3_903_584,
    "mscan_s": 13_450_176,
    "mscan_b": 26_277_824,
    "lvt": 3_429_092,
    "segman_t": 2_281_334,
    "segman_s": 23_955_222,
    "segman_b": 43_419_170,
    "edaformer_t": 3_418_404,
    "edaformer_b": 24_854_080,
}

SMALL = {
    "mit": lambda: MiT((16, 32, 80, 64), (1, 1, 1, 1)),
    "mscan": lambda: MSCAN((16, 32, 80, 64), (1, 1, 1, 1)),
    "lvt": lambda: LVT((16, 16, 80, 64), (1, 1, 1, 1)),
    "segman": lambda: SegMAN((16, 32, 80, 64), (1, 1, 1, 1)),
    "eft": lambda: EFT((16, 32, 80, 64), (1, 1, 1, 1), inference_reduction=(2, 2, 1, 1)),
}


def config(name: str) -> Backbone:
    return Backbone(yaml.safe_load((ROOT / "conf" / "backbone" / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("name", PARAMETERS)
def test_shipped_configuration_has_the_published_parameter_count(name):
    cfg = config(name)
    with torch.device("meta"):
        encoder = build_module(cfg.changed(drop_path=0.0), "backbone")
    assert sum(p.numel() for p in encoder.parameters()) == PARAMETERS[name]
    assert list(encoder.channels) == cfg.option("channels")
    assert cfg.name == name


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def small():
    return {name: make().eval() for name, make in SMALL.items()}


@pytest.mark.parametrize("kind", SMALL)
@settings(max_examples=8, deadline=None)
@given(height=st.integers(32, 100), width=st.integers(32, 100), batch=st.integers(1, 2))
def test_maps_have_the_rounded_up_sizes(small, kind, height, width, batch):
    with torch.no_grad():
        maps = small[kind](torch.randn(batch, 3, height, width))
    for feature, channels, stride in zip(maps, small[kind].channels, (4, 8, 16, 32), strict=True):
        assert feature.shape == (batch, channels, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize("kind", SMALL)
def test_memory_layout_of_the_images_does_not_matter(kind):
    encoder = randomise(SMALL[kind]())
    images = torch.randn(2, 3, 65, 97)
    with torch.no_grad():
        plain = encoder(images)
        channels_last = encoder(images.contiguous(memory_format=torch.channels_last))
    for a, b in zip(plain, channels_last, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", SMALL)
def test_single_precision_agrees_with_double(kind):
    encoder = randomise(SMALL[kind]())
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        single = encoder(images)
        double = encoder.double()(images.double())
    for a, b in zip(single, double, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kind", SMALL)
def test_every_parameter_learns(kind):
    encoder = SMALL[kind]()
    loss = sum((feature * torch.randn_like(feature)).sum() for feature in encoder(torch.randn(2, 3, 64, 96)))
    loss.backward()
    still = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


@pytest.mark.parametrize("kind", SMALL)
def test_runs_under_autocast(small, kind):
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        exact = small[kind](images)
        try:
            with torch.autocast("cpu", torch.bfloat16):
                half = small[kind](images)
        except RuntimeError as error:  # torch's, where the variable denies what it finds the processor to have
            if "pack_vnni2" in str(error) and "ATEN_CPU_CAPABILITY" in os.environ:
                pytest.skip(f"torch with ATEN_CPU_CAPABILITY={os.environ['ATEN_CPU_CAPABILITY']}: {error}")
            raise
    for a, b in zip(exact, half, strict=True):
        assert float((a - b).abs().mean()) < 0.05 * float(a.abs().mean())


def test_stochastic_depth_grows_linearly_over_all_blocks():
    rates = [
        module.drop_prob
        for name, module in build_module(config("mscan_t"), "backbone").named_modules()
        if name.endswith("drop_path") and not isinstance(module, nn.Identity)
    ]
    assert rates == pytest.approx([0.1 * block / 12 for block in range(1, 13)])


def test_initial_weights_follow_the_rule():
    torch.manual_seed(0)
    encoder = MiT((64, 128, 320, 512), (1, 1, 1, 1))
    block = encoder.block3[0]
    assert float(block.attn.q.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(block.attn.sr.weight.detach().std()) == pytest.approx((2 / (4 * 320)) ** 0.5, rel=0.05)
    depthwise = block.mlp.dwconv.dwconv.weight.detach()
    assert float(depthwise.std()) == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert not any(p.any() for name, p in encoder.named_parameters() if name.endswith("bias"))
    norms = [m.weight for m in encoder.modules() if isinstance(m, nn.LayerNorm)]
    assert all(torch.all(weight == 1) for weight in norms)
    scales = MSCAN((16, 32, 80, 64), (1, 1, 1, 1)).block1[0]
    torch.testing.assert_close(scales.layer_scale_1.detach(), torch.full((16,), 0.01))


@pytest.mark.parametrize("name", ["mit_b0", "mscan_t", "lvt", "edaformer_t"])
def test_depths_of_the_wrong_length_are_refused(name):
    with pytest.raises(UserError, match="backbone"):
        build_module(config(name).changed(depths=[1, 1, 1], drop_path=0.0), "backbone")


def test_keys_are_reduced_outside_training_alone():
    plain, reduced = (EFT((16, 32, 80, 64), (1, 1, 1, 1), inference_reduction=r) for r in ((1,) * 4, (2, 2, 1, 1)))
    reduced.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 128, 96)
    with torch.no_grad():
        assert torch.equal(plain(images)[3], reduced(images)[3])
        assert not torch.equal(plain.eval()(images)[0], reduced.eval()(images)[0])
    with pytest.raises(UserError, match=r"backbone.inference_reduction=\[2, 2\]: 4 whole numbers"):
        build_module(config("edaformer_t").changed(inference_reduction=[2, 2], drop_path=0.0), "backbone")
