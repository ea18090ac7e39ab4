"""First and second gradients, transforms of functions, determinism, memory."""

import pytest
import torch
from torch import Tensor

from scaseg.models.layers.strip_attention import strip_attention
from tests.models.strip_families import distance, exact, gradients, inputs, spline


@pytest.mark.parametrize("nodes", [128, 192])
def test_gradcheck(nodes: int) -> None:
    """The nodes move with the numbers, the gradient takes them for fixed: equal to the error of the spline."""
    leaves = [x.double().requires_grad_() for x in inputs(1, 2, 9, 5, 2)]

    def form(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return strip_attention(q, k, v, 0.7, "spline", nodes)

    assert torch.autograd.gradcheck(form, leaves, atol=1e-6, rtol=1e-5, fast_mode=True)


def test_gradgradcheck() -> None:
    leaves = [x.double().requires_grad_() for x in inputs(1, 2, 9, 5, 2)]
    assert torch.autograd.gradgradcheck(
        lambda q, k, v: strip_attention(q, k, v, 0.7, "spline"), leaves, atol=1e-5, fast_mode=True
    )


def test_gradient_penalty_trains() -> None:
    leaves = [x.requires_grad_() for x in inputs(1, 2, 600, 40, 3)]
    (first,) = torch.autograd.grad(spline(*leaves).square().sum(), leaves[0], create_graph=True)
    second = torch.autograd.grad(first.square().sum(), leaves)
    doubles = [x.detach().double().requires_grad_() for x in leaves]
    (first,) = torch.autograd.grad(exact(*doubles).square().sum(), doubles[0], create_graph=True)
    for found, right in zip(second, torch.autograd.grad(first.square().sum(), doubles), strict=True):
        assert distance(found, right) < 1e-4


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_input_alone(which: int) -> None:
    qkv = inputs(2, 3, 600, 40, 5)
    grad = torch.randn(2, 3, 600, 5)
    right = gradients(spline, qkv, grad)[which]
    leaves = [x.clone().requires_grad_(number == which) for number, x in enumerate(qkv)]
    spline(*leaves).backward(grad)
    for number, x in enumerate(leaves):
        assert (x.grad is not None) == (number == which)
    assert leaves[which].grad is not None
    assert torch.equal(leaves[which].grad, right)


def test_one_and_two_threads_give_the_same_numbers() -> None:
    qkv = inputs(2, 5, 9000, 300, 16)  # several blocks, one of them across two batch items
    grad = torch.randn(2, 5, 9000, 16)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            found.append((spline(*qkv), *gradients(spline, qkv, grad)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(x, y) for x, y in zip(found[0], other, strict=True))


def test_many_heads_and_items_beyond_sixteen_bits() -> None:
    qkv = inputs(40, 4, 30, 20, 3)  # 160 tables of 256 rows in one block
    grad = torch.randn(40, 4, 30, 3)
    torch.testing.assert_close(spline(*qkv).double(), exact(*qkv), atol=1e-5, rtol=0)
    for found, right in zip(gradients(spline, qkv, grad), gradients(exact, qkv, grad), strict=True):
        assert distance(found, right) < 1e-5


def test_function_transforms() -> None:
    q, k, v = inputs(4, 2, 60, 20, 3)
    mapped = torch.vmap(spline, in_dims=(0, 1, None))(q.unsqueeze(1), k.unsqueeze(0), v[:1])
    torch.testing.assert_close(mapped, torch.stack([spline(q[i : i + 1], k[i : i + 1], v[:1]) for i in range(4)]))
    right = gradients(spline, (q, k, v), torch.ones(4, 2, 60, 3))
    found = torch.func.grad(lambda *qkv: spline(*qkv).sum(), argnums=(0, 1, 2))(q, k, v)
    for x, y in zip(found, right, strict=True):
        torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-4)


def test_what_is_kept_for_the_backward_is_linear() -> None:
    """Query, key, value, the samples and a number a query; never queries times keys."""
    kept: list[int] = []

    def pack(x: Tensor) -> Tensor:
        kept.append(x.numel())
        return x

    q, k, v = (x.requires_grad_() for x in inputs(1, 2, 5000, 400, 8))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        spline(q, k, v)
    assert sum(kept) == 2 * q.numel() + k.numel() + v.numel() + 2 * 128 * (8 + 1)


def test_nothing_is_kept_without_gradients() -> None:
    with torch.inference_mode():
        out = spline(*inputs(1, 2, 600, 40, 5))
    assert out.is_inference()
