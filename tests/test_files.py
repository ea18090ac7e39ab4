"""A file is what it was before or the new one whole, whatever happens in between."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scaseg import files
from scaseg.errors import UserError
from tests.conftest import ROOT


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    files.write_json(path, {"mIoU": 1.5})
    with files.replacing(path) as beside:
        beside.write_text("half")
        assert beside.parent == path.parent and beside.suffix == ".json"
        assert json.loads(path.read_text()) == {"mIoU": 1.5}
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_write_that_failed(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def half() -> None:
        with files.replacing(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(error):
        half()
    assert (list(tmp_path.iterdir()), path.read_text()) == ([path], "before")


def test_what_is_no_number_does_not_become_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"mIoU": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_with_the_space(tmp_path: Path) -> None:
    """/dev/full takes nothing, as a full disk does."""
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"whole")

    def too_much() -> None:
        with files.replacing(path) as beside:
            beside.symlink_to("/dev/full")
            beside.write_bytes(b"0" * 100)

    with pytest.raises(UserError, match=r"last\.ckpt: no space left on its disk \(.* MB free"):
        too_much()
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([path], b"whole")


def test_killed_at_any_moment_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    program = (
        "import sys; from pathlib import Path; from scaseg import files; path = Path(sys.argv[1])\n"
        "number = 0\n"
        "while True:\n"
        "    number = (number + 1) % 256\n"
        "    files.write_bytes(path, bytes([number]) * 3_000_000)\n"
        "    print(number, flush=True)\n"
    )
    for wait in (0.0, 0.003, 0.01, 0.02):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        data = path.read_bytes()
        assert len(data) == 3_000_000 and data == data[:1] * len(data)
