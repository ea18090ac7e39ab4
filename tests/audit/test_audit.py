"""The command: from masks to a page, cut off and gone on, by a trained model, and what it refuses."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, camvid, config, folder_of, on_own, own, run

pytestmark = QUIET
__all__ = ["cli"]
Audit = Callable[..., tuple[int, str, str]]
SHORT = ["training.max_steps=30", "training.warmup_steps=2", "training.lr=1e-2", "folds=2", "pictures=3"]


@pytest.fixture
def audit(cli: Cli) -> Audit:
    return partial(cli, "audit")


def spoiled(root: Path) -> Path:
    """`own`, with a quarter of mask 3 in the wrong class."""
    own(root)
    path = str(root / "masks/3.png")
    mask = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    mask[:16, :20] = 2
    cv2.imwrite(path, mask)
    return root


def arguments(root: Path) -> list[str]:
    options = [one for one in on_own(root) if not one.startswith(("training.max", "training.val", "training.warm"))]
    return [*(one for one in options if not one.startswith("pictures")), "split=all", *SHORT]


def hashes(root: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def test_a_spoiled_mask_comes_first_and_nothing_is_changed(audit: Audit, tmp_path: Path) -> None:
    root = spoiled(tmp_path / "own")
    before = hashes(root)
    status, out, err = audit(*arguments(root))
    assert status == 0, err
    assert hashes(root) == before
    page = Path(out.rpartition("page: ")[2].strip())
    with (page.parent / "audit.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, 9)]
    assert {row["image"] for row in rows} == {str(i) for i in range(8)}
    first = rows[0]
    assert (first["image"], first["mask"]) == ("3", "c")
    assert (int(first["left"]), int(first["top"])) == (0, 0)
    text = page.read_text()
    assert text.count("region of &#x27;c&#x27; where the model sees &#x27;a&#x27;") >= 2  # in the table and above it
    assert 'id="mask-1">1. 3 ' in text
    assert "2 folds of images drawn at random" in text
    pictures = sorted((page.parent / "pictures").iterdir())
    assert pictures[0].name == "1_3.jpg"
    assert cv2.imread(str(pictures[0])).shape[1] >= 3 * 64
    # a second call finds all of it done; another number of pictures draws, and neither trains nor judges
    trained = {path: path.stat().st_mtime_ns for path in Path("audits/runs").rglob("*") if path.is_file()}
    judged = {path: path.stat().st_mtime_ns for path in page.parent.glob("fold-*.json")}
    assert "is done: nothing was trained or judged again" in audit(*arguments(root))[1]
    status, out, err = audit(*arguments(root), "pictures=30")  # begins as the 3 that are there
    assert status == 0, err
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert {path: path.stat().st_mtime_ns for path in judged} == judged
    assert "judged again" not in out
    status, out, err = audit(*arguments(root), "least_region=0.9", f"output={page.parent}")
    assert status == 2
    assert "holds another audit: name another folder" in err


@pytest.mark.slow
def test_it_goes_on_after_kill_9(audit: Audit, tmp_path: Path) -> None:
    root = spoiled(tmp_path / "own")
    command = [sys.executable, "-m", "scaseg.audit", *arguments(root), "training.max_steps=40"]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    end = time.monotonic() + 200
    while time.monotonic() < end and process.poll() is None:
        if "fold 2 of 2" in (tmp_path / "log").read_text():
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    log.close()
    (first,) = Path("audits").glob("folder-*/fold-1.json")
    assert not first.with_name("fold-2.json").exists()
    before = first.stat().st_mtime_ns
    trained = {path.parent: path.stat().st_mtime_ns for path in Path("audits/runs").glob("*/result.json")}
    status, _, err = audit(*arguments(root), "training.max_steps=40")
    assert status == 0, err
    assert "fold 1 of 2:" not in err
    assert first.stat().st_mtime_ns == before
    assert all((path / "result.json").stat().st_mtime_ns == time for path, time in trained.items())
    assert json.loads(first.with_name("audit.json").read_text())["masks"] == 8
    assert len(list(Path("audits/runs").iterdir())) == 2


def test_a_trained_model_judges_and_says_what_it_was_trained_on(audit: Audit, tmp_path: Path) -> None:
    cfg = config(tmp_path / "runs", *on_own(spoiled(tmp_path / "own")))
    run(cfg)
    common = [f"ckpt={folder_of(cfg)}", "hardware.accelerator=cpu", "hardware.threads=1", "pictures=1"]
    for split, said in (
        ("train", "which was trained on these masks, errors and all: not out-of-fold"),
        ("all", "which was trained on 6 of these 8 masks"),
        ("val", "no image of its training split is among these"),
    ):
        status, out, err = audit(*common, f"split={split}", f"output={split}")
        assert status == 0, err
        assert said in Path(split, "index.html").read_text()
        assert f"page: {split}/index.html" in out
    other = camvid(tmp_path / "camvid")
    status, _, err = audit(*common, "dataset=camvid", f"data_dir={other}")
    assert status == 2
    assert "knows the classes a, b, c, the dataset has sky" in err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "whose masks? dataset=folder data_dir=DIR, or another dataset; or a trained model, ckpt=RUN"),
        (["dataset=shapes", "folds=1"], "folds=1 must be at least 2"),
        (["dataset=shapes", "least_region=2"], "least_region=2.0 must lie between 0 and 1"),
        (["dataset=shapes", "training.max_steps=0", "weights=x"], "a fold's model must learn"),
        (["dataset=shapes", "hardware.devices=2"], "an audit's trainings follow each other in one process"),
        (["dataset=shapes", "records=here"], "an audit's trainings leave no records"),
        (["dataset=shapes", "dataset.length=1"], "split=train of shapes has one image: folds need two at least"),
        (["dataset=folder", "data_dir=own", "dataset.groups=x"], "groups=x finds nothing in the name 0"),
        (["dataset=folder", "data_dir=nowhere"], "dataset=folder needs its classes"),
        (["dataset=folder", "data_dir=own", "split=other"], "folder has no split 'other'"),
        (["ckpt=nowhere"], "ckpt=nowhere: no such file or folder"),
        (["dataset=shapes", "output=full"], "output=full exists already and is no audit's folder: name another"),
    ],
)
def test_what_is_wrong_is_one_message(audit: Audit, tmp_path: Path, given: list[str], message: str) -> None:
    own(tmp_path / "own")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    status, _, err = audit(*given)
    assert status == 2
    assert message in err
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    assert not Path("audits").exists()


def test_pictures_outline_where_the_region_is() -> None:
    from scaseg.audit.pictures import RED, sheet
    from scaseg.audit.regions import DENIED, Region
    from scaseg.data.shapes import Shapes
    from scaseg.form import RGB

    grey, mask = np.full((120, 160, 3), 90, np.uint8), np.zeros((120, 160), np.uint8)
    box = [[40, 30], [40, 60], [80, 60], [80, 30]]
    region = Region(DENIED, 0, 1, 1200, 0.9, 0.1, 30, [40, 30, 81, 61], [box])
    picture = sheet(grey, mask, mask, [region], Shapes.labels, RGB)
    red = (np.abs(picture.astype(int) - RED).sum(2) < 60).nonzero()
    scale = picture.shape[1] / (3 * 160 + 12)
    columns = red[1] / scale
    assert columns.min() < 45
    assert columns.max() > 2 * 166 + 75
