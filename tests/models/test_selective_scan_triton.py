"""The scan's Triton kernels without a GPU: in the interpreter, and through the compiler for GPUs that are not there."""

from pathlib import Path

import pytest

from tests.models.test_strip_triton import python


def test_in_the_interpreter() -> None:
    pytest.importorskip("triton")
    cases = "tests/models/interpreted_selective_scan_triton.py"
    print(python("-m", "pytest", "-q", "-p", "no:cacheprovider", cases, TRITON_INTERPRET="1"))


def test_compiles_for_gpus_without_one(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    module = "tests.models.compiled_selective_scan_triton"
    found = python("-m", module, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    kernels = [line.split() for line in found.splitlines()]
    assert {(name, capability) for name, capability, *_ in kernels} == {
        (name, capability) for name in ("_scan", "_carry", "_gradients") for capability in ("80", "90")
    }
    assert all(int(shared) <= 99 * 1024 for *_, shared in kernels)  # of a block, on the smallest of these GPUs


def test_kernels_are_not_imported_without_a_gpu() -> None:
    code = (
        "import sys, torch; from scaseg.models.encoders.segman import SelectiveScan2d;"
        "SelectiveScan2d(4)(torch.zeros(1, 4, 3, 3)).sum().backward();"
        "sys.exit('scaseg.models.encoders.selective_scan_triton' in sys.modules)"
    )
    python("-c", code)
