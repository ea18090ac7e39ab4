"""Triton's kernels without a GPU: in the interpreter, and through the compiler for GPUs that are not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: str, **environment: str) -> str:
    """Triton reads the environment when it is imported: hence a process of its own."""
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_in_the_interpreter() -> None:
    pytest.importorskip("triton")
    cases = "tests/models/interpreted_strip_triton.py"
    print(python("-m", "pytest", "-q", "-p", "no:cacheprovider", cases, TRITON_INTERPRET="1"))


@pytest.mark.slow
def test_compiles_for_gpus_without_one(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    found = python("-m", "tests.models.compiled_strip_triton", TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    kernels = [line.split() for line in found.splitlines()]
    assert {(name, capability) for name, capability, *_ in kernels} == {
        (name, capability) for name in ("_place", "_gather", "_gather_dot", "_scatter") for capability in ("80", "90")
    }
    for name, _, products, shared in kernels:
        assert (int(products) > 0) == (name == "_scatter")  # tensor cores
        assert int(shared) <= 99 * 1024  # of a block, on the smallest of these GPUs


def test_kernels_are_not_imported_without_a_gpu() -> None:
    code = (
        "import sys, torch; from scaseg.models.layers.strip_attention import strip_attention as strip;"
        "x = torch.ones(1, 1, 600); strip(x, x, x[..., None], mode='spline');"
        "sys.exit('scaseg.models.layers.strip_triton' in sys.modules)"  # torch itself imports triton where it finds it
    )
    python("-c", code)
