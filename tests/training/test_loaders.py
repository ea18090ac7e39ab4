"""What ends the processes that load, told in one line."""

import os
import signal
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
from torch.utils.data import Dataset

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
