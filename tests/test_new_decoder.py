"""The README's promise: a decoder in one file and one YAML, anywhere, is trained, counted, compared and in tables."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.training.tiny import TINY

MODULE = """
from torch import nn


class Mine(nn.Module):
    def __init__(self, in_channels, num_classes, width=12):
        super().__init__()
        self.narrow = nn.Conv2d(in_channels[0], width, 1)
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, features):
        return self.classifier(self.narrow(features[0]).relu())
"""
CONFIG = """
_target_: mine.Mine
name: mine
width: 12
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conf/decoder").mkdir(parents=True)
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "conf/decoder/mine.yaml").write_text(CONFIG)
    return tmp_path


def call(folder: Path, module: str, *arguments: str) -> str:
    """A command in `folder`, which is on Python's and on Hydra's path."""
    search = f"hydra.searchpath=[file://{folder}/conf]"
    done = subprocess.run(
        [sys.executable, "-m", f"scaseg.{module}", search, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_counted(folder: Path) -> None:
    counted = json.loads(call(folder, "benchmark", "decoder=mine", "image_size=[64,64]", "format=json"))
    assert counted["decoder_params"] == 32 * 12 + 12 + 12 * 8 + 8
    assert counted["parts"]["decoder narrow"]["macs"] == 16 * 16 * 32 * 12


@pytest.mark.slow
def test_it_is_trained_compared_and_in_tables(folder: Path) -> None:
    tiny = [option for option in TINY if not option.startswith("decoder.")]
    for decoder in ("mine", "segformer"):
        call(folder, "train", f"decoder={decoder}", *tiny)
    runs = sorted((folder / "runs").iterdir())
    assert [path.name.split("-")[2] for path in runs] == ["mine", "segformer"]
    table = call(folder, "report", "runs=runs")
    assert "| mine |" in table
    of_both = f"a={runs[0]}", f"b={runs[1]}", "resamples=100", "output=compared"
    drawn = "runs=runs", "figure=figure.svg", "figure_dataset=shapes"
    for command in (("compare", *of_both), ("report", *drawn)):  # its code comes by a file of the run
        with pytest.raises(AssertionError, match=r"mine\.Mine is no class of this package's, .*allow=\[mine\]"):
            call(folder, *command)
    assert call(folder, "report", *drawn, "allow=[mine]").strip() == "figure.svg"
    assert "mine" in (folder / "figure.svg").read_text()
    assert "mine" in call(folder, "report", "table=4", "runs=runs", "rows=all")
    compared = call(folder, "compare", *of_both, "allow=[mine]")
    evaluated = call(folder, "evaluate", f"ckpt={runs[0]}/checkpoints/last.ckpt", "allow=[mine]")
    assert evaluated.startswith("class ")
    assert "a: mit_b0 + mine" in compared
    assert (folder / "compared/index.html").is_file()
