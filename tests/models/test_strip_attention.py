import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaseg.models.layers import strip_attention as module
from scaseg.models.layers.attention import CrossAttention
from scaseg.models.layers.strip_attention import exact_attention, logit_range, padded_attention, strip_attention
from tests.models.strip_families import distance, exact, gradients, inputs, problem, spline

FAMILIES = ("random", "clustered", "heavy-tailed", "two-point", "outlier", "hierarchy")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [1, 20, 100, 400])
def test_spline_is_the_exact_form(family: str, size: float) -> None:
    *qkv, grad = problem(family, size)
    expected = exact(*qkv)
    assert (spline(*qkv) - expected).abs().max() <= 5e-5  # the half spread of every channel is 1; asked for: 1e-4
    for found, right in zip(gradients(spline, tuple(qkv), grad), gradients(exact, tuple(qkv), grad), strict=True):
        assert distance(found, right) <= 5e-4  # asked for: 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_spline_degrades_slowly(family: str) -> None:
    for size, allowed in ((2000, 1e-4), (1e4, 1e-3), (1e6, 2e-2)):
        *qkv, _ = problem(family, size)
        assert (spline(*qkv) - exact(*qkv)).abs().max() <= allowed


def test_more_nodes_are_more_exact() -> None:
    *qkv, _ = problem("outlier", 1e4)
    double = [x.double() for x in qkv]
    errors = [
        float((strip_attention(*double, mode="spline", nodes=n) - exact(*double)).abs().max()) for n in (64, 128, 256)
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_the_exact_forms_agree_with_each_other_and_torch() -> None:
    q, k, v = inputs(2, 3, 50, 17, 8)
    expected = exact(q, k, v, 0.7)
    columns = q.unsqueeze(-1), k.unsqueeze(-1)
    for found in (
        exact_attention(*columns, v, 0.7),
        padded_attention(*columns, v, 0.7),
        F.scaled_dot_product_attention(*columns, v, scale=0.7),
        strip_attention(q, k, v, 0.7, "exact"),
        strip_attention(q, k, v, 0.7, "auto"),
    ):
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 300),
    st.integers(1, 80),
    st.integers(1, 9),
    st.sampled_from([-2.0, -0.3, 0.0, 1e-3, 1.0, 7.0]),
    st.integers(0, 2**31),
)
def test_any_shape_and_scale(
    batch: int, heads: int, queries: int, count: int, channels: int, scale: float, seed: int
) -> None:
    qkv = inputs(batch, heads, queries, count, channels, seed)
    grad = torch.randn(batch, heads, queries, channels)

    def scaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return strip_attention(q, k, v, scale, "spline")

    out = scaled(*qkv)
    assert out.shape == grad.shape
    torch.testing.assert_close(out.double(), exact(*qkv, scale), atol=1e-4, rtol=0)
    right = gradients(lambda q, k, v: exact(q, k, v, scale), qkv, grad)
    for found, wanted in zip(gradients(scaled, qkv, grad), right, strict=True):
        error = (found.double() - wanted).abs().max()
        assert error <= 1e-3 * wanted.abs().max() + 1e-5 * (abs(scale) + 0.1) * queries**0.5


def chosen(monkeypatch: pytest.MonkeyPatch, *sizes: int, spread: float = 1.0, nodes: int = 128) -> str:
    """Which form `auto` takes for sizes (batch, heads, queries, keys)."""
    calls: list[str] = []
    for form in ("spline_attention", "padded_attention", "exact_attention"):
        monkeypatch.setattr(module, form, lambda *args, form=form: calls.append(form) or args[2])
    batch, heads, queries, count = sizes
    query = torch.linspace(-1, 1, queries).mul(spread).expand(batch, heads, -1)
    key = torch.linspace(0, 1, count).expand(batch, heads, -1)
    strip_attention(query, key, torch.zeros(batch, heads, count, 4), nodes=nodes)
    return calls[0].removesuffix("_attention")


def test_auto_dispatches_by_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, 1, 1, 4096, 256) == "spline"
    assert chosen(monkeypatch, 1, 1, 4095, 256) == "exact"  # too little work in all
    assert chosen(monkeypatch, 16, 8, 511, 256) == "padded"  # no fewer nodes than a quarter of the queries
    assert chosen(monkeypatch, 16, 8, 512, 256) == "spline"
    assert chosen(monkeypatch, 16, 8, 512, 256, nodes=129) == "padded"
    assert chosen(monkeypatch, 1, 8, 16384, 63) == "exact"  # no more weights than results
    assert chosen(monkeypatch, 1, 8, 16384, 64) == "spline"


def test_auto_on_cpu_leaves_wide_ranges_to_the_exact_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, 1, 1, 4096, 256, spread=999) == "spline"
    assert chosen(monkeypatch, 1, 1, 4096, 256, spread=1001) == "exact"
    assert chosen(monkeypatch, 1, 1, 16384, 256, spread=1001) == "padded"
    assert chosen(monkeypatch, 1, 1, 16384, 256, spread=float("inf")) == "padded"


def test_logit_range() -> None:
    q, k, _ = inputs(2, 3, 40, 9, 1)
    logits = -0.5 * q.unsqueeze(-1) * k.unsqueeze(-2)
    spread = logits.amax(-1) - logits.amin(-1)
    slopes = (k.amax(-1) - k.amin(-1)) * 0.5 * (q.amax(-1) - q.amin(-1))
    torch.testing.assert_close(logit_range(q, k, -0.5), slopes)
    assert (logit_range(q, k, -0.5) <= 2 * spread.amax(-1) + 1e-4).all()


def test_mistakes_are_named() -> None:
    q, k, v = inputs(1, 2, 5, 4, 3)
    for wrong, message in (
        ((q[0], k, v), r"expected query \(B, heads, Nq\)"),
        ((q, k[:, :1], v), "shapes disagree"),
        ((q, k, v[:, :, :2]), "shapes disagree"),
    ):
        with pytest.raises(ValueError, match=message):
            strip_attention(*wrong)
    with pytest.raises(ValueError, match="mode 'fast': choose one of auto, exact, spline"):
        strip_attention(q, k, v, mode="fast")
    with pytest.raises(ValueError, match="nodes 31: at least 32"):
        strip_attention(q, k, v, nodes=31)


def test_module_takes_the_spline_and_its_nodes() -> None:
    torch.manual_seed(0)
    query, memory = torch.randn(2, 9, 7, 16), torch.randn(2, 3, 4, 24)
    exact_form = CrossAttention(16, 24, 2, 1, "exact")
    right = exact_form(query, memory)
    for nodes in (32, 128):
        layer = CrossAttention(16, 24, 2, 1, "spline", nodes)
        layer.load_state_dict(exact_form.state_dict())
        torch.testing.assert_close(layer(query, memory), right, atol=1e-5, rtol=0)
