from pathlib import Path

import pytest

from scaseg.errors import UserError
from scaseg.report.curves import draw, series


def test_curves_of_two_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("step,train/loss,val/mIoU\n10,2.5,\n20,1.5,\n20,,31.25\n")
    assert series(tmp_path / "a/metrics.csv", "train/loss") == ([10, 20], [2.5, 1.5])
    assert series(tmp_path / "a/metrics.csv", "val/mIoU") == ([20], [31.25])
    draw([tmp_path / "a", tmp_path / "b"], tmp_path / "sub/curves.png")
    assert (tmp_path / "sub/curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_metrics_and_a_name_without_a_kind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        draw([tmp_path], tmp_path / "curves.png")
    with pytest.raises(UserError, match="must end in"):
        draw([], tmp_path / "curves.txt")
