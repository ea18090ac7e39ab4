import subprocess
import sys
from pathlib import Path

import pytest

from scaseg.errors import UserError
from scaseg.report.figure import draw, published_points, run_points
from scaseg.report.runs import collect
from tests.report.folders import run_folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaseg.report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_table_with_runs(tmp_path: Path) -> None:
    run_folder(tmp_path / "runs", "a", 42.0, "decoder.qk_channels=1", "backbone=mscan_t")
    output = tmp_path / "out" / "table.tex"
    done = run("table=7", f"runs={tmp_path}/runs", "format=latex", f"output={output}")
    assert done.returncode == 0, done.stderr
    text = output.read_text(encoding="utf-8")
    assert r"\toprule" in text
    assert "42.00 (n = 1)" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table=9",), "error: table=9: choose one of 1, 2"),
        (("runs=nowhere",), "error: runs=nowhere: no run there"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)


def test_figure(tmp_path: Path) -> None:
    printed = published_points("ade20k")
    scaseg = [point for point in printed if point.decoder == "SCASeg"]
    assert {point.backbone for point in scaseg if point.family == "MiT"} == {f"MiT-B{i}" for i in range(6)}
    assert (5.9, 41.6) in {(point.gflops, point.miou) for point in scaseg}
    for seed in (0, 1):
        run_folder(tmp_path / "runs", f"a{seed}", 40.0 + 2 * seed, f"seed={seed}")
    measured = run_points(collect(str(tmp_path / "runs"))[0])
    assert [(p.decoder, p.backbone, p.family, p.miou, p.std) for p in measured] == [
        ("scaseg", "mit_b0", "MiT", 41.0, pytest.approx(2**0.5))
    ]
    assert 0.1 < measured[0].gflops < 1
    draw(printed, measured, "ade20k", tmp_path / "new" / "figure.png")
    assert (tmp_path / "new" / "figure.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"must end in \.png"):
        draw(printed, [], "ade20k", tmp_path / "figure.gif")
    with pytest.raises(UserError, match="neither the paper nor the runs"):
        draw(published_points("shapes"), [], "shapes", tmp_path / "figure.png")
