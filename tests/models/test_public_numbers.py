"""Decoders against numbers that public code computed: its operators that need a compiler stubbed, random weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from scaseg.models.decoders.cgrseg import CGRSegDecoder
from tests.models.public_numbers import CHANNELS, CLASSES, filled, maps, shown

NUMBERS = json.loads(Path(__file__).with_name("public_numbers.json").read_text())
MODELS: dict[str, Callable[[], nn.Module]] = {
    "cgrseg": lambda: CGRSegDecoder(CHANNELS, CLASSES, 16, repeats=2, band=5),
}
SIZES = {"logits": (96, 160), "odd size": (70, 101)}


def test_every_number_is_held() -> None:
    assert NUMBERS.keys() == MODELS.keys()


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in MODELS for key in SIZES if key in NUMBERS[name]])
def test_logits_are_the_public_ones(name: str, key: str) -> None:
    model = filled(MODELS[name]())
    with torch.no_grad():
        found = torch.tensor(shown(model(maps(SIZES[key]))), dtype=torch.float64)
    torch.testing.assert_close(found, torch.tensor(NUMBERS[name][key], dtype=torch.float64), rtol=1e-7, atol=1e-7)
