"""The plan of seeds and images, as printed."""

from pathlib import Path

import numpy as np

from tests.report.folders import run_folder, with_counts
from tests.statistics.simulated import World
from tests.test_cli import Cli, cli

__all__ = ["cli"]


def test_seeds_and_images_and_hours(cli: Cli, tmp_path: Path) -> None:
    found, _ = World(1, False).models(np.random.default_rng(1), 2, 4, 50)
    with_counts(tmp_path, "sca", found[0], "decoder.attn=sca")
    with_counts(tmp_path, "ca", found[1], "decoder.attn=ca")
    for folder in tmp_path.iterdir():
        text = (folder / "result.json").read_text()
        (folder / "result.json").write_text(text.replace("{", '{"wall_time_s": 1800.0, ', 1))
    status, out, _ = cli("plan", f"runs={tmp_path}", "difference=2")
    assert status == 0
    assert "shapes: 8 runs of 2 configurations." in out
    assert "(6 degrees of freedom)" in out
    assert "Over other images (50), whatever the seeds, a difference has one of" in out
    rows = [line.split() for line in out.splitlines() if line.startswith(("50 ", "100 ", "250 ", "500 "))]
    assert len(rows) == 4
    seeds = [int(row[1]) for row in rows]
    assert seeds == sorted(seeds, reverse=True)
    for row, each in zip(rows, seeds, strict=True):
        assert int(row[2].strip(",")) <= each
        assert float(row[4]) >= 0.8
        assert (int(row[5]), float(row[6])) == (2 * each, each)  # half an hour each
    assert "in 14 groups that depend" in cli("plan", f"runs={tmp_path}", "difference=2", "groups=^._.")[1]
    alone = cli("plan", f"runs={tmp_path}", "difference=2", "groups=_")[1]
    assert "on these images, nothing of others" in alone
    many = cli("plan", f"runs={tmp_path}", "difference=0.01")[1]
    assert "over 1000" in many


def test_what_cannot_be_planned_is_said(cli: Cli, tmp_path: Path) -> None:
    run_folder(tmp_path, "one", 40.0)
    run_folder(tmp_path, "two", 41.0, "decoder.attn=ca")
    for arguments, message in (
        ((), "error: difference must be given"),
        (("difference=0",), "error: difference=0.0: points of mIoU above 0"),
        (("difference=1", "power=80"), "error: power=80.0"),
        (("difference=1", "runs=nowhere"), "error: runs=nowhere: no run there"),
        (("difference=1", f"runs={tmp_path}"), "no configuration on shapes has two seeds"),
    ):
        status, out, err = cli("plan", *arguments)
        assert (status, out) == (2, "")
        assert message in err
