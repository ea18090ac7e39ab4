"""States of a run, and that two processes never work on one at the same time, however the first ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scaseg.errors import BusyError, UserError
from scaseg.runs import store
from tests.conftest import ROOT

HOLD = """
import sys, time
from pathlib import Path
from scaseg.runs import store
with store.claimed(Path(sys.argv[1]), False):
    store.progress(Path(sys.argv[1]), step=3)
    print("held", flush=True)
    {then}
"""
COUNT = """
import sys, time
from pathlib import Path
from scaseg.runs import store
from scaseg.errors import BusyError
folder, log = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(60):
    try:
        with store.held(folder):
            with log.open("a") as file:
                file.write("in\\n")
                file.flush()
                time.sleep(0.001)
                file.write("out\\n")
    except BusyError:
        pass
"""


def process(code: str, *arguments: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_run_goes_from_new_to_done(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    assert store.read(folder)["status"] == "new"
    with store.claimed(folder, False):
        assert store.read(folder)["status"] == "running"
        assert store.is_held(folder)
        store.progress(folder, step=4, best_mIoU=12.5)
        (folder / "result.json").write_text("{}")
    said = store.read(folder)
    assert (said["status"], said["step"], said["best_mIoU"], said["attempt"]) == ("done", 4, 12.5, 1)
    assert not store.is_held(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["result.json", "status.json"]


def test_an_error_is_kept_and_the_first_one_is(tmp_path: Path) -> None:
    @store.reporting(tmp_path)
    def another_process() -> None:
        raise RuntimeError("of another process")

    @store.claimed(tmp_path, False)
    def this_process() -> None:
        store.progress(tmp_path, step=1)
        with pytest.raises(RuntimeError):
            another_process()
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        this_process()
    said = store.read(tmp_path)
    assert (said["status"], said["error"]) == ("failed", "RuntimeError: of another process")
    store.progress(tmp_path, step=9)  # late, from a process that does not know yet
    assert store.read(tmp_path)["step"] == 1


def test_stopped_is_not_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), store.claimed(tmp_path, False):
        raise KeyboardInterrupt
    assert store.read(tmp_path)["status"] == "pending"


@pytest.mark.parametrize("fresh", [False, True])
def test_a_mistake_before_anything_was_learned_leaves_all_as_it_was(fresh: bool, tmp_path: Path) -> None:
    new = tmp_path / "some" / "runs" / "a"
    with pytest.raises(UserError), store.claimed(new, fresh):
        raise UserError("wrong")
    assert not list(tmp_path.iterdir())
    old = tmp_path / "b"
    with store.claimed(old, False):
        (old / "metrics.csv").write_text("1")
    before = (old / "status.json").read_text()
    with pytest.raises(UserError), store.claimed(old, fresh):
        raise UserError("wrong")
    assert (old / "status.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_kill_nine_frees_the_run_and_it_counts_as_cut_off(tmp_path: Path) -> None:
    holder = process(HOLD.format(then="time.sleep(60)"), tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert store.read(tmp_path)["status"] == "running"
    with pytest.raises(BusyError, match=f"being worked on by process {holder.pid} on "), store.held(tmp_path):
        pass
    with pytest.raises(BusyError), store.claimed(tmp_path, True):
        pass
    holder.kill()
    holder.communicate()
    assert store.read(tmp_path)["status"] == "cut off"
    with store.claimed(tmp_path, False):
        assert store.read(tmp_path)["attempt"] == 2


def test_loader_processes_do_not_keep_the_run_held(tmp_path: Path) -> None:
    """A forked child outlives its killed parent."""
    then = "import os\n    if os.fork() == 0:\n        time.sleep(3); os._exit(0)\n    time.sleep(60)"
    holder = process(HOLD.format(then=then), tmp_path)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    assert not store.is_held(tmp_path)
    holder.stdout.close()


def test_two_never_hold_a_run_together(tmp_path: Path) -> None:
    log = tmp_path / "log"
    racers = [process(COUNT, tmp_path, log) for _ in range(3)]
    assert [racer.communicate()[0] for racer in racers] == ["", "", ""]
    said = log.read_text().split()
    assert said == ["in", "out"] * (len(said) // 2)
    assert len(said) > 2 * 60


def test_status_is_whole_at_any_time(tmp_path: Path) -> None:
    """Killed while it writes: the file that is read is one of those that were written."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom scaseg.runs import store\n"
        "for step in range(10**9):\n"
        "    store.write(Path(sys.argv[1]), status='pending', step=step, text='x' * 20000)"
    )
    writer = process(code, tmp_path)
    while not (tmp_path / "status.json").exists():
        time.sleep(0.01)
    for _ in range(200):
        said = json.loads((tmp_path / "status.json").read_text())
        assert len(said["text"]) == 20000
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert store.read(tmp_path)["status"] == "pending"


def test_set_aside_keeps_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    for number in (1, 2):
        folder.mkdir()
        (folder / "note").write_text(str(number))
        assert store.set_aside(folder).name == f"a.old-{number}"
    assert [(tmp_path / f"a.old-{n}" / "note").read_text() for n in (1, 2)] == ["1", "2"]
    assert not list(tmp_path.rglob(".lock"))
