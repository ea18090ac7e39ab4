"""Costs of single operators against mmengine.analysis, the counter behind the paper's figures."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.complexity.count import Recorder
from tests.complexity.models import config


class Call(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def ours(module: nn.Module, *inputs: Tensor) -> tuple[int, int]:
    recorder = Recorder()
    with torch.inference_mode(), recorder.watch(module), recorder:
        module(*inputs)
    assert not recorder.unknown
    operations = recorder.operations
    return sum(o.macs for o in operations), sum(o.macs_paper for o in operations)


def theirs(module: nn.Module, *inputs: Tensor) -> int:
    pytest.importorskip("mmengine")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mmengine.analysis.complexity_analysis import FlopAnalyzer

        analyzer = FlopAnalyzer(module, inputs)
        analyzer.unsupported_ops_warnings(False).tracer_warnings("none")
        return int(analyzer.total())


MAP = (2, 6, 5, 7)
CASES: dict[str, tuple[nn.Module, tuple[tuple[int, ...], ...]]] = {
    "linear": (nn.Linear(7, 3), (MAP,)),
    "linear without bias on rows": (nn.Linear(7, 3, bias=False), ((4, 7),)),
    "convolution": (nn.Conv2d(6, 4, 3, 2, 1), (MAP,)),
    "depthwise convolution": (nn.Conv2d(6, 6, 3, padding=1, groups=6), (MAP,)),
    "1-d convolution": (nn.Conv1d(6, 4, 3), ((2, 6, 9),)),
    "transposed convolution": (nn.ConvTranspose2d(6, 4, 3, 2), (MAP,)),
    "layer norm": (nn.LayerNorm(7), (MAP,)),
    "layer norm without affine": (nn.LayerNorm(7, elementwise_affine=False), (MAP,)),
    "batch norm": (nn.BatchNorm2d(6).eval(), (MAP,)),
    "batch norm without affine": (nn.BatchNorm2d(6, affine=False).eval(), (MAP,)),
    "group norm": (nn.GroupNorm(3, 6), (MAP,)),
    "bilinear": (Call(lambda x: F.interpolate(x, (11, 13), mode="bilinear")), (MAP,)),
    "bilinear by factor": (Call(lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear")), (MAP,)),
    "nearest": (Call(lambda x: F.interpolate(x, scale_factor=2.0)), (MAP,)),
    "adaptive pooling": (Call(lambda x: F.adaptive_avg_pool2d(x, (2, 2))), (MAP,)),
    "global pooling": (Call(lambda x: F.adaptive_avg_pool2d(x, 1)), (MAP,)),
    "average pooling": (Call(lambda x: F.avg_pool2d(x, 2, ceil_mode=True)), (MAP,)),
    "matrix product": (Call(lambda a, b: a @ b), ((4, 5), (5, 6))),
    "batched product": (Call(torch.bmm), ((3, 4, 5), (3, 5, 6))),
    "heads' product": (Call(lambda a, b: a @ b.transpose(-1, -2)), ((2, 3, 4, 5), (2, 3, 6, 5))),
    "free ones": (Call(lambda x: F.hardswish(F.gelu(F.relu(x))).softmax(1).mean(1).sigmoid()), (MAP,)),
}


@pytest.mark.parametrize("name", CASES)
def test_paper_convention_is_mmengines(name: str) -> None:
    module, shapes = CASES[name]
    inputs = [torch.randn(shape) for shape in shapes]
    assert ours(module, *inputs)[1] == theirs(module, *inputs)


@pytest.mark.parametrize(
    ("name", "cost"), [("layer norm", 5 * 420), ("batch norm", 2 * 420), ("bilinear", 4 * 2 * 6 * 11 * 13)]
)
def test_norms_and_resizes_are_not_multiply_adds(name: str, cost: int) -> None:
    module, shapes = CASES[name]
    assert ours(module, torch.randn(shapes[0])) == (0, cost)


def test_padding_same_is_a_convolution_too() -> None:
    """mmengine overlooks it."""
    assert ours(nn.Conv2d(6, 4, 3, padding="same"), torch.randn(MAP))[0] == 2 * 6 * 4 * 9 * 5 * 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_attention_is_two_products_whatever_the_kernel(device: str, dtype: torch.dtype) -> None:
    query, key, value = (torch.empty(2, 3, n, d, device=device, dtype=dtype) for n, d in ((7, 8), (5, 8), (5, 4)))
    explicit = Call(lambda q, k, v: (q @ k.transpose(-1, -2)).softmax(-1) @ v)
    counts = ours(Call(F.scaled_dot_product_attention), query, key, value)
    assert counts == ours(explicit, query, key, value) == (2 * 3 * 7 * 5 * (8 + 4),) * 2


def test_weighted_embedding_bag_is_a_sparse_product() -> None:
    def bag(table: Tensor) -> Tensor:
        rows, weights = torch.zeros(10, 6, dtype=torch.int64), torch.ones(10, 6)
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    assert ours(Call(bag), torch.ones(20, 8))[0] == 10 * 6 * 8


@pytest.mark.parametrize("backbone", ["mit_b0", "mscan_t", "lvt"])
@pytest.mark.parametrize("query_pool", [1, 2])
def test_whole_model_as_mmengine_counts_it(backbone: str, query_pool: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention written out as the published code has it; mmengine knows no fused kernel."""
    from scaseg.complexity.published import as_published
    from scaseg.models.build import build_segmentor

    def written_out(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        return (query @ key.transpose(-1, -2) * scale).softmax(-1) @ value

    encoder, decoder = config(f"backbone={backbone}", f"decoder.query_pool={query_pool}")
    model = build_segmentor(encoder, as_published(decoder), 150).eval()
    image = torch.zeros(1, 3, 96, 128)
    fused = ours(model, image)
    monkeypatch.setattr(F, "scaled_dot_product_attention", written_out)
    assert fused == ours(model, image)
    assert fused[1] == theirs(model, image)
