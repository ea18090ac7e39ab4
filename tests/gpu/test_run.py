"""The command that measures a GPU: parts that fail, that end out of time and that are killed lose nothing of others."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from experiments.gpu.run import choose, main, read
from scaseg.errors import UserError
from tests.conftest import ROOT
from tests.gpu.fakes import parts


def rehearse(output: Path, *names: str, limit: float = 60.0) -> int:
    return main(["--rehearse", f"output={output}"], parts(*names, limit=limit))


def sections(output: Path) -> dict[str, dict]:
    return {one["name"]: one for one in json.loads((output / "report.json").read_text())["parts"]}


def states(output: Path) -> dict[str, str]:
    return {name: one["state"] for name, one in sections(output).items()}


def alive(pid: int) -> bool:
    """Running, that is: what nobody has waited for yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(file: Path) -> str:
    end = time.monotonic() + 60
    while not (file.is_file() and file.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return file.read_text()


def test_a_part_that_fails_hides_no_other(tmp_path: Path) -> None:
    assert rehearse(tmp_path, "fails", "dies", "cannot", "quick") == 1
    assert states(tmp_path) == {"fails": "failed", "dies": "failed", "cannot": "skipped", "quick": "done"}
    page = (tmp_path / "report.md").read_text()
    for text in (
        *("ValueError: one cannot be", "ValueError: another cannot be", "- a third: skipped, it is not installed"),
        *("| a figure all the same | 1 x |", "| a figure before | 1 x |", "ended with status -11:", "the last words"),
        *("- no CamVid: give carry=FOLDER", "| a figure | 3 s | 3 .. 3 | 1 | at most 4 |", "A rehearsal on a CPU"),
    ):
        assert text in page, page
    assert page.count("**not run: a rehearsal measures nothing**") == 6


def test_a_part_that_runs_out_of_time_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    assert rehearse(tmp_path, "slow", "quick", limit=12) == 1
    found = sections(tmp_path)
    assert states(tmp_path) == {"slow": "out of time", "quick": "done"}
    assert [row["what"] for row in found["slow"]["rows"]] == ["a figure in time"]
    assert "its limit; what was measured until then is kept" in found["slow"]["notes"][0]
    assert not any(alive(int(pid)) for pid in (tmp_path / "work/pids").read_text().split())

    assert main(["--rehearse", f"output={tmp_path}", "minutes=0.001"], parts("slow", "last")) == 1
    assert states(tmp_path) == {"slow": "out of time", "last": "skipped"}
    assert "0 seconds were left" in sections(tmp_path)["last"]["notes"][0]


def test_kill_9_keeps_what_is_done_and_the_same_call_goes_on(tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    program = [sys.executable, "-m", "tests.gpu.fakes", f"output={tmp_path}"]
    command = subprocess.Popen(program, cwd=ROOT, stderr=subprocess.DEVNULL)
    pids = [int(pid) for pid in wait_for(tmp_path / "work/pids").split()]
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    assert states(tmp_path) == {"quick": "done"}
    end = time.monotonic() + 20
    while any(map(alive, pids)):  # nothing that it began is left
        assert time.monotonic() < end
        time.sleep(0.05)
    (tmp_path / "wait").unlink()
    again = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "quick: done before" in again.stderr
    assert states(tmp_path) == {"quick": "done", "slow": "done", "last": "done"}
    assert (tmp_path / "work/quick.txt").read_text() == (tmp_path / "work/last.txt").read_text() == "made\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.json", "report.md", "work"]


def test_without_a_gpu_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"torch sees no GPU here, .*--rehearse"):
        main([f"output={tmp_path / 'new'}"], parts("quick"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"rehearsal": true}', '{"rehearsal": true, "machine": {}, "parts": [1]}'])
def test_a_report_that_is_none_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UserError, match=r"report\.json is no report of this command .*name another output"):
        rehearse(tmp_path, "quick")
    assert (tmp_path / "report.json").read_text() == text


def test_a_report_of_another_machine_is_left_alone(tmp_path: Path) -> None:
    assert rehearse(tmp_path, "quick") == 0
    plain = json.loads((tmp_path / "report.json").read_text())
    plain["rehearsal"] = False
    plain["machine"]["machine"]["gpu"] = "Another"
    (tmp_path / "report.json").write_text(json.dumps(plain))
    with pytest.raises(UserError, match="holds the report of Another, and this is a rehearsal"):
        rehearse(tmp_path, "quick")


def test_the_command_line() -> None:
    asked = read(["--rehearse", "minutes=9.5", "output=a/b", "parts=2,quick"])
    assert (asked.rehearse, asked.seconds, asked.output, asked.work) == (True, 570, Path("a/b"), None)
    three = parts("quick", "slow", "last")
    assert [part.name for part in choose("3,quick", three)] == ["quick", "last"]
    assert choose("", three) == three
    for wrong, message in (
        ("minuts=3", "minuts=3: give --rehearse or KEY=VALUE, where KEY is one of minutes, output, carry, work, parts"),
        ("rehearse=1", "give --rehearse"),
        ("minutes=ten", "minutes=ten: a number"),
        ("minutes=0", "minutes=0.0 must lie between 0.001 and 10000"),
    ):
        with pytest.raises(UserError, match=message):
            read([wrong])
    with pytest.raises(UserError, match="parts=1,4: 4 is none of 1 quick, 2 slow, 3 last"):
        choose("1,4", three)


def test_help_takes_no_torch() -> None:
    code = "import sys, experiments.gpu.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
