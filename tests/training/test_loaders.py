"""What ends the processes that load, told in one line."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
from torch.utils.data import DataLoader, Dataset

from scaseg.data.datasets import start_worker, starting_workers
from scaseg.errors import UserError
from scaseg.training.datamodule import StreamLoader
from tests.conftest import ROOT
from tests.training.tiny import QUIET

pytestmark = QUIET


class Faulty(Dataset[int]):
    """Raises, or is killed, in whichever process reads it."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise self.error  # type: ignore[misc]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("a.png: damaged"), r"^a\.png: damaged$"),
        (
            RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)"),
            r"^/dev/shm \(\d+ MB\) is too small for the batches of hardware.num_workers=1 .*hardware.num_workers=0$",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ..."),
            "--shm-size",
        ),
        (None, r"^a loader process was ended from outside.* hardware.num_workers=0, need less$"),
    ],
)
def test_what_ends_a_loader_is_named(error: Exception | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        next(iter(StreamLoader(Faulty(error), num_workers=1)))


def test_another_error_is_not_taken_for_one_of_these() -> None:
    with pytest.raises(RuntimeError, match="of another kind"):
        next(iter(StreamLoader(Faulty(RuntimeError("of another kind")), num_workers=1)))


def test_a_loader_outlives_the_signals_that_stop_its_training_and_not_those_of_its_parent() -> None:
    loader = DataLoader(range(4000), num_workers=1, worker_init_fn=start_worker)  # type: ignore[arg-type]
    with starting_workers():
        batches = iter(loader)
    assert next(batches) == 0
    (process,) = batches._workers  # type: ignore[attr-defined]
    for number in (signal.SIGTERM, signal.SIGINT) * 5:
        subprocess.run(["kill", f"-{number}", str(process.pid)], check=True)  # from a process that is not its parent
    assert [int(next(batches)) for _ in range(50)] == list(range(1, 51))
    process.terminate()
    process.join(20)
    assert process.exitcode == 0


def test_a_program_that_fails_ends_with_its_loaders(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(FAILS)
    done = subprocess.run(
        [sys.executable, tmp_path / "fails.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=100,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "it fails" in done.stderr) == (1, True)


FAILS = """
import scaseg.torchvision_fix
from scaseg.data.datasets import start_worker, starting_workers
from scaseg.training.datamodule import StreamLoader

if __name__ == "__main__":
    batches = iter(StreamLoader(range(99), num_workers=2, worker_init_fn=start_worker, persistent_workers=True))
    next(batches)
    raise ValueError("it fails")
"""
