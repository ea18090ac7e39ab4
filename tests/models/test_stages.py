"""Stages of parameters, freezing, rates by stage, and blocks that are computed again."""

import copy

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch
from torch import nn

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_module
from scaseg.models.encoders.rates import rate_factors
from scaseg.models.encoders.stages import freeze, stages_of
from scaseg.models.layers.block_recompute import recompute_blocks
from scaseg.schema import DecayBy

SMALL = {
    "mit_b0": ["backbone.channels=[8,16,40,32]", "backbone.depths=[1,2,1,1]"],
    "mscan_t": ["backbone.channels=[8,16,40,32]", "backbone.depths=[1,2,1,1]"],
    "lvt": [],
    "segman_t": [],
    "efficientnet_lite0": [],
    "timm": ["backbone.name=resnet18"],
}


def encoder_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_module(run_config(compose("train", [f"backbone={name}", *SMALL[name]])).backbone, "backbone")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mit_b0", {"patch_embed1.": 1, "block1.": 1, "norm1.": 1, "block2.1.": 2, "norm3.": 3, "patch_embed4.": 4}),
        ("mscan_t", {"patch_embed1.": 1, "norm1.": 1, "block2.0.": 2, "block3.": 3, "norm4.": 4}),
        ("lvt", {"backbone.0.": 1, "backbone.1.": 2, "backbone.2.": 3, "backbone.3.": 4}),
        ("segman_t", {"patch_embed.": 1, "layers.0.": 1, "layers.1.": 2, "layers.2.": 2, "layers.6.": 4}),
        ("efficientnet_lite0", {"net.conv_stem.": 1, "net.blocks.1.": 1, "net.blocks.2.": 2, "net.blocks.6.": 4}),
        ("timm", {"net.conv1.": 1, "net.layer1.": 1, "net.layer2.": 2, "net.layer4.": 4}),
    ],
)
def test_stages_by_hand(name: str, expected: dict[str, int]) -> None:
    encoder = encoder_of(name)
    before = copy.deepcopy(encoder.state_dict())
    encoder.train()
    found = stages_of(encoder)
    assert found.keys() == dict(encoder.named_parameters()).keys()
    for prefix, stage in expected.items():
        mine = {found[key] for key in found if key.startswith(prefix)}
        assert mine == {stage}, (prefix, mine)
    assert encoder.training
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    rates = rate_factors(encoder, 0.5, DecayBy.stage)
    assert {rates[key] for key in rates if found[key] == 1} == {0.125}
    assert {rates[key] for key in rates if found[key] == 4} == {1.0}


def test_what_is_frozen() -> None:
    encoder = encoder_of("mscan_t")
    stages = stages_of(encoder)
    norms = freeze(encoder, [1, 2])
    learns = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learns == {name for name, stage in stages.items() if stage > 2}
    frozen = [name for name, module in encoder.named_modules() if module in norms]
    assert frozen
    assert all(stages[f"{name}.weight"] < 3 for name in frozen)
    encoder = encoder_of("mscan_t")
    norms = freeze(encoder, "norm")
    still = {name for name, parameter in encoder.named_parameters() if not parameter.requires_grad}
    assert len(still) == 2 * len(norms) > 0
    freeze(encoder, "all")
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    with pytest.raises(UserError, match="this encoder has no BatchNorm"):
        freeze(encoder_of("mit_b0"), "norm")


@pytest.mark.parametrize("name", list(SMALL))
def test_blocks_computed_again_change_nothing(name: str) -> None:
    """Maps, gradients and running statistics, with stochastic depth at work; a copy has blocks of its own."""
    plain = encoder_of(name).train()
    again = copy.deepcopy(plain)
    assert recompute_blocks(again) > 3
    again = copy.deepcopy(again)
    calls = []
    for encoder in (plain, again):
        for module in encoder.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda *_, encoder=encoder: calls.append(encoder))
        torch.manual_seed(1)
        maps = encoder(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        sum(map_.square().mean() for map_ in maps).backward()
    assert calls.count(again) > 1.5 * calls.count(plain)
    for (key, one), other in zip(plain.named_parameters(), again.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None, key
        torch.testing.assert_close(other.grad, one.grad, rtol=0, atol=0, msg=key)
    for (key, one), other in zip(plain.named_buffers(), again.buffers(), strict=True):
        assert torch.equal(one, other), key
