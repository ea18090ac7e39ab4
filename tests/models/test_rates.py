"""Learning rates by layer: against the rule read anew from names, and against timm's own layers."""

import copy
import re
from itertools import pairwise
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import pytest
import timm
import torch
from timm.models import group_parameters
from torch import nn

from scaseg.config import CONF_DIR, compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_module
from scaseg.models.encoders.rates import layers_of, rate_factors
from scaseg.schema import Decay, DecayBy
from scaseg.training.optimiser import parameter_groups

MIT = [
    *(r"patch_embed1\.", r"block1\.0", r"block1\.1", r"(norm1|patch_embed2)\.", r"block2\.0", r"block2\.1"),
    *(r"(norm2|patch_embed3)\.", r"block3\.0", r"block3\.1", r"(norm3|patch_embed4)\.", r"block4\.0"),
    r"(block4\.1|norm4)\.",
]
LVT = [rf"backbone\.{stage}\.{part}\." for stage in range(4) for part in ("0", r"1\.0", r"1\.1")]
SEGMAN = [
    *(r"patch_embed\.", *(rf"layers\.0\.blocks\.{i}\." for i in range(2))),
    *(r"layers\.1\.", *(rf"layers\.2\.blocks\.{i}\." for i in range(2))),
    *(r"layers\.3\.", *(rf"layers\.4\.blocks\.{i}\." for i in range(4))),
    *(r"layers\.5\.", *(rf"layers\.6\.blocks\.{i}\." for i in range(2))),
]
TIMM = {"efficientnet_lite0": "efficientnet_lite0", "mobilenetv2": "mobilenetv2_100", "timm": "resnet18"}
OPTIONS = {"timm": ["backbone.name=resnet18"]}
SHIPPED = sorted(path.stem for path in Path(CONF_DIR, "backbone").glob("*.yaml"))


def encoder_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_module(run_config(compose("train", [f"backbone={name}", *OPTIONS.get(name, [])])).backbone, "backbone")


def by_depths(depths: list[int]) -> list[str]:
    """Of MiT and MSCAN: an embedding a stage, with the norm of the stage before, and the blocks; the last norm too."""
    found = []
    for stage, depth in enumerate(depths, 1):
        found.append(rf"(patch_embed{stage}|norm{stage - 1})\.")
        found += [rf"block{stage}\.{i}\." for i in range(depth)]
    found[-1] = rf"({found[-1]}|norm4\.)"
    return found


@pytest.mark.parametrize(
    ("name", "layers"),
    [("mit_b0", MIT), ("mscan_t", by_depths([3, 3, 5, 2])), ("lvt", LVT), ("segman_t", SEGMAN)],
)
def test_layers_by_their_names(name: str, layers: list[str]) -> None:
    encoder = encoder_of(name).train()
    before = copy.deepcopy(encoder.state_dict())
    encoder.requires_grad_(False)
    found = layers_of(encoder)
    assert encoder.training
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in encoder.parameters())
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert found.keys() == dict(encoder.named_parameters()).keys()
    for key, layer in found.items():
        assert [i for i, pattern in enumerate(layers) if re.match(pattern, key)] == [layer], key


@pytest.mark.parametrize("name", TIMM)
def test_layers_are_timms_own(name: str) -> None:
    encoder = encoder_of(name)
    whole = timm.create_model(TIMM[name])
    theirs = group_parameters(whole, whole.group_matcher(coarse=False), reverse=True)
    for key, layer in layers_of(encoder).items():
        assert theirs[key.removeprefix("net.")] == layer, key


@pytest.mark.parametrize("name", SHIPPED)
def test_of_every_encoder_they_are_in_order(name: str) -> None:
    """No layer is passed over, none moves a map that one before it does not, and the rates fall towards the image."""
    encoder = encoder_of(name).eval()
    layers = layers_of(encoder)
    count = max(layers.values()) + 1
    assert sorted(set(layers.values())) == list(range(count))
    config = run_config(compose("train", [f"backbone={name}", *OPTIONS.get(name, [])])).backbone
    if (depths := config.option("depths")) is not None:
        assert count == sum(depths) + 4
    maps = encoder(torch.randn(1, 3, 64, 64))
    named = dict(encoder.named_parameters())
    first = {}
    for stage, map_ in enumerate(maps):
        moved = torch.autograd.grad(map_.sum(), list(named.values()), retain_graph=True, allow_unused=True)
        for key, gradient in zip(named, moved, strict=True):
            if gradient is not None:
                first.setdefault(key, stage)
    deepest = [max((layers[key] for key in first if first[key] == stage), default=-1) for stage in range(4)]
    assert deepest == sorted(deepest) and deepest[-1] == count - 1
    factors = rate_factors(encoder, 0.9, DecayBy.layer)
    rates = sorted({(layers[key], factor) for key, factor in factors.items()})
    assert len(rates) == count
    assert all(later == pytest.approx(earlier / 0.9) for (_, earlier), (_, later) in pairwise(rates))
    assert rates[-1][1] == 1


@pytest.mark.parametrize("decay", [0.75, 0.999999])
def test_each_parameter_is_in_one_group_with_its_layers_rate(decay: float) -> None:
    encoder, decoder = encoder_of("mit_b0"), nn.Conv2d(3, 2, 1)
    groups = parameter_groups(encoder, decoder, 6e-5, 10.0, 0.01, Decay.published, decay, DecayBy.layer)
    names = [name for group in groups for name in group["names"]]
    assert sorted(names) == sorted(
        [*(f"encoder.{key}" for key, _ in encoder.named_parameters()), "decoder.weight", "decoder.bias"]
    )
    assert len({id(one) for group in groups for one in group["params"]}) == len(names)
    plain = parameter_groups(encoder, decoder, 6e-5, 10.0, 0.01, Decay.published)
    decayed = {name: group["weight_decay"] for group in plain for name in group["names"]}
    for group in groups:
        for name in group["names"]:
            layer = [i for i, pattern in enumerate(MIT) if re.match(f"encoder.{pattern}", name)]
            right = 6e-5 * decay ** (11 - layer[0]) if layer else 6e-4
            assert group["lr"] == pytest.approx(right, rel=1e-9), name
            assert group["weight_decay"] == decayed[name]
    assert len(groups) == 1 + 2 * 12  # the decoder; of each layer what has weight decay, and what has none


def test_an_encoder_without_blocks_is_told() -> None:
    with pytest.raises(UserError, match="encoder_lr_decay_by=layer: nothing in this encoder looks like a block"):
        layers_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
