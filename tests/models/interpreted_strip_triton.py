"""The Triton kernels on CPU tensors: `test_strip_triton.py` runs this with TRITON_INTERPRET=1 in its own process."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from scaseg.models.layers import kernels as kernels_of_layers
from scaseg.models.layers import strip_points, strip_triton
from scaseg.models.layers.strip_attention import strip_attention
from scaseg.models.layers.strip_points import TorchPoints
from scaseg.models.layers.strip_triton import TritonPoints
from tests.models.on_gpu import generator
from tests.models.strip_families import distance, exact, gradients, inputs, problem, spline

pytestmark = [
    # inf - inf, which numpy, behind the interpreter, remarks upon
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),
    # of torch's own making: dynamo makes a Function to stand for the context
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]

SHAPES = [  # batch, heads, tokens, channels, table rows
    (2, 3, 77, 1, 64),
    (1, 5, 300, 32, 256),
    (2, 2, 130, 80, 256),
    (1, 1, 2500, 5, 70),  # more than one share of the sum
    (3, 1, 1, 16, 128),
    (1, 2, 40, 200, 66),  # more than one tile of channels
]
HALVES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels_of_layers, "_has_kernels", lambda device: True)


def case(batch: int, heads: int, tokens: int, channels: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    drawn = generator(tokens)
    position = torch.rand(batch, tokens, heads, generator=drawn) * (rows - 3)
    position[0, 0] = rows - 3  # the end belongs to the last cell
    position[-1, -1] = 0
    table = torch.randn(batch, heads, rows, channels, generator=drawn)
    return position, table, torch.randn(batch, heads, tokens, channels, generator=drawn).transpose(1, 2)


def forms(position: Tensor, rows: int) -> tuple[TritonPoints, TorchPoints]:
    return TritonPoints(position, rows), TorchPoints(position.double(), rows)


def close(found: Tensor, right: Tensor, error: float) -> None:
    torch.testing.assert_close(found.double(), right.double(), atol=error, rtol=error)


@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_against_the_torch_form_in_float64(shape: tuple[int, ...]) -> None:
    position, table, grad = case(*shape)
    kernel, right = forms(position, shape[-1])
    arranged, doubles = kernel.arranged(grad), right.arranged(grad)
    assert arranged.data_ptr() == grad.data_ptr()
    close(kernel.gather(table, torch.float32), right.gather(table.double(), torch.float64), 2e-6)
    close(kernel.gather_dot(table, arranged), right.gather_dot(table.double(), doubles), 2e-5)
    close(kernel.scatter(arranged), right.scatter(doubles), 1e-5)


@pytest.mark.parametrize("dtype", HALVES[1:])
def test_half_precision_in_and_out(dtype: torch.dtype) -> None:
    position, table, grad = case(2, 3, 90, 24, 128)
    kernel, right = forms(position, 128)
    grad = grad.to(dtype)
    out = kernel.gather(table, dtype)
    assert out.dtype is dtype
    close(out, right.gather(table.double(), torch.float64), torch.finfo(dtype).eps)
    close(kernel.gather_dot(table, grad), right.gather_dot(table.double(), right.arranged(grad)), 2e-5)
    close(kernel.scatter(grad), right.scatter(right.arranged(grad)), 1e-5)


def test_expanded_gradients() -> None:
    position, table, _ = case(2, 3, 90, 8, 64)
    kernel, right = forms(position, 64)
    for grad in (torch.ones(()).expand(2, 90, 3, 8), torch.randn(8).expand(2, 90, 3, 8)):
        doubles = right.arranged(grad)
        close(kernel.gather_dot(table, kernel.arranged(grad)), right.gather_dot(table.double(), doubles), 1e-5)
        close(kernel.scatter(kernel.arranged(grad)), right.scatter(doubles), 1e-5)


def test_all_queries_in_one_cell() -> None:
    _, table, grad = case(1, 1, 1100, 32, 256)
    kernel, right = forms(torch.full((1, 1100, 1), 100.25), 256)
    close(kernel.gather(table, torch.float32), right.gather(table.double(), torch.float64), 2e-6)
    close(kernel.scatter(grad), right.scatter(right.arranged(grad)), 5e-5)


def test_queries_beside_the_range_are_extrapolated_and_nan_stays_in_its_rows() -> None:
    position, table, grad = case(1, 2, 50, 4, 64)
    position[0, 3, 0], position[0, 4, 0], position[0, 5, 1] = -0.3, 61.4, float("nan")
    kernel, right = forms(position, 64)
    out, expected = kernel.gather(table, torch.float32), right.gather(table.double(), torch.float64)
    assert out[0, 5, 1].isnan().all()
    assert int(out.isnan().sum()) == 4
    torch.testing.assert_close(out.double(), expected, atol=2e-5, rtol=1e-5, equal_nan=True)
    assert int(kernel.gather_dot(table, grad).isnan().sum()) == 1
    touched = kernel.scatter(grad).isnan().any(-1)
    assert touched[0, 1].sum() == 4
    assert not touched[0, 0].any()


@pytest.mark.parametrize(("batch", "heads", "tokens"), [(2, 3, 77), (1, 1, 1), (1, 8, 1100), (1, 5, 33)])
def test_positions(batch: int, heads: int, tokens: int) -> None:
    drawn = generator(tokens)
    t = 20 * torch.randn(batch, tokens, heads, generator=drawn).transpose(1, 2)
    bend, start, per_step = (torch.rand(batch, heads, 1, generator=drawn) for _ in range(3))
    found = strip_triton.place(t, bend, -start, 40 * per_step)
    right = strip_points.place(t.double(), bend.double(), -start.double(), 40 * per_step.double())
    assert found.is_contiguous()
    close(found, right, 5e-6)


def test_sums_are_the_same_every_time() -> None:
    position, _, grad = case(1, 2, 1100, 3, 64)
    kernel = TritonPoints(position, 64)
    assert torch.equal(kernel.scatter(grad), kernel.scatter(grad))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("family", ["random", "outlier"])
def test_strip_attention_both_ways(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(strip_points, "TorchPoints")
    *qkv, grad = problem(family, 100)
    assert (spline(*qkv).double() - exact(*qkv)).abs().max() < 1e-4
    right = gradients(exact, tuple(x.double() for x in qkv), grad)
    for found, expected in zip(gradients(spline, tuple(qkv), grad), right, strict=True):
        assert distance(found, expected) < 1e-3


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", HALVES)
def test_strip_attention_under_autocast(dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in inputs(1, 2, 150, 40, 5))
    grad = torch.randn(1, 2, 150, 5)
    right = gradients(exact, (q.double(), k.double(), v.double()), grad)
    with torch.autocast(q.device.type, dtype=torch.bfloat16):
        out, found = spline(q, k, v), gradients(spline, (q, k, v), grad)
    assert out.dtype is dtype
    for x, y in zip(found, right, strict=True):
        assert x.dtype is dtype
        assert distance(x, y) < max(1e-4, 4 * torch.finfo(dtype).eps)


@pytest.mark.usefixtures("kernels")
def test_nan_equal_and_single_queries() -> None:
    q, k, v = inputs(1, 2, 60, 30, 4)
    q[0, 0, 7], q[0, 1, 9] = float("nan"), float("inf")
    out = spline(q, k, v)
    lost = ~out.isfinite().all(-1)
    assert lost.nonzero().tolist() == [[0, 0, 7], [0, 1, 9]]
    close(out[~lost], exact(q, k, v)[~lost], 1e-5)
    for q in (torch.full((1, 2, 60), 0.3), torch.zeros(1, 2, 60), torch.ones(1, 2, 1)):
        close(spline(q, k, v), exact(q, k, v), 1e-5)


@pytest.mark.usefixtures("kernels")
def test_float64_graphs_and_counters_keep_to_the_torch_form(monkeypatch: pytest.MonkeyPatch) -> None:
    qkv = inputs(1, 2, 60, 30, 4)
    right = spline(*qkv)
    monkeypatch.delattr(strip_triton, "TritonPoints")
    monkeypatch.delattr(strip_triton, "place")
    close(spline(*(x.double() for x in qkv)), right, 1e-5)
    with FlopCounterMode(display=False):
        close(spline(*qkv), right, 1e-5)
    close(torch.compile(spline, backend="aot_eager", fullgraph=True)(*qkv), right, 1e-5)

    class Strip(torch.nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return strip_attention(q, k, v, mode="spline")

    for strict in (False, True):
        close(torch.export.export(Strip(), qkv, strict=strict).module()(*qkv), right, 1e-5)
    with pytest.raises((ImportError, AttributeError)):
        spline(*qkv)


@pytest.mark.usefixtures("kernels")
def test_transforms_of_functions() -> None:
    q, k, v = inputs(2, 2, 40, 20, 3)

    def total(q: Tensor) -> Tensor:
        return spline(q, k[:1], v[:1]).square().sum()

    mapped = torch.func.vmap(torch.func.grad(total))(q.unsqueeze(1))
    for found, x in zip(mapped, q.unsqueeze(1), strict=True):
        close(found, torch.func.grad(total)(x), 1e-4)
