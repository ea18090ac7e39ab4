"""Every part once, in small, on a CPU: `--rehearse` is what shows typing errors before a GPU's minutes count."""

import json
import subprocess
import sys
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import pytest

from experiments.gpu.parts import PARTS
from experiments.gpu.parts.kernels import FILES
from experiments.gpu.run import main
from tests.conftest import ROOT

PICTURES = {"strip": "strip.png", "training": "curves.png", "camvid": "camvid.png"}
LEAST_ROWS = {
    "kernels": 8,
    "strip": 8,
    "models": 10,
    "frames": 2,
    "training": 20,
    "camvid": 5,
    "loader": 5,
    "table5": 1,
}
PEERS = {"kernels": "triton"}


def test_what_a_gpu_runs_of_the_kernels_tests_is_there() -> None:
    """With their plugin, which makes every tensor on the GPU: none may be made before the tests run."""
    options = ["--collect-only", "-q", "-W", "default", "-p", "no:cacheprovider", "-p", "tests.models.on_gpu"]
    command = [sys.executable, "-m", "pytest", *options, *FILES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for file in FILES:
        assert f"{file.partition('::')[0]}::" in done.stdout


LONG = ("kernels", "training", "models", "camvid", "loader", "table5", "frames")  # rehearsed in the slow suite
NAMES = [pytest.param(part.name, marks=[pytest.mark.slow] * (part.name in LONG)) for part in PARTS]


@pytest.mark.parametrize("name", NAMES)
def test_the_part_makes_its_section(name: str, tmp_path: Path) -> None:
    if name in PEERS:
        pytest.importorskip(PEERS[name])
    status = main(["--rehearse", f"output={tmp_path}", f"parts={name}"])
    page = (tmp_path / "report.md").read_text()
    assert status == 0, page
    (section,) = json.loads((tmp_path / "report.json").read_text())["parts"]
    assert (section["name"], section["state"], section["failures"]) == (name, "done", [])
    assert len(section["rows"]) >= LEAST_ROWS[name]
    assert all(row["value"]["median"] >= 0 for row in section["rows"])
    assert section["pictures"] == ([PICTURES[name]] if name in PICTURES else [])
    for picture in section["pictures"]:
        assert (tmp_path / picture).read_bytes()[:4] == b"\x89PNG"
    assert page.count("**not run: a rehearsal measures nothing**") == 6
