"""The end of the decoder in less memory, held to the modules that it stands for."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from scaseg.models.decoders.scaseg import SCASegDecoder
from scaseg.models.layers import classifier_end as module
from scaseg.models.layers.add_resized import add_resized
from scaseg.models.layers.block_branches import MixFeedForward
from scaseg.models.layers.classifier_end import scores, scores_in_shares
from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.pointwise import PointwiseConv


def layers(channels: int, classes: int, dropout: float) -> nn.ModuleList:
    norm = nn.BatchNorm2d(channels).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return nn.ModuleList([norm, nn.Dropout2d(dropout), PointwiseConv(channels, classes).double()])


def results(form: object, parts: nn.ModuleList, x: Tensor, grad: Tensor) -> list[Tensor]:
    """Output, gradients of x and of all parameters, and the norm's buffers afterwards."""
    torch.manual_seed(5)
    x = x.clone().requires_grad_()
    start = x * 1  # an activation in place must not meet a leaf
    out: Tensor = form(start, *parts)  # type: ignore[operator]
    found = torch.autograd.grad(out, [x, *parts.parameters()], grad)
    return [out.detach(), *found, *(b.double() for b in parts.buffers())]


def plain(x: Tensor, norm: nn.Module, dropout: nn.Module, classifier: nn.Module) -> Tensor:
    out: Tensor = classifier(dropout(F.relu(norm(x))))
    return out


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(2, 7), st.integers(1, 7)),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([1, 40, 2**17]),
)
def test_scores_and_every_gradient(shape: tuple[int, ...], classes: int, dropout: float, band: int) -> None:
    torch.manual_seed(sum(shape))
    parts, x = layers(shape[1], classes, dropout), torch.randn(*shape, dtype=torch.float64)
    grad = torch.randn(shape[0], classes, *shape[2:], dtype=torch.float64)
    expected = results(plain, copy.deepcopy(parts), x, grad)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BAND", band)
        found = results(scores, parts, x.to(memory_format=torch.channels_last), grad)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_frozen_norms_and_nothing_to_train() -> None:
    parts, x = layers(6, 3, 0.0), torch.randn(2, 6, 4, 5, dtype=torch.float64)
    parts[0].eval()
    torch.testing.assert_close(scores(x.clone(), *parts), plain(x, *parts))
    parts[0].train()
    with torch.no_grad():
        torch.testing.assert_close(scores(x.clone(), *parts), plain(x, *parts))


def test_half_precision_under_autocast() -> None:
    parts = layers(16, 5, 0.0).float()
    x, grad = torch.randn(2, 16, 9, 8), torch.randn(2, 5, 9, 8)
    right = results(plain, copy.deepcopy(parts), x, grad)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = results(scores, parts, x.bfloat16().float(), grad.bfloat16())
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a.double(), b.double(), rtol=0.05, atol=0.05 * float(b.abs().max()))


@pytest.mark.parametrize("size", [(5, 7), (9, 14), (3, 2)])
@pytest.mark.parametrize("channels", [1, 64, 130])
def test_add_resized(size: tuple[int, int], channels: int) -> None:
    fine = torch.randn(2, 9, 14, channels, dtype=torch.float64, requires_grad=True)
    coarse = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    right = fine + F.interpolate(coarse, (9, 14), mode="bilinear").permute(0, 2, 3, 1)
    found = add_resized(fine * 1, coarse)
    grad = torch.randn_like(right)
    pairs = [torch.autograd.grad(x, [fine, coarse], grad) for x in (found, right)]
    for a, b in zip([found, *pairs[0]], [right, *pairs[1]], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_in_shares_of_the_fused_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    fuse, classifier = Fuse([3, 4], 10).double().eval(), PointwiseConv(10, 6).double()
    maps = [torch.randn(2, 3, 8, 6, dtype=torch.float64), torch.randn(2, 4, 4, 3, dtype=torch.float64)]
    for buffer in (fuse.norm.running_mean, fuse.norm.running_var):
        assert buffer is not None
        nn.init.uniform_(buffer, 0.5, 2)
    for share in (1, 4, 10, 128):
        monkeypatch.setattr(module, "SHARE", share)
        with torch.no_grad():
            torch.testing.assert_close(scores_in_shares(fuse, maps, classifier), classifier(fuse(maps)))


@pytest.mark.parametrize("recompute", ["auto", True])
def test_what_is_computed_again_changes_nothing(recompute: bool | str) -> None:
    torch.manual_seed(0)
    channels = (4, 8, 10, 16)
    keeps = SCASegDecoder(channels, 5, 12, recompute=False).double()
    forgets = SCASegDecoder(channels, 5, 12, recompute=recompute).double()
    forgets.load_state_dict(keeps.state_dict())
    maps = [
        torch.randn(2, c, 32 // s, 48 // s, dtype=torch.float64, requires_grad=True)
        for c, s in zip(channels, (1, 2, 4, 8), strict=True)
    ]
    found = []
    for decoder in (keeps, forgets):
        torch.manual_seed(1)
        out = decoder(maps)
        gradients = torch.autograd.grad(out.square().sum(), [*maps, *decoder.parameters()])
        found.append([out.detach(), *gradients, *decoder.buffers()])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_a_mix_ffn_keeps_its_input_and_one_hidden_map() -> None:
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes() // 4
        return x

    ffn, x = MixFeedForward(8), torch.randn(1, 20, 30, 8, requires_grad=True)
    weights = sum(p.numel() for p in ffn.parameters())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        ffn(x)
    assert sum(kept.values()) <= (1 + 4) * x.numel() + weights


def test_unknown_choice() -> None:
    with pytest.raises(ValueError, match="recompute='no': choose one of auto, true, false"):
        SCASegDecoder((4, 8, 10, 16), 5, recompute="no")
