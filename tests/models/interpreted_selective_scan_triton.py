"""The scan's kernels on CPU tensors: `test_selective_scan_triton.py` runs this with TRITON_INTERPRET=1."""

import pytest
import torch
from torch import Tensor

from scaseg.models.encoders import selective_scan, selective_scan_triton
from scaseg.models.encoders.selective_scan_2d import SelectiveScan2d
from scaseg.models.layers import kernels

SHAPES = [  # steps, batch, lines, channels: the interpreter joins a tile's numbers one by one, hence tiles of 4 x 4
    (7, 2, 2, 5),
    (4, 1, 6, 4),
    (9, 1, 1, 3),
    (1, 2, 5, 1),
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(selective_scan_triton, "STEPS", 4)
    monkeypatch.setattr(selective_scan_triton, "WIDEST", 4)


@pytest.fixture
def on_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_has_kernels", lambda device: True)


def case(steps: int, batch: int, lines: int, channels: int) -> list[Tensor]:
    """u, delta, rate and b; each channel remembers another number of steps, from less than one to hundreds."""
    size = steps, batch, lines
    delta, rate = 2 * torch.rand(*size, channels), torch.logspace(-3, 1, channels)
    return [torch.randn(*size, channels), delta, rate, torch.randn(*size, 1)]


def by_definition(u: Tensor, delta: Tensor, rate: Tensor, b: Tensor, reverse: bool) -> Tensor:
    """One step after the other."""
    steps, _, lines, _ = u.shape
    order = [(n, t) for n in range(lines) for t in range(steps)]
    state, states = torch.zeros_like(u[0, :, 0]), {}
    for n, t in reversed(order) if reverse else order:
        state = torch.exp(-rate * delta[t, :, n]) * state + delta[t, :, n] * b[t, :, n] * u[t, :, n]
        states[n, t] = state
    return torch.stack([torch.stack([states[n, t] for n in range(lines)], 1) for t in range(steps)])


def both_ways(inputs: list[Tensor], reverse: bool, kernel: bool) -> list[Tensor]:
    """States and gradients of all inputs."""
    form = selective_scan_triton.selective_scan if kernel else by_definition
    leaves = [(x if kernel else x.double()).detach().requires_grad_() for x in inputs]
    states = form(*leaves, reverse)
    weight = torch.cos(torch.arange(states.numel())).view(states.shape).to(states.dtype)
    return [states.detach(), *torch.autograd.grad(states, leaves, weight)]


def assert_close(inputs: list[Tensor], reverse: bool, error: float) -> None:
    for found, right in zip(both_ways(inputs, reverse, True), both_ways(inputs, reverse, False), strict=True):
        assert found.shape == right.shape
        assert (found.double() - right).abs().max() <= error * right.abs().max()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_states_and_gradients_are_those_of_the_definition_in_float64(shape: tuple[int, ...], reverse: bool) -> None:
    assert_close(case(*shape), reverse, 2e-6)


def test_tiles_of_the_size_that_a_gpu_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert_close(case(35, 1, 1, 3), True, 2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened_before_anything_is_computed(dtype: torch.dtype) -> None:
    inputs = [x.to(dtype) for x in case(5, 1, 3, 3)]
    found, right = (both_ways(inputs, False, kernel) for kernel in (True, False))
    assert [x.dtype for x in found] == [torch.float32, *[dtype] * 4]
    errors = [2e-6, *[torch.finfo(dtype).eps] * 4]  # gradients are rounded once
    for x, y, error in zip(found, right, errors, strict=True):
        assert (x.double() - y).abs().max() <= error * y.abs().max()


def test_300_steps_are_summed_in_single_precision() -> None:
    """bfloat16 has 8 bits: a sum of ones in it would stop at 256."""
    ones = torch.ones(4, 1, 75, 1, dtype=torch.bfloat16)
    states = selective_scan_triton.selective_scan(ones, ones, torch.zeros(1), ones, False)
    assert states.max() == 300


def test_inputs_that_are_not_contiguous() -> None:
    u, delta, rate, b = case(5, 2, 3, 4)
    strided = [u.transpose(0, 2).contiguous().transpose(0, 2), delta, rate, b.expand(5, 2, 3, 2)[..., :1]]
    expected = selective_scan_triton.selective_scan(u, delta, rate, b, False)
    assert torch.equal(selective_scan_triton.selective_scan(*strided, False), expected)


def test_what_is_not_finite_reaches_later_steps_of_its_channel_alone() -> None:
    u, delta, rate, b = case(5, 1, 3, 4)
    u[2, 0, 1, 3] = float("nan")
    states = selective_scan_triton.selective_scan(u, delta, rate, b, False)
    lost = states.isnan().transpose(0, 2).reshape(15, 4)
    assert lost[:, 3].tolist() == [False] * 7 + [True] * 8
    assert not lost[:, :3].any()


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("size", [(3, 5), (4, 1)])
def test_layer_in_all_four_directions(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = SelectiveScan2d(3), torch.randn(1, 3, *size)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))

    def gradients(layer: SelectiveScan2d, x: Tensor) -> list[Tensor]:
        x = x.detach().requires_grad_()
        out = layer(x)
        return [out.detach(), *torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])]

    with monkeypatch.context() as patch:
        patch.delattr(selective_scan, "in_torch")
        found = gradients(layer, x)
        half = layer(x.bfloat16())
    right = gradients(layer.double(), x.double())  # float64 keeps to the torch form
    for ours, exact in zip(found, right, strict=True):
        assert (ours - exact).abs().max() <= 5e-6 * exact.abs().max()
    assert half.dtype is torch.bfloat16
    exact = layer(x.bfloat16().double())
    assert (half - exact).abs().max() <= torch.finfo(torch.bfloat16).eps * exact.abs().max()


def test_gradients_of_gradients() -> None:
    u, *others = case(4, 1, 2, 3)

    def second(form: object, dtype: torch.dtype) -> Tensor:
        x = u.to(dtype).requires_grad_()
        rate = others[1].to(dtype).requires_grad_()
        states = form(x, others[0].to(dtype), rate, others[2].to(dtype), False)  # type: ignore[operator]
        (first,) = torch.autograd.grad(states.square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), rate)[0]

    found, right = second(selective_scan_triton.selective_scan, torch.float32), second(by_definition, torch.float64)
    torch.testing.assert_close(found.double(), right, rtol=1e-4, atol=1e-5)


def test_sums_are_the_same_every_time() -> None:
    inputs = case(5, 1, 3, 5)
    for a, b in zip(both_ways(inputs, False, True), both_ways(inputs, False, True), strict=True):
        assert torch.equal(a, b)


@pytest.mark.usefixtures("on_kernels")
def test_graphs_keep_to_the_torch_form(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = case(5, 1, 3, 2)
    right = selective_scan.selective_scan(*inputs, True)
    monkeypatch.delattr(selective_scan_triton, "selective_scan")
    compiled = torch.compile(selective_scan.selective_scan, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*inputs, True), right, rtol=1e-5, atol=1e-6)
    with pytest.raises(AttributeError):
        selective_scan.selective_scan(*inputs, True)
