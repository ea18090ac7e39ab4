"""Decoders against numbers that public code computed: its operators that need a compiler stubbed, random weights."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scaseg.models.decoders.cgrseg import CGRSegDecoder
from scaseg.models.decoders.layouts import layouts_of
from scaseg.models.decoders.segman import SegMANDecoder
from scaseg.models.encoders.weights import fit
from scaseg.models.layers.offset_classifier import OffsetClassifier
from tests.models import public_names
from tests.models.public_models import BUILT, CCASEG_FORMS
from tests.models.public_numbers import CHANNELS, CLASSES, filled, maps, shown

NUMBERS = json.loads(Path(__file__).with_name("public_numbers.json").read_text())
MODELS: dict[str, Callable[[], nn.Module]] = {
    **BUILT,
    "cgrseg": lambda: filled(CGRSegDecoder(CHANNELS, CLASSES, 16, repeats=2, band=5)),
    "segman": lambda: filled(SegMANDecoder(CHANNELS, CLASSES, 16, 24)),
    "offset": lambda: OnStage3(filled(OffsetClassifier(CHANNELS[2], CLASSES, 0.1))),
}
SIZES = {"logits": (96, 160), "odd size": (70, 101)}


class OnStage3(nn.Module):
    """A classifier alone, fed with one of the maps."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        logits: Tensor = self.classifier(features[2])
        return logits


def test_every_number_is_held() -> None:
    assert NUMBERS.keys() == MODELS.keys()


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in MODELS for key in SIZES if key in NUMBERS[name]])
def test_logits_are_the_public_ones(name: str, key: str) -> None:
    model = MODELS[name]()
    with torch.no_grad():
        found = torch.tensor(shown(model(maps(SIZES[key]))), dtype=torch.float64)
    torch.testing.assert_close(found, torch.tensor(NUMBERS[name][key], dtype=torch.float64), rtol=1e-7, atol=1e-7)


UNUSED = {"conv_seg.weight": torch.zeros(CLASSES, 128, 1, 1), "conv_seg.bias": torch.zeros(CLASSES)}


@pytest.mark.parametrize("name", ["edaformer", *(f"ccaseg {form}" for form in CCASEG_FORMS)])
def test_published_weights_load(name: str) -> None:
    """By the names that the public module took in public_make.py; what its forward pass never uses is dropped."""
    decoder = MODELS[name]()
    ours = dict(decoder.state_dict())
    theirs = public_names.edaformer(ours, CHANNELS[1:]) if name == "edaformer" else public_names.ccaseg(ours)
    mixes = {"multi64_3.global_act.conv.weight": torch.zeros(1)} if name in ("ccaseg tiny", "ccaseg small") else {}
    fitted = fit(decoder, layouts_of(decoder), {**theirs, **UNUSED, **mixes}, name, "weights=FILE")
    assert fitted.dropped == (*UNUSED, *mixes)
    assert all(torch.equal(fitted.state[key], value) for key, value in ours.items())
