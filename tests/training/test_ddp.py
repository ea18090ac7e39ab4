"""Two processes on the CPU, over gloo, as Lightning starts them."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scaseg.data.datasets import CounterBatches, ShardedIndices
from scaseg.errors import UserError
from scaseg.evaluation.more_metrics import COLUMNS
from scaseg.schema import METRICS
from scaseg.training.trainer import process_rank
from tests.training.test_resume import assert_equal_runs
from tests.training.tiny import QUIET, camvid, command, config, execute, folder_of, on_camvid, rows, run

TWO = ["hardware.devices=2"]
slow = pytest.mark.slow
pytestmark = QUIET


def job(output: Path, cut: int, *overrides: str) -> int:
    done = execute([sys.executable, "-m", "tests.training.seen_job", str(output), str(cut), *overrides])
    return done.returncode


def seen(output: Path, rank: int, start: int = 0) -> list[list[int]]:
    return json.loads((output / "seen" / f"{rank}-{start}.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes."""
    output = tmp_path_factory.mktemp("two")
    assert job(output, -1, *TWO) == 0
    return output


@slow
def test_the_run_of_two_processes_finishes_and_says_so_once(trained: Path) -> None:
    (folder,) = (trained / "runs").iterdir()
    assert folder == folder_of(config(trained / "runs"))  # hardware is no part of a run's identity
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["step"], result["world_size"]) == ("done", 8, 2)
    told = [int(row["step"]) for row in rows(folder) if row["train/loss"] or row["val/mIoU"]]  # not strip attention's
    assert told == [2, 4, 4, 6, 8, 8]
    assert (folder / "log.txt").read_text().count("starting") == 1
    assert sum(entry["pixels"] for entry in result["per_class"].values()) == 11 * 32 * 64  # 6 and 5 images


@slow
def test_two_processes_together_see_what_one_would(trained: Path, tmp_path: Path) -> None:
    assert job(tmp_path, -1) == 0
    together = [a + b for a, b in zip(seen(trained, 0), seen(trained, 1), strict=True)]
    assert together == seen(tmp_path, 0)


@slow
def test_two_processes_resume_as_if_nothing_had_been(trained: Path, tmp_path: Path) -> None:
    assert job(tmp_path, 5, *TWO) != 0
    assert job(tmp_path, -1, *TWO) == 0
    for rank in (0, 1):
        assert seen(tmp_path, rank, 4) == seen(trained, rank)[4:]
    assert_equal_runs(folder_of(config(tmp_path / "runs")), folder_of(config(trained / "runs")), train_rows=False)


@slow
def test_evaluation_is_exact_whatever_the_number_of_processes(trained: Path) -> None:
    folder = folder_of(config(trained / "runs"))
    logged = json.loads((folder / "result.json").read_text())
    by: dict[int, Any] = {}
    for devices in (1, 2):
        output = trained / f"by_{devices}"
        done = execute(
            [
                *(sys.executable, "-m", "scaseg.evaluate", f"ckpt={folder / 'checkpoints/last.ckpt'}"),
                *(f"output={output}", "hardware.accelerator=cpu", f"hardware.devices={devices}"),
                *("hardware.num_workers=0", "hardware.threads=1", f"metrics=[{','.join(METRICS)}]"),
            ]
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("pixel accuracy") == done.stdout.count("val/loss") == 1
        by[devices] = json.loads((output / "result.json").read_text())
        assert by[devices]["world_size"] == devices
    for key in ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent"):
        assert by[1][key] == by[2][key]
        assert by[2][key] == logged[key]
    assert by[1]["metrics"].keys() == set(COLUMNS.values())
    assert by[1]["metrics"] == pytest.approx(by[2]["metrics"], rel=1e-6)


@slow
def test_the_command_starts_its_own_processes(tmp_path: Path) -> None:
    done = execute(command(tmp_path, *TWO, "hardware.num_workers=1"))
    assert done.returncode == 0, done.stderr
    result = json.loads((folder_of(config(tmp_path)) / "result.json").read_text())
    assert result["world_size"] == 2
    assert done.stdout.count("best mIoU") == done.stderr.count("starting") == 1
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


@slow
@pytest.mark.parametrize("wrong", ["a", "abcde"])
def test_a_bad_file_ends_all_processes_and_is_named(wrong: str, tmp_path: Path) -> None:
    root = camvid(tmp_path / "camvid")
    for name in wrong:
        cv2.imwrite(str(root / "trainannot" / f"{name}.png"), np.full((40, 64), 99, np.uint8))
    done = execute([sys.executable, "-m", "scaseg.train", *on_camvid(root), f"output_dir={tmp_path / 'runs'}", *TWO])
    assert done.returncode != 0
    assert "trainannot" in done.stderr
    assert "the mask holds id 99" in done.stderr
    assert not list((tmp_path / "runs").glob("*/result.json"))


def test_fewer_images_than_processes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 images to evaluate cannot be shared among 2 processes"):
        run(config(tmp_path, *TWO, "dataset.length=1"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("world", [1, 2, 3])
def test_counters_and_shards_are_dealt_out_once(world: int) -> None:
    ranks = [list(CounterBatches(12, 60, 2, rank, world)) for rank in range(world)]
    samples = [n for step in zip(*ranks, strict=True) for batch in step for n in batch]
    assert samples == list(range(12, 60))
    shards = [list(ShardedIndices(11, rank, world)) for rank in range(world)]
    assert sorted(n for shard in shards for n in shard) == list(range(11))


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, 0),
        ({"LOCAL_RANK": "1"}, 1),  # Lightning's child
        ({"NODE_RANK": "1"}, 1),  # Lightning's first process on the second node
        ({"RANK": "5", "LOCAL_RANK": "1"}, 5),  # torchrun
        ({"RANK": "0", "LOCAL_RANK": "0", "NODE_RANK": "0"}, 0),
        ({"SLURM_PROCID": "3"}, 3),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, 1),  # Lightning's child in an interactive SLURM shell
    ],
)
def test_one_process_knows_that_it_is_the_first(
    environment: dict[str, str], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (process_rank() == 0) == (rank == 0)
