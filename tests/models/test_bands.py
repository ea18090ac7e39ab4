"""The mix-FFN in bands is the mix-FFN: at any size, with and without gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.complexity.memory import LiveTensors
from scaseg.models.layers import bands
from scaseg.models.layers.block_branches import MixFeedForward


def forward_and_gradients(ffn: MixFeedForward, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    out = ffn(x)
    return [out, *torch.autograd.grad(out.square().sum(), [x, *ffn.parameters()])]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2), st.integers(1, 40), st.integers(1, 20), st.integers(4, 30), st.booleans(), st.integers(0, 99))
def test_bands_change_nothing(batch: int, height: int, width: int, rows: int, recompute: bool, seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.randn(batch, height, width, 3, dtype=torch.float64)
    plain, banded = MixFeedForward(3).double(), MixFeedForward(3, recompute).double()
    banded.load_state_dict(plain.state_dict())
    expected = forward_and_gradients(plain, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(bands.BAND_BYTES, "cpu", 8 * batch * 12 * width * rows)
        found = forward_and_gradients(banded, x)
        with torch.no_grad():
            without = banded(x)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(without, expected[0], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("gradients", [False, True])
def test_the_hidden_map_is_never_all_there(gradients: bool) -> None:
    ffn, x = MixFeedForward(16, recompute=True), torch.randn(1, 256, 256, 16, requires_grad=gradients)
    hidden = 256 * 256 * 64 * 4
    live = LiveTensors()
    with live, torch.set_grad_enabled(gradients):
        out = ffn(x)
        if gradients:
            out.backward(torch.ones_like(out))
    assert live.peak < (2 if gradients else 1.5) * hidden + 3 * x.numel() * 4
    plain = LiveTensors()
    with plain, torch.set_grad_enabled(True):
        MixFeedForward(16)(x.detach().requires_grad_()).sum().backward()
    assert live.peak < 0.75 * plain.peak
