"""The command on trained checkpoints: figures that training itself reports, pairs, pictures, and what it refuses."""

import json
import sys
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import pytest

from scaseg import compare as command
from scaseg.comparison.page import file_name
from scaseg.comparison.pictures import most_different_box
from scaseg.data.labels import IGNORE
from tests.training.tiny import QUIET, config, folder_of, run

pytestmark = QUIET
SHORT = ["training.max_steps=2", "training.val_every=2", "training.warmup_steps=1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("runs")
    found = {}
    for name, overrides in (
        ("segformer0", ["decoder=segformer"]),
        ("segformer1", ["decoder=segformer", "seed=1"]),
        ("scaseg", ["training.lr=1e-2"]),
    ):
        cfg = config(output, *SHORT, *overrides)
        run(cfg)
        found[name] = folder_of(cfg)
    return found


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["scaseg.compare", "resamples=100", "hardware.threads=1", *arguments])
        status: Any = 0
        try:
            command.main()
        except SystemExit as stop:
            status = stop.code
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call


def test_figures_pairs_and_pictures(runs: dict[str, Path], compare: Any, tmp_path: Path) -> None:
    pattern = runs["segformer0"].parent / "*segformer*"
    (pattern.parent / "segformer.yaml").touch()  # a sweep leaves such files beside its runs
    status, out, _ = compare(f"a={pattern}", f"b={runs['scaseg']}", "pictures=2", "output=out")
    assert status == 0
    result = json.loads((tmp_path / "out/comparison.json").read_text())
    trained = {name: json.loads((path / "result.json").read_text()) for name, path in runs.items()}
    miou = result["measures"]["mIoU"]
    seeds = [trained[name]["mIoU"] for name in ("segformer0", "segformer1")]
    assert miou["models"]["a"]["value"] == pytest.approx(np.mean(seeds), abs=1e-9)
    assert miou["models"]["a"]["std_over_seeds"] == pytest.approx(np.std(seeds, ddof=1), abs=1e-9)
    assert miou["models"]["b"]["value"] == pytest.approx(trained["scaseg"]["mIoU"], abs=1e-9)
    accuracy = result["measures"]["pixel accuracy"]["models"]["b"]["value"]
    assert accuracy == pytest.approx(trained["scaseg"]["pixel_accuracy"], abs=1e-9)
    for name, entry in result["per_class_iou"].items():
        value, expected = entry["models"]["b"]["value"], trained["scaseg"]["per_class"][name]["iou"]
        assert value == (expected if expected is None else pytest.approx(expected, abs=1e-9))
    change = miou["differences"]["b - a"]
    assert change["low"] <= change["value"] <= change["high"]
    assert result["models"]["a"]["seeds"] == [0, 1]
    assert len(result["most_different"]) == 2
    page = (tmp_path / "out/index.html").read_text()
    for item in result["most_different"]:
        picture = cv2.imread(str(tmp_path / "out" / file_name(item["image"])))
        assert picture is not None
        assert f'src="{file_name(item["image"])}"' in page
    assert "mit_b0 + segformer" in out
    assert "boundary IoU, 1 % of the diagonal" in out
    assert "b - a" in out
    assert compare(f"a={pattern}", f"b={runs['scaseg']}", "output=out")[2].startswith("error: output=out holds a")


def test_a_model_does_not_differ_from_itself(runs: dict[str, Path], compare: Any, tmp_path: Path) -> None:
    folder = runs["scaseg"]
    best = folder / "checkpoints" / "best.ckpt"
    status, _, _ = compare(f"a={folder}", f"b={best}", f"c={folder}", "output=same", "images=[val_00003]", "split=val")
    assert status == 0
    result = json.loads((tmp_path / "same/comparison.json").read_text())
    for entry in (*result["measures"].values(), *result["per_class_iou"].values()):
        for change in entry["differences"].values():
            assert change["value"] in (0, None)
            assert change["excludes_zero"] is False
    assert set(result["measures"]["mIoU"]["differences"]) == {"b - a", "c - a", "c - b"}
    assert [model["label"][-3:] for model in result["models"].values()] == ["(a)", "(b)", "(c)"]


def test_what_cannot_be_compared_is_said(runs: dict[str, Path], compare: Any, tmp_path: Path) -> None:
    one, other = runs["scaseg"], runs["segformer0"]
    both = f"{one.parent}/*"
    for arguments, message in (
        ([f"a={one}"], "error: give at least two runs: a=RUN b=RUN"),
        ([f"a={one}", "b=nowhere"], "error: b=nowhere: no run there"),
        ([f"a={one}", f"b={both}"], "names runs that differ in more than their seed"),
        ([f"a={one}", f"b={other}", "images=[none]"], "error: images=none: not in the split val, whose first is"),
        ([f"a={one}", f"b={other}", "level=95"], "error: level=95.0: between 0 and 1"),
        ([f"a={one}", f"b={other}", "trimap_widths=[0]"], "error: trimap_widths=[0]: pixels, at least 1"),
        ([f"a={one}", f"b={other}", "object_sizes=[9,4]"], "error: object_sizes=[9, 4]: areas in pixels"),
        ([f"a={one}", f"b={other}", "boundary_widths=[2]"], "error: boundary_widths=[2.0]: shares"),
        ([f"a={one}", f"b={other}", "split=exam"], "error: shapes has no split 'exam'"),
        ([f"a={one}", f"b={other}", "hardware.accelerator=abacus"], "error: hardware.accelerator=abacus: torch has no"),
        ([f"a={one}", f"b={one / 'result.json'}"], "not a checkpoint that can be read"),
    ):
        status, out, err = compare(*arguments)
        assert status == 2
        assert message in err
        assert out == ""
        assert not (tmp_path / "comparisons").exists()


def test_box_is_where_one_is_right_and_the_other_is_not() -> None:
    truth = np.zeros((100, 50), np.uint8)
    first, second = truth.copy(), truth.copy()
    first[70:80, 30:40] = 1
    second[0:20, 0:10] = 1
    first[0:20, 0:10] = 1  # both wrong: nothing to see
    truth[90:, 40:] = IGNORE
    first[90:, 40:] = 1
    top, left, height, width = most_different_box(truth, [first, second])
    assert (height, width) == (28, 14)
    assert top <= 70 < 80 <= top + height
    assert left <= 30 < 40 <= left + width
