"""Models compared by what their runs counted, without checkpoints."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scaseg.runs.counts import ImageCounts, read_counts, write_counts
from tests.report.folders import run_folder, with_counts
from tests.statistics.simulated import World
from tests.test_cli import Cli, cli

__all__ = ["cli"]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    root = tmp_path / "records"
    found, _ = World(1, False).models(np.random.default_rng(1), 2, 3, 50, ahead=0.5)
    with_counts(root, "sca", found[0], "decoder.attn=sca")
    with_counts(root, "seg", found[1], "decoder=segformer")
    for folder in root.iterdir():
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**result, "split": "val"}))
    return root


def test_records_are_compared_over_seeds_and_images(cli: Cli, records: Path, tmp_path: Path) -> None:
    status, out, _ = cli("compare", f"ckpt=[{records}/seg*,{records}/sca*]", "output=out")
    assert status == 0
    assert "By what the runs counted" in out
    assert "corrected after Holm, these hold: b > a" in out
    result = json.loads((tmp_path / "out/comparison.json").read_text())
    assert result["from_counts"] is True
    assert result["most_different"] == []
    assert list(result["measures"]) == [
        "mIoU", "mIoU of each image, mean", "the same, worst 10% of the images", "pixel accuracy",
    ]  # fmt: skip
    trained = [json.loads((records / f"sca{seed}/result.json").read_text())["mIoU"] for seed in range(3)]
    assert result["measures"]["mIoU"]["models"]["b"]["value"] == pytest.approx(np.mean(trained), abs=1e-9)
    assert result["models"]["a"]["seeds"] == [0, 1, 2]
    assert len(result["per_class_iou"]) == 8
    assert (tmp_path / "out/index.html").is_file()


def test_what_records_cannot_show_is_said(cli: Cli, records: Path, tmp_path: Path) -> None:
    bare = run_folder(tmp_path, "bare", 40.0)
    other = tmp_path / "other"
    shutil.copytree(records / "seg0", other)
    counts = read_counts(other)
    write_counts(other, ImageCounts(("x", *counts.names[1:]), counts.region))
    one, two = records / "sca0", records / "seg0"
    for arguments, message in (
        ((f"ckpt=[{one},{bare}]",), f"{bare}/counts.npz can't be read"),
        ((f"ckpt=[{one},{tmp_path}/none*]",), "none*: no folder there with result.json and counts.npz"),
        ((f"ckpt=[{records}/s*,{two}]",), "names runs that differ in more than their seed (sca0, sca1, "),
        ((f"ckpt=[{one},{other}]",), "compare counts of the same images by one protocol"),
        ((f"ckpt=[{one},{two}]", "split=test"), "split=test: without checkpoints there are counts of val alone"),
        ((f"ckpt=[{one},{two}]", "images=[a]"), "images=... shows pictures, which takes the runs' checkpoints"),
        ((f"ckpt=[{one},{two}]", "groups=^x"), "groups=^x finds nothing in the name a_0"),
    ):
        status, out, err = cli("compare", *arguments)
        assert (status, out) == (2, "")
        assert message in err
        assert not (tmp_path / "comparisons").exists()
