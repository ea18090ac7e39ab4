"""Every part once, in small, on a CPU: `--rehearse` is what shows typing errors before a GPU's minutes count."""

import json
from pathlib import Path

import pytest

from experiments.gpu.parts import PARTS
from experiments.gpu.run import main

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


@pytest.mark.parametrize("name", [part.name for part in PARTS])
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
