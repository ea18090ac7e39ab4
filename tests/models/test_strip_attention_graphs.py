"""torch.compile and torch.export: one graph, the numbers of the eager form."""

import pytest
import torch
from torch import Tensor, nn

from scaseg.models.layers.strip_attention import strip_attention
from tests.models.strip_families import gradients, inputs, spline

pytestmark = [
    pytest.mark.slow,
    # of torch's own making: dynamo makes a Function to stand for the context, inductor imports torch.jit
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch.compiler.reset()


@pytest.mark.parametrize("mode", ["spline", "auto"])
def test_compiled_in_one_graph_both_ways(mode: str) -> None:
    def form(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return strip_attention(q, k, v, 0.9, mode, nodes=144)  # constants that no eager call has made yet

    qkv = inputs(2, 3, 1400, 128, 8)
    grad = torch.randn(2, 3, 1400, 8)
    compiled = torch.compile(form, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*qkv), form(*qkv), atol=1e-5, rtol=0)
    for found, right in zip(gradients(compiled, qkv, grad), gradients(form, qkv, grad), strict=True):
        torch.testing.assert_close(found, right, atol=1e-4, rtol=1e-4)


def test_compiled_for_any_number_of_queries() -> None:
    compiled = torch.compile(spline, fullgraph=True, dynamic=True)
    for queries in (700, 900):
        qkv = inputs(1, 2, queries, 96, 8)
        torch.testing.assert_close(compiled(*qkv), spline(*qkv), atol=1e-5, rtol=0)


def test_compiled_under_autocast() -> None:
    qkv = inputs(1, 2, 700, 96, 8)
    grad = torch.randn(1, 2, 700, 8)
    right = gradients(spline, qkv, grad)
    compiled = torch.compile(spline, fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients(compiled, qkv, grad)
    for x, y in zip(found, right, strict=True):
        torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-4)


class Strip(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return strip_attention(q, k, v, mode=self.mode, nodes=112)


@pytest.mark.parametrize("mode", ["spline", "auto", "exact"])
@pytest.mark.parametrize("strict", [False, True])
def test_exported(mode: str, strict: bool) -> None:
    qkv = inputs(2, 3, 1400, 128, 8)
    module = Strip(mode)
    program = torch.export.export(module, qkv, strict=strict)
    other = inputs(2, 3, 1400, 128, 8, seed=1)
    torch.testing.assert_close(program.module()(*other), module(*other), atol=1e-5, rtol=0)
    torch.testing.assert_close(module(*other), strip_attention(*other, mode="exact"), atol=1e-5, rtol=0)
