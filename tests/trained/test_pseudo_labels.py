"""python -m scaseg.predict confidence=: masks in which what is unsure is ignored, in a layout that training reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import scaseg
from scaseg.data.image_folder import ImageFolder
from scaseg.data.labels import IGNORE
from scaseg.data.masks import read_mask
from scaseg.errors import UserError
from scaseg.predict.options import PredictConfig
from scaseg.predict.run import predict
from scaseg.schema import Device
from scaseg.trained.inputs import find_inputs
from scaseg.trained.model import TrainedModel
from tests.trained.broken import good_files

Picture = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model waits for others most of its time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def called(checkpoint: Path, folder: Path, output: Path, **changes: Any) -> Any:
    changes = {"confidence": 0.3, "write": "masks", **changes}
    options = PredictConfig(str(checkpoint), str(folder), str(output), hardware=Device("cpu"), **changes)
    return predict(options, find_inputs(str(folder), str(output)))


def test_masks_are_those_of_plain_torch_and_a_dataset(
    checkpoint: Path, photo: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    good_files(folder / "deep", 3, photo)
    called(checkpoint, folder, output)
    model = scaseg.load(checkpoint)
    assert isinstance(model, TrainedModel)
    source = ImageFolder(output, "all", images=str(folder.absolute()))
    assert source.labels.names == model.classes and source.labels.colours == model.labels.colours
    kept = pixels = 0
    for i in range(len(source)):
        image, mask = source.read(i)
        logits = model.scores(image, model.protocol).rows(0, image.shape[0])[0].double().softmax(0).numpy()
        unsure = logits.max(0) < 0.3
        near = abs(logits.max(0) - 0.3) < 1e-4
        assert ((mask == np.where(unsure, IGNORE, logits.argmax(0))) | near).all()
        assert unsure.any() and not unsure.all()
        kept, pixels = kept + int((mask != IGNORE).sum()), pixels + mask.size
        with Image.open(str(source.pairs[i].mask)) as file:
            assert file.format == "PNG" and file.mode == "P"
    said = capsys.readouterr().out
    assert f"kept:    {100 * kept / pixels:.1f} % of {pixels:,} pixels" in said
    assert f"'more_data=[{{data_dir: {output}, images: {folder}, weight: 0.5}}]'" in said
    record = json.loads((output / "predictions.json").read_text())
    assert sum(one["labelled"] for one in record["files"].values()) == kept


def test_the_same_call_goes_on_and_counts_all_and_another_confidence_does_not(
    checkpoint: Path, photo: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good_files(tmp_path / "in", 2, photo)
    called(checkpoint, tmp_path / "in", tmp_path / "out")
    first = capsys.readouterr().out.partition("kept: ")[2]
    outcome = called(checkpoint, tmp_path / "in", tmp_path / "out")
    assert len(outcome.kept) == 2 and first and capsys.readouterr().out.endswith(first)
    with pytest.raises(UserError, match="predictions with another confidence"):
        called(checkpoint, tmp_path / "in", tmp_path / "out", confidence=0.5)
    called(checkpoint, tmp_path / "in", tmp_path / "none", confidence=1.0)
    assert "2 of 2 images have none" in capsys.readouterr().out


def test_windows_and_maps_leave_out_what_is_unsure(checkpoint: Path, photo: Picture, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    place = [(33550, "d", 3, (1.0, 1.0, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 5.0, 5.0, 0.0), True)]
    tifffile.imwrite(tmp_path / "in" / "field.tif", photo, tile=(64, 64), photometric="rgb", extratags=place)
    Image.fromarray(photo).save(tmp_path / "in" / "photo.png")
    for confidence in (None, 0.3):
        called(checkpoint, tmp_path / "in", tmp_path / f"{confidence}", confidence=confidence, window=64, overlap=32)
    for name in ("field.tif", "photo.png"):
        plain, sure = (read_mask(str(tmp_path / f"{one}" / "masks" / name)) for one in (None, 0.3))
        assert (plain != IGNORE).all()
        assert 0 < (sure == IGNORE).mean() < 1 and ((sure == plain) | (sure == IGNORE)).all()


def test_values_that_cannot_be() -> None:
    with pytest.raises(UserError, match=r"confidence=0\.5 is of masks: write=masks"):
        PredictConfig("x", "x", "x", write="overlays", confidence=0.5)
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=r"confidence=.* must lie between 0 and 1"):
            PredictConfig("x", "x", "x", confidence=value)
