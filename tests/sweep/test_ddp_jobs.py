"""Jobs of two processes in a sweep: whichever of them crashes, the job fails in good time and the others go on."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from scaseg.runs import store
from tests.conftest import ROOT
from tests.training.tiny import TINY


@pytest.mark.slow
def test_a_crashed_process_fails_its_job_and_nothing_hangs(tmp_path: Path) -> None:
    options = ["seed=1,2,3,0", "hardware.devices=2", "hydra.launcher.max_parallel=1", f"output_dir={tmp_path}"]
    program = [sys.executable, "-m", "tests.sweep.ddp_job", "--multirun", *TINY, *options]
    started = time.monotonic()
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert time.monotonic() - started < 240
    assert done.returncode == 1
    assert "1 of 4 jobs done" in done.stderr, done.stderr
    said = {path.name.split("-")[4]: store.read(path) for path in tmp_path.glob("shapes*")}
    assert said["s0"]["status"] == "done"
    for seed, rank in (("s1", 1), ("s2", 0)):
        assert (said[seed]["status"], said[seed]["error"]) == (
            "failed",
            f"ValueError: process {rank} has had enough",
        )
        (log,) = tmp_path.glob(f"*-{seed}-*/job.log")
        assert f"process {rank} has had enough" in log.read_text()
    assert said["s3"]["status"] in ("failed", "pending")
    left = subprocess.run(["pgrep", "-f", f"output_dir={tmp_path}"], capture_output=True, text=True, check=False)
    assert left.stdout == ""
