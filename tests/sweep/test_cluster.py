"""The same sweep through submitit: with its local executor a preempted job is queued again and goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from scaseg.choices import CONF_DIR
from scaseg.runs import store
from tests.conftest import ROOT
from tests.training.tiny import TINY


def test_what_slurm_is_asked_for() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = compose("train", ["hydra/launcher=slurm", "hardware.devices=2"], return_hydra_config=True)
        launcher = cfg.hydra.launcher
        assert launcher._target_.endswith(".SlurmLauncher")
        assert (launcher.tasks_per_node, launcher.gpus_per_node, launcher.nodes) == (2, 2, 1)
        assert launcher.additional_parameters == {"requeue": True}
        plain = compose("train", ["hydra/launcher=submitit_slurm"], return_hydra_config=True)
        assert launcher.keys() == plain.hydra.launcher.keys()


@pytest.mark.slow
def test_a_preempted_job_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    options = ["seed=0", "hydra/launcher=submitit_local", "training.max_steps=200", f"output_dir={tmp_path}"]
    program = [sys.executable, "-m", "scaseg.train", "--multirun", *TINY, *options]
    sweep = subprocess.Popen(program, cwd=ROOT, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not any((store.read(path.parent).get("step") or 0) > 8 for path in tmp_path.glob("*/status.json")):
        assert sweep.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (folder,) = (path.parent for path in tmp_path.glob("*/status.json"))
    os.kill(store.read(folder)["pid"], signal.SIGUSR2)  # what submitit has SLURM send before it takes the machine
    assert sweep.wait(timeout=300) == 0
    said = store.read(folder)
    assert (said["status"], said["attempt"], said["step"]) == ("done", 2, 200)
    assert said["first_step"] >= 6  # the last checkpoint before a step above 8, with one every 3 steps
