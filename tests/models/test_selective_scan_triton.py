"""The scan's Triton kernels without a GPU: in the interpreter, and through the compiler for GPUs that are not there."""

from pathlib import Path

import pytest
import torch

from scaseg.models.encoders.selective_scan_2d import SelectiveScan2d
from tests.models.test_strip_triton import python


def test_in_the_interpreter() -> None:
    pytest.importorskip("triton")
    cases = "tests/models/interpreted_selective_scan_triton.py"
    print(python("-m", "pytest", "-q", "-p", "no:cacheprovider", cases, TRITON_INTERPRET="1"))


@pytest.mark.slow
def test_compiles_for_gpus_without_one(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    module = "tests.models.compiled_selective_scan_triton"
    found = python("-m", module, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    kernels = [line.split() for line in found.splitlines()]
    assert {(name, capability) for name, capability, *_ in kernels} == {
        (name, capability) for name in ("_scan", "_carry", "_gradients") for capability in ("80", "90")
    }
    assert all(int(shared) <= 99 * 1024 for *_, shared in kernels)  # of a block, on the smallest of these GPUs


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    """The layer at the sizes of stages 1 to 3 of a 512 x 512 image, against float64 on the CPU."""
    torch.manual_seed(0)
    for channels, size in ((32, 128), (64, 64), (144, 32)):
        layer, x = SelectiveScan2d(channels), torch.randn(2, channels, size, size)
        leaves = [x.cuda().requires_grad_(), *layer.cuda().parameters()]
        out = layer(leaves[0])
        found = [out, *torch.autograd.grad(out.square().mean(), leaves)]
        leaves = [x.cpu().double().requires_grad_(), *layer.cpu().double().parameters()]
        out = layer(leaves[0])
        for ours, exact in zip(found, [out, *torch.autograd.grad(out.square().mean(), leaves)], strict=True):
            assert (ours.cpu() - exact).abs().max() <= 1e-4 * exact.abs().max()


def test_kernels_are_not_imported_without_a_gpu() -> None:
    code = (
        "import sys, torch; from scaseg.models.encoders.selective_scan_2d import SelectiveScan2d;"
        "SelectiveScan2d(4)(torch.zeros(1, 4, 3, 3)).sum().backward();"
        "sys.exit('scaseg.models.encoders.selective_scan_triton' in sys.modules)"
    )
    python("-c", code)
