import json
from pathlib import Path

import pytest

from scaseg.errors import UserError
from scaseg.report.runs import by_seed, collect, differing
from tests.report.folders import run_folder


def test_finished_runs_are_found_at_any_depth(tmp_path: Path) -> None:
    run_folder(tmp_path / "sweep", "b", 40.0, "seed=1")
    run_folder(tmp_path, "a", 41.0, "backbone=mscan_t", "decoder.attn=ca", "lpm=none")
    runs, problems = collect(str(tmp_path))
    assert not problems
    assert [(run.folder.name, run.backbone, run.seed, run.miou) for run in runs] == [
        ("a", "mscan_t", 0, 41.0),
        ("b", "mit_b0", 1, 40.0),
    ]
    assert [runs[0].value(key) for key in ("backbone", "decoder.attn", "lpm", "decoder.clb_stages")] == [
        "mscan_t",
        "ca",
        "none",
        [4, 3, 2, 1],
    ]
    assert [run.folder.name for run in collect(str(tmp_path / "sw*"))[0]] == ["b"]
    assert [run.folder.name for run in collect(str(tmp_path / "a"))[0]] == ["a"]


def test_evaluations_and_old_runs_do_not_claim_the_runs_cell(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 41.0)
    run_folder(tmp_path / "a" / "evaluation", "val-best-12345678", 40.0)
    run_folder(tmp_path, "a.old-1", 39.0)
    assert [run.miou for run in collect(str(tmp_path))[0]] == [41.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "unfinished"),
        ("", "can't be read"),
        ('{"status": "do', "can't be read"),
        ("[1]", "holds no object"),
        ('{"status": "failed"}', "its status is failed"),
        ('{"mIoU": null}', "no usable"),
        ("\xff", "no usable|can't be read"),
    ],
)
def test_broken_runs_are_named(tmp_path: Path, content: str | None, message: str) -> None:
    broken = run_folder(tmp_path, "broken", 1.0) / "result.json"
    run_folder(tmp_path, "whole", 2.0)
    broken.unlink()
    if content is not None:
        broken.write_bytes(content.encode("latin-1"))
    runs, problems = collect(str(tmp_path))
    assert [run.folder.name for run in runs] == ["whole"]
    assert len(problems) == 1
    assert str(tmp_path / "broken") in problems[0]
    assert any(part in problems[0] for part in message.split("|"))


@pytest.mark.parametrize("key", ["dataset", "backbone", "decoder", "seed", "mIoU", "config"])
def test_a_result_without_a_figure_is_named(tmp_path: Path, key: str) -> None:
    file = run_folder(tmp_path, "run", 1.0) / "result.json"
    result = json.loads(file.read_text())
    del result[key]
    file.write_text(json.dumps(result))
    runs, problems = collect(str(tmp_path))
    assert not runs
    assert f"no usable {key}" in problems[0]


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run there"):
        collect(str(tmp_path))


def test_what_differs(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 1.0)
    run_folder(tmp_path, "b", 1.0, "seed=1", "training.lr=0.1", "hardware.threads=1", "output_dir=elsewhere")
    runs, _ = collect(str(tmp_path))
    assert differing(runs) == ["training.lr"]
    assert differing(runs, without=["training"]) == []


def test_two_runs_of_one_seed(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 1.0)
    run_folder(tmp_path, "b", 2.0)
    with pytest.raises(UserError, match=r"/a and .*/b claim the same cell, here, with the same seed 0") as error:
        by_seed(collect(str(tmp_path))[0], "here")
    assert "narrow runs=" in str(error.value)


def test_seeds_of_different_settings_are_no_repetitions(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 1.0)
    run_folder(tmp_path, "b", 2.0, "seed=1", "training.max_steps=1200")
    with pytest.raises(UserError, match=r"different training\.max_steps"):
        by_seed(collect(str(tmp_path))[0], "here")
