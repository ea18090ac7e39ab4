"""The datasets on real samples, and on tiny ones written in the official layouts."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from scaseg.data.ade20k import ADE20K
from scaseg.data.camvid import CamVid
from scaseg.data.cityscapes import Cityscapes
from scaseg.data.coco_stuff164k import COCOStuff164k
from scaseg.data.voc import VOC
from scaseg.errors import UserError

# Counts: ../shared/data/README.md
REAL = [
    (CamVid, "CamVid", "train", 367),
    (CamVid, "CamVid", "val", 101),
    (CamVid, "CamVid", "test", 233),
    (CamVid, "CamVid", "trainval", 468),
    (VOC, "VOCdevkit/VOC2012", "train", 60),
    (VOC, "VOCdevkit/VOC2012", "val", 50),
    (VOC, "VOCdevkit/VOC2012", "trainval", 110),
    (VOC, "VOCdevkit/VOC2012", "train_aug", 86),
    (ADE20K, "ADEChallengeData2016", "train", 5),
    (ADE20K, "ADEChallengeData2016", "val", 7),
    (COCOStuff164k, "coco_stuff164k", "train", 10),
    (COCOStuff164k, "coco_stuff164k", "val", 6),
]


@pytest.mark.parametrize(("dataset", "folder", "split", "count"), REAL)
def test_real_samples(shared, dataset, folder, split, count):
    data = dataset(shared / "data" / folder, split)
    assert len(data) == count == len({data.name(i) for i in range(count)})
    seen = Counter()
    for i in range(0, count, 1 + count // 20):
        image, mask = data.read(i)
        with Image.open(data.pairs[i].mask) as png:
            raw = np.asarray(png)
        assert image.shape == (*raw.shape, 3)
        assert image.dtype == mask.dtype == np.uint8
        assert mask.shape == raw.shape
        expected = np.vectorize(dataset.labels.raw_ids.__getitem__, otypes=[np.uint8])(raw)
        assert (mask == expected).all()
        seen.update(np.unique(mask).tolist())
    assert set(seen) <= {*range(dataset.labels.num_classes), 255}
    assert len(seen) > 3


def test_real_images_are_decoded_as_pillow_does(shared):
    data = VOC(shared / "data/VOCdevkit/VOC2012", "val")
    for i in range(3):
        with Image.open(data.pairs[i].image) as jpeg:
            other = np.asarray(jpeg.convert("RGB"), np.int16)
        assert np.abs(data.read(i)[0] - other).mean() < 0.5  # their libjpegs differ by a grey level here and there


def test_all_camvid_ids_occur_in_each_split(shared):
    for split in ("train", "val", "test"):
        data = CamVid(shared / "data/CamVid", split)
        seen = np.unique(np.concatenate([np.unique(data.read(i)[1]) for i in range(len(data))]))
        assert seen.tolist() == [*range(11), 255]


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


@pytest.mark.parametrize("suffix", ["labelIds", "labelTrainIds"])
def test_cityscapes_in_its_official_layout(tmp_path, suffix):
    stored = {"labelIds": [[0, 7, 33], [4, 23, 8]], "labelTrainIds": [[255, 0, 18], [255, 10, 1]]}[suffix]
    for split, city in (("train", "ulm"), ("train", "aachen"), ("val", "lindau")):
        name = f"{city}_000000_000019"
        write(tmp_path / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png", np.zeros((2, 3, 3)))
        write(tmp_path / f"gtFine/{split}/{city}/{name}_gtFine_{suffix}.png", stored)
        write(tmp_path / f"gtFine/{split}/{city}/{name}_gtFine_color.png", np.zeros((2, 3, 4)))
    data = Cityscapes(tmp_path, "train")
    assert [data.name(i) for i in range(len(data))] == ["aachen_000000_000019", "ulm_000000_000019"]
    assert data.read(0)[1].tolist() == [[255, 0, 18], [255, 10, 1]]
    assert Cityscapes.labels.encode(np.full((1, 1), 7, np.uint8), "other instances keep theirs")[0, 0] == 0


def test_cityscapes_without_masks(tmp_path):
    write(tmp_path / "leftImg8bit/val/ulm/ulm_0_leftImg8bit.png", np.zeros((2, 3, 3)))
    (tmp_path / "gtFine/val/ulm").mkdir(parents=True)
    with pytest.raises(UserError, match=r"No mask \*_gtFine_labelIds.png"):
        Cityscapes(tmp_path, "val")


def test_a_subset_of_a_folder_is_what_the_list_says(tmp_path):
    for name in ("2007_000001", "2007_000002", "2007_000003"):
        write(tmp_path / f"JPEGImages/{name}.jpg", np.zeros((8, 8, 3)))
        write(tmp_path / f"SegmentationClassAug/{name}.png", np.full((8, 8), 20))
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train_aug.txt").write_text("2007_000003\n2007_000001\n")
    data = VOC(tmp_path, "train_aug")
    assert [data.name(i) for i in range(len(data))] == ["2007_000003", "2007_000001"]
    assert (data.read(0)[1] == 20).all()
