"""The sweep of experiments/sweep: killed jobs and a killed sweep change no result."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_a_disturbed_sweep_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "experiments.sweep.disturb", str(tmp_path), "hydra.launcher.max_parallel=2"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert "equal bit for bit: 11 of 12 runs\n" in done.stdout
    assert "failed: training.lr=1000000000000.0: the training loss is nan at step" in done.stdout
    assert done.stderr.count("11 of 12 jobs done") == 2
    assert "(4 of them before)" in done.stderr or "(5 of them before)" in done.stderr
