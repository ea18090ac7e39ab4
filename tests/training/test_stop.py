"""Ctrl-C and SIGTERM end a training after its step, with a checkpoint, and say from where the same command goes on."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from scaseg.training.stop import TOGETHER_S
from tests.training.test_resume import END, VALIDATION, assert_equal_runs
from tests.training.tiny import QUIET, command, config, folder_of, run

pytestmark = QUIET
LONG = ["training.val_every=4", "training.checkpoint_every=1000"]


class Signal(Callback):
    """Sends this process a signal in one hook at one step."""

    def __init__(self, number: int, hook: str, step: int, times: int = 1) -> None:
        def send(trainer: Trainer, pl_module: Any, *args: Any) -> None:
            if trainer.global_step == step:
                for i in range(times):
                    time.sleep(2 * TOGETHER_S if i else 0)
                    os.kill(os.getpid(), number)

        setattr(self, hook, send)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cfg = config(tmp_path_factory.mktemp("whole"), *LONG)
    run(cfg)
    return folder_of(cfg)


@pytest.mark.parametrize(
    ("number", "hook", "step", "saved"),
    [
        (signal.SIGINT, "on_train_batch_start", 5, 6),
        (signal.SIGTERM, END, 2, 2),
        (signal.SIGINT, END, 4, 3),  # a validation would follow, and be missed after it
        (signal.SIGINT, VALIDATION, 4, 3),
        (signal.SIGTERM, "on_validation_batch_end", 8, 7),
        (signal.SIGTERM, "on_validation_end", 4, 4),
    ],
)
def test_it_goes_on_from_the_step_that_it_says(
    number: int, hook: str, step: int, saved: int, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cfg, before = config(tmp_path, *LONG), signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as stop:
        run(cfg, Signal(number, hook, step))
    assert stop.value.code == 128 + number
    folder = folder_of(cfg)
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] == saved
    assert caplog.messages[-1] == f"{folder} was stopped; the same command goes on from step {saved}"
    assert signal.getsignal(signal.SIGINT) is before
    run(cfg)
    assert_equal_runs(folder, whole)


def test_before_the_first_step_there_is_nothing_to_keep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cfg = config(tmp_path, *LONG)
    with pytest.raises(SystemExit):
        run(cfg, Signal(signal.SIGINT, "on_train_batch_start", 0, times=2))  # the second does not wait for the step
    assert caplog.messages[-1].endswith("was stopped; the same command starts it again, for it has no checkpoint yet")
    assert not list((folder_of(cfg) / "checkpoints").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_processes_stop_at_one_step(number: int, tmp_path: Path) -> None:
    """All processes are told, as a terminal, `timeout` and SLURM do it: both save and end; the same command goes on."""
    import re
    import subprocess

    from tests.conftest import ROOT
    from tests.training.tiny import execute, rows

    options = ["training.max_steps=60", "training.val_every=20", "hardware.devices=2", "hardware.num_workers=1"]
    started, folder = command(tmp_path, *options), folder_of(config(tmp_path, *options))
    process = subprocess.Popen(
        started, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (folder / "metrics.csv").exists() or int(rows(folder)[-1]["step"] if rows(folder) else 0) < 24:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, number)  # loaders too
    _, told = process.communicate(timeout=200)
    assert process.returncode == 128 + number
    (step,) = re.findall(r"was stopped; the same command goes on from step (\d+)", told)
    assert int(step) >= 24 and "Traceback" not in told
    again = execute(started)
    assert again.returncode == 0 and "resuming" in again.stderr, again.stderr
