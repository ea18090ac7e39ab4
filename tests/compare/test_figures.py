"""Figs. 6, 7 and 8 to 11: pictures of the right parts, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import pytest
import torch

from scaseg import figures as command
from scaseg.compare.contenders import contenders
from scaseg.compare.maps import block_maps, heat
from scaseg.compare.options import Models
from scaseg.data.build import build_source
from scaseg.data.datasets import EvalSamples
from scaseg.schema import Device
from tests.compare.test_compare import SHORT
from tests.training.tiny import QUIET, config, folder_of, run

pytestmark = QUIET


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("runs")
    found = {}
    for name, overrides in (("se", []), ("none", ["lpm=none"]), ("segformer", ["decoder=segformer"])):
        cfg = config(output, *SHORT, *overrides)
        run(cfg)
        found[name] = folder_of(cfg)
    return found


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["scaseg.figures", "hardware.threads=1", *arguments])
        status: Any = 0
        try:
            command.main()
        except SystemExit as stop:
            status = stop.code
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call


def test_each_figure_is_drawn(runs: dict[str, Path], figures: Any, tmp_path: Path) -> None:
    a, b, c = (f"{letter}={runs[name]}" for letter, name in zip("abc", ("none", "se", "segformer"), strict=True))
    two = "images=[val_00001,val_00004]"
    for number, arguments, rows, columns in (
        (6, [a, two], 4, 5),
        (7, [a, b, two], 2, 6),
        (8, [a, b, c, two], None, None),
        (8, [a, c, "pictures=3"], None, None),
    ):
        status, out, err = figures(f"figure={number}", f"output=new/f{number}.png", *arguments)
        assert (status, out.strip()) == (0, f"new/f{number}.png"), err
        picture = cv2.imread(str(tmp_path / f"new/f{number}.png"))
        assert picture is not None
        if rows is not None and columns is not None:
            assert picture.shape[:2] == (rows * (160 + 22), columns * 320 + (columns - 1) * 6)


def test_maps_are_those_of_the_blocks(runs: dict[str, Path]) -> None:
    """What comes out of a stage's block is what the fuse gets, and what goes in is what the encoder gave."""
    ((contender, _)) = contenders(Models([str(runs["se"]), str(runs["none"])], hardware=Device("cpu")))
    trained = contender.runs[0]
    source = build_source(trained.config.dataset, None, "val")
    sample = EvalSamples(source, trained.protocol)[0]
    fused: list[Any] = []
    handle = trained.segmentor.decoder.fuse.register_forward_pre_hook(lambda module, args: fused.extend(args[0]))
    encoded: list[Any] = []
    trained.segmentor.encoder.register_forward_hook(lambda module, args, out: encoded.extend(out))
    prediction, seen = block_maps(trained, sample)
    handle.remove()
    assert prediction.shape == (32, 64)
    assert list(seen) == ["4", "3", "2", "1"]
    for stage, (before, after) in seen.items():
        assert torch.equal(before, encoded[int(stage) - 1])
        assert torch.equal(after, fused[int(stage) - 1])
    assert not any(block._forward_hooks for block in trained.segmentor.decoder.blocks.children())


def test_heat_is_brightest_where_the_map_is_strongest() -> None:
    feature = torch.zeros(1, 4, 8, 8)
    feature[:, :, 2:4, 4:6] = -3.0
    picture = heat(feature, (16, 16)).astype(int).sum(2)
    assert np.unravel_index(picture.argmax(), picture.shape) == (4, 8)
    assert len(np.unique(picture)) == 2
    assert heat(torch.zeros(1, 2, 3, 3), (6, 6)).shape == (6, 6, 3)


def test_what_cannot_be_drawn_is_said(runs: dict[str, Path], figures: Any, tmp_path: Path) -> None:
    a, c = f"a={runs['se']}", f"c={runs['segformer']}"
    for arguments, message in (
        (["figure=1", a], "error: figure=1: 6, 7 or 8"),
        (["figure=6"], "ckpt must be given"),
        (["figure=7", a], "error: figure=7 needs two models: ckpt=[RUN,RUN]"),
        (["figure=6", f"a={runs['segformer']}"], "decoder=segformer has no blocks whose maps could be shown"),
        (["figure=6", a, "images=[x]"], "error: images=x: not in the split val, whose first is val_00000"),
        (["figure=6", a, "output=f.gif"], "error: output=f.gif: the name must end in .png"),
        (["figure=8", a, c, "pictures=0"], "error: pictures=0 must be at least 1"),
        (["figure=7", a, c, "stage=5"], "error: stage=5: 1, 2, 3 or 4"),
        ([a], "error: figure must be given"),
    ):
        status, out, err = figures(*arguments)
        assert status == 2
        assert message in err
        assert out == ""
        assert not list(tmp_path.iterdir())
