"""Exports of the five benchmarks: what is written, and what the reader refuses."""

import json
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scaseg.data.cityscapes import Cityscapes
from scaseg.data.coco_stuff164k import UNUSED
from scaseg.data.labels import IGNORE
from scaseg.data.shapes import Shapes
from scaseg.data.voc import VOC
from scaseg.errors import UserError
from scaseg.evaluation.metrics import confusion_matrix
from scaseg.evaluation.submission import SubmissionWriter, check
from tests.data.layouts import CLASSES, SIZE, write

FIRST = {  # the path of the first test image's prediction, by the benchmark's own words
    "camvid": "0020.png",
    "voc": "results/VOC2012/Segmentation/comp6_test_cls/2008_000020.png",
    "ade20k": "ADE_test_00000020.png",
    "cityscapes": "city0_000000_000020_pred_labelIds.png",
    "coco_stuff164k": "000000000020.png",
}
# ids that may be handed in
LEGAL = {
    "camvid": set(range(11)),
    "voc": set(range(21)),
    "ade20k": set(range(1, 151)),
    "cityscapes": {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33},
    "coco_stuff164k": set(range(182)) - set(UNUSED),
}


def predictions(source, seed=1):
    rng = np.random.default_rng(seed)
    classes = source.labels.num_classes
    return [rng.integers(0, classes, source.truth(i).shape, np.uint8) for i in range(len(source))]


def export(source, folder, labels=None):
    writer = SubmissionWriter(folder, source)
    writer.start()
    for i, prediction in enumerate(predictions(source) if labels is None else labels):
        writer.write(source.name(i), prediction)
    return writer.finish(), writer.archive


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture), picture.mode, picture.getpalette()


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("name", CLASSES)
def test_what_is_handed_in(name, split, tmp_path):
    source = CLASSES[name](write(name, tmp_path / "data", count=3), split)
    matrix, archive = export(source, tmp_path / "out")
    labels = predictions(source)
    expected = torch.zeros_like(matrix)
    for i, prediction in enumerate(labels):
        path = source.submission.path.format(name=source.name(i), split=split)
        ids, mode, palette = pixels(tmp_path / "out/predictions" / path)
        assert set(np.unique(ids).tolist()) <= LEGAL[name]
        assert ids.dtype == np.uint8
        assert (source.labels.encode(ids, "") == prediction).all()
        assert mode == ("P" if name == "voc" else "L")
        if name == "voc":
            assert palette[: 3 * 21] == [c for colour in VOC.labels.colours for c in colour]
        expected += confusion_matrix(
            torch.from_numpy(prediction), torch.from_numpy(source.read(i)[1]), source.labels.num_classes
        )
    assert torch.equal(matrix, expected)
    assert (matrix.sum() > 0) == source.labelled
    if split == "test":
        assert (tmp_path / "out/predictions" / FIRST[name]).is_file()
    if name == "coco_stuff164k":
        with zipfile.ZipFile(archive) as packed:
            assert packed.namelist() == [f"stuff_{'test' if split == 'test' else 'val2017'}_scaseg_results.json"]
    elif name == "voc":
        with tarfile.open(archive) as packed:
            assert "results/VOC2012/Segmentation" in {m.removeprefix("./") for m in packed.getnames()}
    else:
        with zipfile.ZipFile(archive) as packed:
            assert len([m for m in packed.namelist() if m.endswith(".png")]) == 3
    assert not (tmp_path / "out.part").exists()


def test_cityscapes_read_from_train_ids_is_handed_in_as_label_ids(tmp_path):
    root = write("cityscapes", tmp_path / "data")
    for path in list((root / "gtFine").rglob("*_labelIds.png")):
        ids, _, _ = pixels(path)
        other = path.with_name(path.name.replace("labelIds", "labelTrainIds"))
        Image.fromarray(Cityscapes.labels.encode(ids, "")).save(other)
        path.unlink()
    source = Cityscapes(root, "val")
    matrix, _ = export(source, tmp_path / "out")
    ids, _, _ = pixels(next((tmp_path / "out/predictions").iterdir()))
    assert set(np.unique(ids).tolist()) == LEGAL["cityscapes"]
    assert matrix.sum() > 0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_result_is_read_by_cocos_own_code(tmp_path):
    from pycocotools import mask as coco

    source = CLASSES["coco_stuff164k"](write("coco_stuff164k", tmp_path / "data"), "val")
    export(source, tmp_path / "out")
    entries = json.loads((tmp_path / "out/stuff_val2017_scaseg_results.json").read_text())
    for i in range(len(source)):
        ids, _, _ = pixels(tmp_path / f"out/predictions/{source.name(i)}.png")
        mine = [entry for entry in entries if entry["image_id"] == int(source.name(i))]
        # the stuff task: 92..182 are the raw ids 91..181 counted from 1, 183 is all that are things
        assert {entry["category_id"] for entry in mine} == {
            *(raw + 1 for raw in np.unique(ids[ids > 90]).tolist()),
            *([183] if (ids <= 90).any() else []),
        }
        for entry in mine:
            inside = ids <= 90 if entry["category_id"] == 183 else ids == entry["category_id"] - 1
            assert (coco.decode(entry["segmentation"]) == inside).all()


def says(*parts):
    return pytest.raises(UserError, match=".*".join(re.escape(part) for part in parts))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), ["2008_000020.png is missing"]),
        (lambda path: path.with_name("2008_000099.png").write_bytes(path.read_bytes()), ["belongs to no image"]),
        (lambda path: save(path, np.zeros((SIZE[0], SIZE[1] - 1)), "P"), ["is 55x40, its image 56x40"]),
        (lambda path: save(path, np.full(SIZE, 255), "P"), ["predicts id 255, which is no class"]),
        (lambda path: save(path, np.full(SIZE, 21), "P"), ["holds id 21"]),
        (lambda path: save(path, np.zeros(SIZE), "L"), ["must be an indexed PNG"]),
        (lambda path: save(path, np.zeros((*SIZE, 3)), "RGB"), ["is an RGB PNG"]),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), ["cut short"]),
        (lambda path: shutil.rmtree(path.parents[5] / "predictions"), ["is no submission"]),
    ],
)
def test_what_a_server_would_refuse(spoil, said, tmp_path):
    source = VOC(write("voc", tmp_path / "data"), "test")
    export(source, tmp_path / "out")
    check(tmp_path / "out", source)
    spoil(tmp_path / "out/predictions" / FIRST["voc"])
    with says(*said):
        check(tmp_path / "out", source)


def save(path: Path, ids, mode):
    ids = np.asarray(ids, np.uint8)
    picture = Image.frombytes("P", ids.shape[1::-1], ids.tobytes()) if mode == "P" else Image.fromarray(ids)
    if mode == "P":
        picture.putpalette([0, 0, 0] * 256)
    picture.save(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entries: entries[1:], "pixels of no category"),
        (lambda entries: [*entries, entries[0]], "pixels of two categories"),
        (lambda entries: [{**entries[0], "category_id": 91}, *entries[1:]], "entry 0 is not"),
        (lambda entries: [{**entries[0], "image_id": 77}, *entries[1:]], "image_id 77 stands in the result or"),
        (lambda entries: {"no": "list"}, "entry 0 is not"),
        (lambda entries: [{**e, "category_id": 275 - e["category_id"]} for e in entries], "differ"),
    ],
)
def test_what_cocos_server_would_refuse(change, said, tmp_path):
    source = CLASSES["coco_stuff164k"](write("coco_stuff164k", tmp_path / "data"), "test")
    labels = [np.where(np.arange(SIZE[1]) < 9, 80, 120).astype(np.uint8)[None].repeat(SIZE[0], 0) for _ in range(2)]
    export(source, tmp_path / "out", labels)
    path = tmp_path / "out/stuff_test_scaseg_results.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with says(said):
        check(tmp_path / "out", source)


def test_an_export_is_whole_or_not_there(tmp_path):
    source = VOC(write("voc", tmp_path / "data"), "test")
    writer = SubmissionWriter(tmp_path / "out", source)
    writer.start()
    writer.write(source.name(0), predictions(source)[0])
    with says("2008_000021.png is missing"):
        writer.finish()
    assert not (tmp_path / "out").exists()
    export(source, tmp_path / "out")  # over what the first left
    with says("out is there already"):
        SubmissionWriter(tmp_path / "out", source)


def test_the_embedded_dataset_has_an_export_too(tmp_path):
    source = Shapes(size=[32, 40], length=2, split="test")
    matrix, _ = export(source, tmp_path / "out")
    assert matrix.sum() == 2 * 32 * 40
    assert IGNORE not in pixels(tmp_path / "out/predictions/test_00000.png")[0]
