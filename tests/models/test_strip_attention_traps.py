"""Where an interpolating form could go wrong: degenerate ranges, numbers that are none, odd layouts, half precision."""

import pytest
import torch
from torch import Tensor

from scaseg.models.layers.spline import _samples_to_table
from scaseg.models.layers.strip_attention import NODES, exact_attention, strip_attention
from tests.models.on_gpu import generator
from tests.models.strip_families import distance, exact, gradients, inputs, spline

NAN, INF = float("nan"), float("inf")


# On its way each term of a gradient passes the table's matrix, which spreads it over entries of this size in all, and
# is rounded before and after. At worst, as where all terms have the same table entry, the errors have one sign.
ROUNDING = float(2 * abs(_samples_to_table(NODES)).sum(0).max() * torch.finfo(torch.float32).eps / 2)


def check(qkv: tuple[Tensor, ...], value_error: float = 1e-5, gradient_error: float = 1e-4, rest: float = 0.0) -> None:
    """Gradients may miss by the rounding errors of their terms, which can cancel to nothing."""
    q, k, v = qkv
    grad = torch.randn(*q.shape, v.shape[-1], generator=generator(9))
    assert distance(spline(*qkv), exact(*qkv)) <= value_error
    size = grad.norm(dim=-1) * v.norm(dim=-1).amax(-1, keepdim=True)
    spread = k.amax(-1, keepdim=True) - k.amin(-1, keepdim=True)
    terms = (size * spread, (size * q).abs().sum(-1), size.sum(-1))
    found = gradients(spline, qkv, grad)
    for x, right, term in zip(found, gradients(exact, qkv, grad), terms, strict=True):
        assert (x.double() - right).abs().max() <= gradient_error * right.abs().max() + ROUNDING * term.max() + rest


def test_equal_queries() -> None:
    _, k, v = inputs(2, 3, 1, 40, 5)
    for number in (0.0, 1.5, -40.0, 1e-20):
        check((torch.full((2, 3, 600), number), k, v), rest=1e-8)


def test_equal_keys() -> None:
    q, _, v = inputs(2, 3, 600, 40, 5)
    for number in (0.0, 1.5, -40.0):
        check((q, torch.full((2, 3, 40), number), v), gradient_error=1e-5, rest=1e-8)


def test_all_zero() -> None:
    """Projections that start at zero: the first gradients must be right."""
    q, k, v = inputs(2, 3, 600, 40, 5)
    check((torch.zeros_like(q), k, v), gradient_error=1e-5, rest=1e-8)
    check((q, torch.zeros_like(k), v), gradient_error=1e-5, rest=1e-8)
    check((torch.zeros_like(q), torch.zeros_like(k), v), rest=1e-8)


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e-3])
def test_tiny_queries_or_keys(factor: float) -> None:
    q, k, v = inputs(2, 3, 600, 40, 5)
    check((q * factor, k, v))
    check((q, k * factor, v))


def test_offset_keys() -> None:
    q, k, v = inputs(2, 3, 600, 40, 5)
    shifted = k + 1000
    assert (spline(q, shifted, v) - exact(q, shifted, v)).abs().max() < 5e-6  # the plain form in float32: 1e-4
    assert (strip_attention(q, shifted, v, mode="exact") - exact(q, shifted, v)).abs().max() > 2e-5


@pytest.mark.parametrize("low", [0.5, 100.0, -300.0])
def test_range_without_zero(low: float) -> None:
    _, k, v = inputs(2, 3, 600, 40, 5)
    check((torch.linspace(low, low + 8, 600).expand(2, 3, -1), k, v), gradient_error=1e-3)


def test_one_query_one_key_negative_scale() -> None:
    q, k, v = inputs(2, 3, 600, 40, 5)
    check((q[..., :1], k, v))
    check((q, k[..., :1], v[..., :1, :]), gradient_error=1e-5)
    negative = strip_attention(q, k, v, -1.0, "spline")
    assert torch.equal(negative, spline(q, -k, v))
    torch.testing.assert_close(negative, spline(-q, k, v), atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", ["auto", "exact", "spline"])
def test_nothing_in_nothing_out(mode: str) -> None:
    q, k, v = inputs(2, 3, 600, 40, 5)
    assert strip_attention(q[:0], k[:0], v[:0], mode=mode).shape == (0, 3, 600, 5)
    assert strip_attention(q[..., :0], k, v, mode=mode).shape == (2, 3, 0, 5)
    assert strip_attention(q, k, v[..., :0], mode=mode).shape == (2, 3, 600, 0)
    assert torch.equal(strip_attention(q, k[..., :0], v[..., :0, :], mode=mode), torch.zeros(2, 3, 600, 5))


@pytest.mark.parametrize("mode", ["auto", "spline"])
@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_a_query_that_is_no_number_spoils_its_row_alone(mode: str, number: float) -> None:
    q, k, v = inputs(1, 2, 2048, 300, 4)
    right = exact(q, k, v)
    q[0, 1, 7] = number
    out = strip_attention(q, k, v, mode=mode)
    assert not out[0, 1, 7].isfinite().any()
    kept = torch.ones(1, 2, 2048, dtype=torch.bool)
    kept[0, 1, 7] = False
    torch.testing.assert_close(out[kept].double(), right[kept], atol=1e-5, rtol=0)


@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_a_key_that_is_no_number_spoils_its_head_alone(number: float) -> None:
    q, k, v = inputs(1, 2, 600, 40, 4)
    right = exact(q, k, v)
    k[0, 1, 7] = number
    out = spline(q, k, v)
    assert not out[0, 1].isfinite().any()  # the plain form leaves queries of one sign finite where the key is infinite
    torch.testing.assert_close(out[0, 0].double(), right[0, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_a_value_that_is_no_number_spoils_its_channel_alone(number: float) -> None:
    q, k, v = inputs(1, 2, 600, 40, 4)
    right = exact(q, k, v)
    v[0, 1, 7, 2] = number
    out = spline(q, k, v)
    assert not out[0, 1, :, 2].isfinite().any()
    kept = torch.ones(2, 4, dtype=torch.bool)
    kept[1, 2] = False
    torch.testing.assert_close(out[0].transpose(1, 2)[kept].double(), right[0].transpose(1, 2)[kept], atol=1e-5, rtol=0)


def test_logits_beyond_float32() -> None:
    q, k, v = inputs(1, 2, 2048, 300, 4)
    assert spline(q * 1e4, k * 1e4, v).isfinite().all()
    assert spline(q * 1e20, k, v).isnan().any()  # the square in the map overflows; auto does not come here on CPU
    assert strip_attention(q * 1e20, k, v).isfinite().all()


def test_layouts() -> None:
    q, k, v = inputs(2, 3, 600, 40, 5)
    expected = spline(q, k, v)
    tokens_first = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    assert torch.equal(spline(*tokens_first), expected)
    strided = [torch.stack([x, x], -1)[..., 0] for x in (q, k, v)]
    assert not strided[2].is_contiguous()
    assert torch.equal(spline(*strided), expected)
    one = [x[:1].expand(4, *x.shape[1:]) for x in (q, k, v)]
    assert torch.equal(spline(*one)[3], spline(*(x[:1] for x in (q, k, v)))[0])
    grad = torch.randn(1, 1, 1, 5).expand(2, 3, 600, 5)
    for found, right in zip(gradients(spline, (q, k, v), grad), gradients(exact, (q, k, v), grad), strict=True):
        assert distance(found, right) < 1e-4


def test_result_has_the_tokens_first_in_memory() -> None:
    """Joining the heads afterwards is then free."""
    assert spline(*inputs(2, 3, 600, 40, 5)).transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    qkv = tuple(x.to(dtype) for x in inputs(2, 3, 600, 40, 5))
    out, right = spline(*qkv), exact(*qkv)
    assert out.dtype is dtype
    plain = exact_attention(qkv[0].unsqueeze(-1), qkv[1].unsqueeze(-1), qkv[2], 1.0)
    error = (out - right).abs().max()
    assert error <= torch.finfo(dtype).eps * right.abs().max()
    assert error < (plain - right).abs().max()
    grad = torch.randn(2, 3, 600, 5)
    for found, wanted, x in zip(gradients(spline, qkv, grad), gradients(exact, qkv, grad), qkv, strict=True):
        assert found.dtype is x.dtype
        assert distance(found, wanted) <= 2 * torch.finfo(dtype).eps


def test_autocast_touches_neither_forward_nor_backward() -> None:
    qkv = inputs(2, 3, 600, 40, 5)
    leaves = [x.requires_grad_() for x in qkv]
    expected = spline(*leaves)
    right = torch.autograd.grad(expected.sum(), leaves)
    with torch.autocast(leaves[0].device.type, dtype=torch.bfloat16):
        out = spline(*leaves)
        found = torch.autograd.grad(out.sum(), leaves)
    assert torch.equal(out, expected)
    assert all(torch.equal(x, y) for x, y in zip(found, right, strict=True))


def test_mixed_dtypes_as_autocast_leaves_them() -> None:
    q, k, v = inputs(2, 3, 600, 40, 5)
    out = spline(q.bfloat16(), k, v)
    assert out.dtype is torch.float32
    assert distance(out, exact(q.bfloat16(), k, v)) < 1e-5


def test_meta_tensors_have_a_shape() -> None:
    q, k, v = (x.to("meta") for x in inputs(1, 2, 4096, 256, 4))
    assert strip_attention(q, k, v).shape == (1, 2, 4096, 4)
