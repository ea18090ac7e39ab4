"""Attention of two channels a head through a table over the plane, against float64."""

import pytest
import torch
from torch import Tensor

from scaseg.models.layers import plane_attention as module
from scaseg.models.layers.plane_attention import plane_attention, plane_range, two_channel_attention
from scaseg.models.layers.strip_attention import exact_attention

SCALE = 2**-0.5


def inputs(
    kind: str, size: float, queries: int = 3000, keys: int = 300, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """(1, 2, ., .) in float64, of this range; keys of both heads: anywhere, or at the corners of a square."""
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 2, n, 2, generator=generator).double() for n in (queries, keys))
    if kind == "uniform":
        query, key = (torch.rand(x.shape, generator=generator).double() for x in (query, key))
    if kind == "corners":
        key = torch.randint(0, 2, key.shape, generator=generator).double()
    value = torch.randn(1, 2, keys, 5, generator=generator).double()
    query = query * (size / plane_range(query, key, SCALE))[..., None, None]
    return query + 3, key + 5, value  # where they lie must not matter


@pytest.mark.parametrize("kind", ["normal", "uniform", "corners"])
@pytest.mark.parametrize("size", [0.5, 14.0, 30.0])
def test_values_and_gradients_are_the_plain_forms(kind: str, size: float) -> None:
    found, expected = [], []
    for dtype, form in ((torch.float32, plane_attention), (torch.float64, exact_attention)):
        leaves = [x.to(dtype).requires_grad_() for x in inputs(kind, size)]
        out = form(*leaves, SCALE)  # type: ignore[operator]
        grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        (found if dtype is torch.float32 else expected).extend([out, *torch.autograd.grad(out, leaves, grad.to(dtype))])
    value = inputs(kind, size)[2]
    half_spread = (value.amax(2) - value.amin(2)).amax() / 2
    assert (found[0].double() - expected[0]).abs().max() <= 1e-4 * half_spread
    for ours, right in zip(found[1:], expected[1:], strict=True):
        assert (ours.double() - right).abs().max() <= 1e-3 * right.abs().max()


def test_gradients_are_those_of_its_values() -> None:
    leaves = [x.requires_grad_() for x in inputs("normal", 5.0, 7, 6)]
    assert torch.autograd.gradcheck(lambda *x: plane_attention(*x, SCALE, 32), leaves, atol=1e-5, rtol=1e-4)


def test_gradients_of_gradients_are_the_plain_forms() -> None:
    second = []
    for form in (plane_attention, exact_attention):
        leaves = [x.requires_grad_() for x in inputs("normal", 5.0, 7, 6)]
        (first,) = torch.autograd.grad(form(*leaves, SCALE).square().sum(), leaves[:1], create_graph=True)  # type: ignore[operator]
        second.append(torch.autograd.grad(first.square().sum(), leaves))
    for ours, right in zip(*second, strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)


def test_equal_queries_or_equal_keys_are_a_mean() -> None:
    query, key, value = inputs("normal", 5.0, 9, 8)
    for one, other in ((query[:, :, :1].expand_as(query), key), (query, key[:, :, :1].expand_as(key))):
        torch.testing.assert_close(
            plane_attention(one, other, value, SCALE), exact_attention(one, other, value, SCALE), rtol=1e-6, atol=1e-6
        )


@pytest.fixture
def small_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST", (1, 1))
    monkeypatch.setattr(module, "LEAST_WITH_GRADIENTS", (1, 1))


@pytest.mark.usefixtures("small_shapes")
def test_ranges_beyond_the_table_are_computed_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(module, "plane_attention", lambda *x: calls.append(x) or plane_attention(*x))
    for size in (20.0, 31.0, float("nan")):
        query, key, value = inputs("normal", size, 50, 20)
        out = two_channel_attention(query, key, value, SCALE)
        torch.testing.assert_close(out, exact_attention(query, key, value, SCALE), rtol=1e-4, atol=1e-4, equal_nan=True)
    assert len(calls) == 1


@pytest.mark.usefixtures("small_shapes")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened(dtype: torch.dtype) -> None:
    query, key, value = (x.to(dtype) for x in inputs("normal", 10.0, 200, 50))
    out = two_channel_attention(query, key, value, SCALE)
    expected = exact_attention(query.double(), key.double(), value.double(), SCALE)
    assert out.dtype is dtype
    torch.testing.assert_close(out.double(), expected, rtol=0.01, atol=0.02)


def test_autocast_leaves_the_table_in_full_precision() -> None:
    found = []
    for enabled in (False, True):
        leaves = [x.float().requires_grad_() for x in inputs("normal", 20.0, 300, 50)]
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = plane_attention(*leaves, SCALE)
            found.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    for with_it, without in zip(*found, strict=True):
        torch.testing.assert_close(with_it, without, rtol=0, atol=0)


@pytest.mark.usefixtures("small_shapes")
@pytest.mark.parametrize("shape", [(0, 2, 5, 6), (1, 2, 0, 6)])
def test_nothing_is_no_trouble(shape: tuple[int, int, int, int]) -> None:
    batch, heads, queries, keys = shape
    query, key, value = (
        torch.zeros(batch, heads, queries, 2),
        torch.zeros(batch, heads, keys, 2),
        torch.zeros(batch, heads, keys, 3),
    )
    assert two_channel_attention(query, key, value, SCALE).shape == (batch, heads, queries, 3)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.usefixtures("small_shapes")
def test_mapped_it_is_the_fused_form() -> None:
    query, key, value = inputs("normal", 10.0, 40, 20)
    expected = exact_attention(query, key, value, SCALE)
    mapped = torch.func.vmap(lambda q, k, v: two_channel_attention(q[None], k[None], v[None], SCALE)[0])
    torch.testing.assert_close(mapped(query, key, value), expected)
