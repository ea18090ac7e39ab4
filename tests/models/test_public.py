"""Ours against numbers that public implementations gave with the same weights."""

from pathlib import Path

import pytest
import torch
from torch import nn

from scaseg.models.decoders.layouts import layouts_of
from scaseg.models.encoders.weights import fit
from scaseg.models.segmentor import Segmentor
from scaseg.models.weights import load_model_weights
from tests.models.public import Numbers, stored
from tests.models.public_models import MODELS, K

CASES = [(model, case) for model, cases in stored().items() for case in cases]


def test_all_are_there() -> None:
    assert {(model, case) for model, one in MODELS.items() for case in one.cases} == set(CASES)


@pytest.mark.parametrize(("model", "case"), CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_same_logits(model: str, case: str, dtype: torch.dtype, tolerance: float) -> None:
    """To 1e-5 of the logits' size in single precision, and to 1e-10 in double, which no rounding explains away."""
    ours: nn.Module = MODELS[model].filled(case).to(dtype)
    with torch.no_grad():
        found = Numbers.of(ours(MODELS[model].inputs(case, dtype)))
    expected = stored()[model][case]
    assert found.shape == expected.shape
    difference = torch.tensor(found.values).double() - torch.tensor(expected.values).double()
    assert float(difference.abs().max()) < tolerance * expected.size
    assert found.size == pytest.approx(expected.size, rel=tolerance)


UNUSED = {"conv_seg.weight": torch.zeros(K, 128, 1, 1), "conv_seg.bias": torch.zeros(K)}


def test_a_published_edaformer_loads(tmp_path: Path) -> None:
    """The names that the public module took in public_make; what its base class leaves unused is dropped."""
    edaformer = MODELS["edaformer"]
    source = edaformer.filled("64x96").state_dict()
    unused = {f"decode_head.{key}": tensor for key, tensor in UNUSED.items()}
    torch.save({"state_dict": edaformer.published(dict(source)) | unused}, tmp_path / "published.pth")
    encoder, decoder = edaformer.build("64x96").double()
    report = load_model_weights(
        Segmentor(encoder, decoder), "edaformer_t", "edaformer", str(tmp_path / "published.pth")
    )
    assert report.dropped == tuple(unused)
    for half, name in ((encoder, "0"), (decoder, "1")):
        assert all(torch.equal(value, source[f"{name}.{key}"]) for key, value in half.state_dict().items())


@pytest.mark.parametrize("form", MODELS["ccaseg"].cases)
def test_a_published_decoder_of_ccaseg_loads(form: str) -> None:
    ccaseg = MODELS["ccaseg"]
    source = ccaseg.filled(form).state_dict()
    unused = UNUSED if form == "mit" else {**UNUSED, "multi64_3.global_act.conv.weight": torch.zeros(1)}
    decoder = ccaseg.build(form)
    fitted = fit(decoder, layouts_of(decoder), ccaseg.published(dict(source)) | unused, "ccaseg", "weights=FILE")
    assert fitted.dropped == tuple(unused)
    assert all(torch.equal(fitted.state[key], value) for key, value in source.items())
