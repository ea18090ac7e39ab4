"""What ends the processes that load, told in one line."""

import os
import signal
import time
from multiprocessing import Process
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
from torch.utils.data import DataLoader, Dataset

from scaseg.data.datasets import start_worker
from scaseg.errors import UserError
from scaseg.training.datamodule import StreamLoader
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


def test_a_loader_outlives_the_signals_that_stop_its_training() -> None:
    loader = iter(DataLoader(range(4000), num_workers=1, worker_init_fn=start_worker))  # type: ignore[arg-type]
    assert next(loader) == 0
    (process,) = loader._workers  # type: ignore[attr-defined]
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(process.pid, number)
    assert [int(next(loader)) for _ in range(50)] == list(range(1, 51))
    del loader
    process.join(20)
    assert process.exitcode == 0


def test_the_second_signal_ends_it() -> None:
    process = Process(target=stuck)
    process.start()
    for _ in range(100):
        process.terminate()
        process.join(0.1)
        if not process.is_alive():
            break
    assert process.exitcode == -signal.SIGTERM


def stuck() -> None:
    start_worker(0)
    time.sleep(60)
