"""python -m scaseg.predict: right masks for all that can be read, names for the rest."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import scaseg
from scaseg.data.masks import read_mask
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Mode, Protocol
from scaseg.predict.batches import predict_all
from scaseg.predict.large import Cut
from scaseg.predict.options import PredictConfig
from scaseg.predict.outputs import Outputs
from scaseg.predict.run import predict
from scaseg.schema import Device
from scaseg.trained.inputs import Found, find_inputs
from scaseg.trained.model import TrainedModel
from scaseg.trained.record import KINDS
from tests.trained.broken import good_files, odd_files

Picture = np.ndarray[Any, Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(checkpoint: Path) -> TrainedModel:
    return scaseg.load(checkpoint)


def command(*options: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "scaseg.predict", *options]
    return subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_folder_with_broken_files(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    good_files(tmp_path / "in" / "deep", 12, photo)
    readable, broken = odd_files(tmp_path / "in", photo)
    (tmp_path / "in" / "notes.txt").write_text("left out")
    inputs, others, _ = find_inputs(str(tmp_path / "in"))
    outputs = Outputs(tmp_path / "out", KINDS, model.labels)
    outcome = predict_all(model, inputs, outputs, 4, False, Cut())
    assert others == 1
    assert sorted(Path(file).name for file, _ in outcome.failed) == sorted(broken)
    assert len(outcome.done) == 12 + len(readable)
    by_name = {one.path.name: one for one in inputs}
    for name, shown in readable.items():
        mask = read_mask(str(outputs.files(by_name[name])["masks"]))
        np.testing.assert_array_equal(mask, model.predict(np.ascontiguousarray(shown)), name)
    for number in range(12):
        name = f"good_{number:04d}.{('jpg', 'png')[number % 2]}"
        mask = read_mask(str(outputs.files(by_name[name])["masks"]))
        alone = model.predict(tmp_path / "in" / "deep" / name)
        assert (mask == alone).mean() > 0.9999, name  # in a batch sums may round otherwise


@pytest.mark.slow
def test_a_thousand_images_in_flat_memory(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    odd_files(tmp_path / "in", photo)
    good_files(tmp_path / "in", 980, np.tile(photo, (3, 3, 1)))
    inputs = find_inputs(str(tmp_path / "in")).inputs
    outputs = Outputs(tmp_path / "out", ("masks",), model.labels)
    assert len(inputs) == 1000
    predict_all(model, inputs[-200:], Outputs(tmp_path / "warm", ("masks",), model.labels), 4, False, Cut())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = predict_all(model, inputs, outputs, 4, False, Cut())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert len(outcome.failed) == 10 and len(outcome.done) == 990
    assert grown < 40  # MB; the images decoded are 180


def test_the_command_names_counts_and_says_so(checkpoint: Path, photo: Picture, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    good_files(folder, 2, photo)
    (folder / "bad.jpg").write_bytes(b"no")
    options = (
        f"ckpt={checkpoint}",
        f"input={folder}",
        f"output={tmp_path / 'out'}",
        "hardware.accelerator=cpu",
        "hardware.threads=1",
    )
    told = command(*options)
    assert told.returncode == 1
    assert f"{folder / 'bad.jpg'}: not an image" in told.stdout and "2 predicted" in told.stdout
    record = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert record["counts"] == {"done": 2, "kept": 0, "failed": 1, "other_files": 0, "own_results": 0}
    mask = tmp_path / "out" / "masks" / "good_0000.png"
    with Image.open(mask) as image:
        assert image.mode == "P"
        palette = np.array(image.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(palette[: len(record["classes"])], [c["colour"] for c in record["classes"]])
    assert not [path for path in (tmp_path / "out").rglob("*") if "part" in path.name]


def test_nothing_is_overwritten_unless_asked(checkpoint: Path, photo: Picture, tmp_path: Path) -> None:
    good_files(tmp_path / "in", 2, photo)
    inputs = find_inputs(str(tmp_path / "in")).inputs
    options = PredictConfig(str(checkpoint), "in", str(tmp_path / "out"), write="masks", hardware=Device("cpu"))
    assert len(predict(options, Found(inputs[:1], 0, 0)).done) == 1
    found = Found(inputs, 0, 0)
    mask = tmp_path / "out" / "masks" / "good_0000.png"
    stamp = mask.stat().st_mtime_ns
    outcome = predict(options, found)  # goes on: nothing is made again
    assert len(outcome.kept) == len(outcome.done) == 1 and mask.stat().st_mtime_ns == stamp
    options.protocol = {"size_divisor": 32}
    with pytest.raises(UserError, match="another protocol"):
        predict(options, found)
    options.overwrite = True
    assert len(predict(options, found).done) == 2 and mask.stat().st_mtime_ns > stamp
    options.protocol = {}
    options.output = str(tmp_path / "thesis")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    for options.overwrite in (False, True):  # which is for results alone
        with pytest.raises(UserError, match="not this command's"):
            predict(options, found)
    assert os.listdir(tmp_path / "thesis") == ["chapter.txt"]  # noqa: PTH208


def test_names_of_results(tmp_path: Path) -> None:
    for name in ("a/x.jpg", "a/x.png", "b/x.jpg", "b/.hidden.jpg", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inputs, others, _ = find_inputs(str(tmp_path))
    assert [str(one.name) for one in inputs] == ["a/x.jpg", "a/x.png", "b/x"] and others == 1
    assert [str(one.name) for one in find_inputs(f"{tmp_path}/**/x.jpg")[0]] == ["a/x", "b/x"]
    assert [str(one.name) for one in find_inputs(str(tmp_path / "c.txt"))[0]] == ["c"]
    for nothing in (tmp_path / "none.jpg", tmp_path / "*.gif"):
        with pytest.raises(UserError, match="no such file"):
            find_inputs(str(nothing))


def test_too_many_pixels_at_once(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    good_files(tmp_path / "in", 1, photo)
    inputs, *_ = find_inputs(str(tmp_path / "in"))
    outputs = Outputs(tmp_path / "out", ("masks",), model.labels)
    outcome = predict_all(model, inputs, outputs, 1, False, Cut(1000))
    assert outcome.failed == [] and len(outcome.done) == 1  # in windows
    model.protocol = Protocol(box=[2048, 512])
    outcome = predict_all(model, inputs, outputs, 1, True, Cut(1000))
    assert "window=1024 sees it at its own size" in outcome.failed[0][1]
    model.protocol = Protocol(Mode.slide, window=[64, 64], stride=[48, 48])
    assert predict_all(model, inputs, outputs, 1, False, Cut(1000)).failed == []
