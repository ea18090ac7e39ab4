import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from scaseg.config import compose, run_config
from scaseg.data.labels import LabelTable
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor
from scaseg.schedules.poly import Poly
from scaseg.schedules.schedule import warmed_up
from scaseg.schema import Decay
from scaseg.training.optimiser import parameter_groups

LR, DECAY = 6e-5, 0.01
# The recipe of the public codes (SegFormer's, SegNeXt's, U-MixFormer's): mmcv's paramwise_cfg.custom_keys.
CUSTOM_KEYS = {"pos_block": {"decay": 0.0}, "norm": {"decay": 0.0}, "head": {"lr": 10.0}}


def model(*overrides: str) -> Segmentor:
    with torch.device("meta"):
        config = run_config(compose("train", ["dataset=ade20k", *overrides]))
        return build_segmentor(config.backbone, config.decoder, 150)


def groups(built: Segmentor, decay: str) -> dict[str, dict[str, Any]]:
    found = parameter_groups(built.encoder, built.decoder, LR, 10.0, DECAY, Decay[decay])
    return {group["name"]: group for group in found}


def by_the_published_rule(name: str) -> tuple[float, float]:
    """(lr, decay): the longest key found in the name, of equally long ones the first in the alphabet, decides."""
    published = name.replace("decoder.", "decode_head.", 1).replace("encoder.", "backbone.", 1)
    lr, decay = LR, DECAY
    for key in sorted(sorted(CUSTOM_KEYS), key=len, reverse=True):
        if key in published:
            return lr * CUSTOM_KEYS[key].get("lr", 1.0), decay * CUSTOM_KEYS[key].get("decay", 1.0)
    return lr, decay


@pytest.mark.parametrize("rule", ["published", "no_norm_or_bias"])
@pytest.mark.parametrize("backbone", ["mit_b0", "mscan_t"])
def test_every_parameter_is_in_one_group_under_its_own_name(backbone: str, rule: str) -> None:
    built = model(f"backbone={backbone}")
    named = dict(built.named_parameters())
    found: list[str] = []
    for group in groups(built, rule).values():
        assert len(group["names"]) == len(group["params"])
        assert all(named[name] is p for name, p in zip(group["names"], group["params"], strict=True))
        found += group["names"]
    assert sorted(found) == sorted(named)


@pytest.mark.parametrize("backbone", ["mit_b0", "mscan_t"])
def test_published_rule_by_name(backbone: str) -> None:
    built = model(f"backbone={backbone}")
    found = groups(built, "published")
    for group in found.values():
        for name in group["names"]:
            assert (group["lr"], group["weight_decay"]) == pytest.approx(by_the_published_rule(name)), name
    assert sorted(found) == ["decoder", "encoder", "encoder_no_decay"]
    assert len(found["decoder"]["names"]) == len(list(built.decoder.parameters()))


def test_published_rule_in_examples() -> None:
    mit, mscan = (groups(model(f"backbone={name}"), "published") for name in ("mit_b0", "mscan_t"))
    assert {
        "encoder.patch_embed1.norm.weight",
        "encoder.block1.0.norm1.weight",
        "encoder.block3.1.attn.norm.bias",
        "encoder.norm4.bias",
    } <= set(mit["encoder_no_decay"]["names"])
    assert {
        "encoder.patch_embed1.proj.bias",
        "encoder.block1.0.attn.q.weight",
        "encoder.block1.0.mlp.dwconv.dwconv.bias",
    } <= set(mit["encoder"]["names"])
    assert {"decoder.blocks.4.norm_query.weight", "decoder.fuse.norm.bias"} <= set(mit["decoder"]["names"])
    assert {"encoder.block2.0.norm1.weight", "encoder.patch_embed2.norm.bias"} <= set(
        mscan["encoder_no_decay"]["names"]
    )
    # no "norm" in the name of the stem's BatchNorm: the public rule misses it
    assert {"encoder.patch_embed1.proj.1.weight", "encoder.block1.0.layer_scale_1"} <= set(mscan["encoder"]["names"])


@pytest.mark.parametrize("backbone", ["mit_b0", "mscan_t"])
def test_no_norm_or_bias_by_name(backbone: str) -> None:
    built = model(f"backbone={backbone}")
    found = groups(built, "no_norm_or_bias")
    assert sorted(found) == ["decoder", "decoder_no_decay", "encoder", "encoder_no_decay"]
    norms = {
        f"{name}."
        for name, module in built.named_modules()
        if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d))  # all that these models have
    }
    for name, p in built.named_parameters():
        part = name.split(".")[0]
        plain = name.endswith(".bias") or name.rpartition(".")[0] + "." in norms or "layer_scale" in name
        assert name in found[f"{part}_no_decay" if plain else part]["names"], name
        assert plain == (p.ndim == 1)
    for key, group in found.items():
        assert group["weight_decay"] == (0 if "no_decay" in key else DECAY)
        assert group["lr"] == pytest.approx(LR * 10 if key.startswith("decoder") else LR)


def test_position_tensors_and_frozen_ones() -> None:
    encoder = nn.Module()
    encoder.pos_embed = nn.Parameter(torch.zeros(1, 4, 8))
    encoder.attn = nn.Module()
    encoder.attn.relative_position_bias_table = nn.Parameter(torch.zeros(9, 2))
    encoder.proj = nn.Linear(4, 4)
    encoder.proj.bias.requires_grad_(False)
    for rule in ("published", "no_norm_or_bias"):
        found = parameter_groups(encoder, nn.Conv2d(3, 2, 1), LR, 10.0, DECAY, rule)
        names = {group["name"]: group["names"] for group in found}
        assert names["encoder_no_decay"] == ["encoder.pos_embed", "encoder.attn.relative_position_bias_table"]
        assert names["encoder"] == ["encoder.proj.weight"]


def test_the_optimiser_has_these_groups_rates_and_betas() -> None:
    from scaseg.training.task import SegmentationTask

    overrides = ["backbone.depths=[1,1,1,1]", "optimizer.adamw.betas=[0.8,0.9]", "training.decay=no_norm_or_bias"]
    config = run_config(compose("train", ["dataset=ade20k", *overrides]))
    labels = LabelTable(("a", "b"), ((0, 0, 0), (1, 1, 1)), {0: 0, 1: 1})
    task = SegmentationTask(config, labels)
    configured: Any = task.configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]
    assert isinstance(optimiser, torch.optim.AdamW)
    assert schedule["interval"] == "step"
    expected = groups(task.model, "no_norm_or_bias")
    assert len(optimiser.param_groups) == len(expected)
    for group, wanted in zip(optimiser.param_groups, expected.values(), strict=True):
        assert [id(p) for p in group["params"]] == [id(p) for p in wanted["params"]]
        assert group["initial_lr"] == wanted["lr"]
        assert group["lr"] == pytest.approx(wanted["lr"] * 1e-6)  # the first step's
        assert group["weight_decay"] == wanted["weight_decay"]
        assert group["betas"] == (0.8, 0.9)


STEPS = [0, 1, 749, 1499, 1500, 1501, 80_000, 159_999, 160_000]


@pytest.mark.parametrize("step", STEPS)
def test_schedule_of_the_recipe(step: int) -> None:
    factor = warmed_up(Poly(1.0), 160_000, 1500, 1e-6)
    rising = 1e-6 * (1500 - step) / 1500 + step / 1500  # a straight line through (0, 1e-6) and (1500, 1)
    expected = rising if step < 1500 else 1 - (step - 1500) / (160_000 - 1500)
    assert factor(step) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 1000), st.integers(0, 1200), st.floats(0, 1), st.floats(0.1, 3))
def test_schedule_rises_then_falls_to_zero(total: int, warmup: int, ratio: float, power: float) -> None:
    factors = [warmed_up(Poly(power), total, warmup, ratio)(step) for step in range(total + 1)]
    assert all(0 <= f <= 1 for f in factors)
    rising, falling = factors[:warmup], factors[warmup:]
    assert all(a <= b + 1e-12 for a, b in pairwise(rising))
    assert all(a >= b for a, b in pairwise(falling))
    if warmup < total:
        assert factors[warmup] == 1
        assert factors[-1] == 0
        middle = (warmup + total) // 2
        assert factors[middle] == pytest.approx(math.pow((total - middle) / (total - warmup), power))
