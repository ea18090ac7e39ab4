"""hydra/launcher=local with jobs that only pretend to train: what is started, what is left alone, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scaseg.runs import store
from tests.conftest import ROOT

PROGRAM = [sys.executable, "-m", "tests.sweep.fake_train", "--multirun"]


def start(output: Path, *overrides: str, **environment: str) -> "subprocess.Popen[str]":
    known = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return subprocess.Popen(
        [*PROGRAM, f"output_dir={output}", *overrides],
        cwd=ROOT,
        env={**known, "FAKE_TRACE": str(output.parent / "trace"), "FAKE_SECONDS": "0.1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sweep(output: Path, *overrides: str, **environment: str) -> tuple[int, str]:
    """Run to the end -> exit status, what was said."""
    process = start(output, *overrides, **environment)
    out, err = process.communicate(timeout=120)
    assert out == ""
    assert "Traceback" not in err
    return process.returncode, err


def traced(output: Path) -> Counter[str]:
    """How often each run was worked on."""
    trace = output.parent / "trace"
    return Counter(line.split(" ")[0] for line in trace.read_text().splitlines()) if trace.exists() else Counter()


def of_seed(output: Path, seed: int) -> dict[str, Any]:
    (folder,) = output.glob(f"*-s{seed}-*")
    return store.read(folder)


def wait_for_step(output: Path, seed: int, step: int) -> None:
    deadline = time.monotonic() + 60
    while not list(output.glob(f"*-s{seed}-*")) or (of_seed(output, seed).get("step") or 0) < step:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_failure_is_named_and_the_other_jobs_go_on(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    status, said = sweep(output, "seed=0,1,2,3,7", "hydra.launcher.max_parallel=2")
    assert status == 1
    states = {seed: of_seed(output, seed)["status"] for seed in (0, 1, 2, 3, 7)}
    assert states == {0: "done", 1: "failed", 2: "pending", 3: "failed", 7: "done"}
    assert "2 of 5 jobs done" in said
    assert "failed: seed=1\n  ValueError: one by itself\n" in said
    assert "cut off: seed=2\n  ended by SIGKILL at step 5\n" in said
    assert "failed: seed=3\n  the data have a fault\n" in said
    (log,) = output.glob("*-s1-*/job.log")
    assert "Traceback" in log.read_text()
    assert f"  {log}\n" in said
    assert "Error executing" not in said

    # again: what is done stays, what was cut off goes on, what failed is left alone
    status, said = sweep(output, "seed=0,1,2,3,7")
    assert status == 1
    assert sorted(traced(output).values()) == [1, 1, 1, 1, 2]
    assert of_seed(output, 2)["status"] == "done"
    assert "ValueError: one by itself (before; retry=failed starts it again)" in said
    assert json.loads(next(output.glob("*-s2-*/result.json")).read_text())["first"] == 5

    status, said = sweep(output, "seed=1,3", "retry=failed")
    assert status == 0, said  # at its second attempt this fake goes on after the step that it failed at
    assert "2 of 2 jobs done" in said


def test_two_sweeps_at_once_run_each_job_once(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    seeds = "seed=10,11,12,13"
    two = [start(output, seeds, "hydra.launcher.max_parallel=2", FAKE_SECONDS="0.6") for _ in range(2)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in two]
    for said, status in ends:
        assert status == 0, said
        assert "4 of 4 jobs done" in said
    assert sorted(traced(output).values()) == [1] * 4


def test_a_killed_sweep_goes_on_with_the_same_command(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    go = {"FAKE_GO": str(tmp_path / "go")}
    first = start(output, "seed=8,20", "hydra.launcher.max_parallel=1", **go)
    wait_for_step(output, 8, 5)
    first.kill()
    first.communicate()
    assert of_seed(output, 8)["status"] == "running"  # a job outlives its sweep, and the next one waits for it
    again = start(output, "seed=8,20", **go)
    assert again.stderr is not None
    assert again.stderr.readline().startswith("elsewhere: seed=8")
    (tmp_path / "go").touch()
    _, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert sorted(traced(output).values()) == [1, 1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_leaves_everything_resumable(number: signal.Signals, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    process = start(output, "seed=5,6,30", "hydra.launcher.max_parallel=2", "hydra.launcher.grace_s=0.5")
    wait_for_step(output, 5, 5)
    wait_for_step(output, 6, 5)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on with what was not done" in said
    assert "not started: 1" in said
    for seed in (5, 6):  # 6 had to be killed
        said_of = of_seed(output, seed)
        assert said_of["status"] == "pending"
        assert not Path(f"/proc/{said_of['pid']}").exists()


def test_mistakes_are_named_before_any_job_starts(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    for overrides, message in (
        (["seed=0,1", "training.val_every=200,7"], "error: the job seed=0 training.val_every=7: training.val_every=7"),
        (["seed=0,1", "hydra.launcher.max_parallel=0"], "error: hydra.launcher.max_parallel=0 must be at least 1"),
        (["seed=0,1", "hardware.num_nodes=2", "hardware.devices=2"], "hardware.num_nodes needs hydra/launcher=slurm"),
    ):
        status, said = sweep(output, *overrides)
        assert (status, message in said) == (2, True), said
        assert not list(output.glob("shapes*"))


def test_jobs_share_the_machine_and_know_their_group_and_tags(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    gpus = {"CUDA_VISIBLE_DEVICES": "4,7", "OMP_NUM_THREADS": "1"}
    status, said = sweep(output, "seed=40,41,41", "lpm=none", "logger=wandb", FAKE_SECONDS="0.5", **gpus)
    assert status == 0
    assert "2 of 2 jobs done" in said  # two of the same are one
    lines = [line.split(" ") for line in (tmp_path / "trace").read_text().splitlines()]
    assert {line[2] for line in lines} == {"4", "7"}
    assert {line[1] for line in lines} == {"1"}
    configs = [json.loads(path.read_text()) for path in output.glob("*/config.yaml")]
    assert len({config["logger"]["wandb"]["group"] for config in configs}) == 1
    assert sorted(tuple(config["logger"]["wandb"]["tags"]) for config in configs) == [("seed=40",), ("seed=41",)]


def test_fresh_start_of_a_sweep_keeps_the_old_folders(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    assert sweep(output, "seed=50")[0] == 0
    assert sweep(output, "seed=50", "fresh=true")[0] == 0
    new, old = sorted(path.name for path in output.glob("shapes*"))
    assert old == f"{new}.old-1"
    assert (output / new / "job.log").exists()
    assert (output / new / "result.json").exists()


@pytest.mark.parametrize("way", ["hydra.searchpath", "--config-dir"])
def test_jobs_find_the_choices_in_a_users_folder(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "it's mine, all"
    (folder / "experiment").mkdir(parents=True)
    for name, steps in (("one", 20), ("two", 40)):
        text = f"# @package _global_\ntraining: {{max_steps: {steps}, val_every: 20}}\n"
        (folder / "experiment" / f"{name}.yaml").write_text(text)
    quoted = f"hydra.searchpath=['file://{folder}']".replace("t's", r"t\'s")
    given = ["--config-dir", str(folder)] if way == "--config-dir" else [quoted]
    status, said = sweep(tmp_path / "runs", "experiment=one,two", *given)
    assert (status, "2 of 2 jobs done" in said) == (0, True), said
