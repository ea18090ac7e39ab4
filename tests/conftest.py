import os
from pathlib import Path

import pytest
from hypothesis import settings

from scaseg.machine import processor_name

ROOT = Path(__file__).resolve().parents[1]

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # each process its share of the cores; set before torch is imported
    share = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(share))

# Property tests run the same examples everywhere; `make explore` looks for new ones.
settings.register_profile("same", derandomize=True, database=None)
settings.register_profile("explore", derandomize=False, database=None, print_blob=True)
settings.load_profile(os.environ.get("SCASEG_EXAMPLES", "same"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the checkout; tests that want it skip where it is not there."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no ../shared beside this checkout")
    return folder


def pytest_report_header() -> str:
    """On which processor this runs, and with which of torch's kernels: results differ in their last bits."""
    import torch

    asked = os.environ.get("ATEN_CPU_CAPABILITY", "not set")
    kernels, name = torch.backends.cpu.get_cpu_capability(), processor_name()
    examples = os.environ.get("SCASEG_EXAMPLES", "same")
    return f"processor: {name}; torch's kernels: {kernels} (ATEN_CPU_CAPABILITY: {asked}); property tests: {examples}"
