"""Tiny datasets in the official layouts, with every id that a mask may hold."""

from pathlib import Path

import numpy as np
from PIL import Image

from scaseg.data.ade20k import ADE20K
from scaseg.data.camvid import CamVid
from scaseg.data.cityscapes import Cityscapes
from scaseg.data.coco_stuff164k import COCOStuff164k
from scaseg.data.labels import LabelTable
from scaseg.data.voc import VOC

SIZE = (40, 56)
CLASSES = {
    "camvid": CamVid,
    "voc": VOC,
    "ade20k": ADE20K,
    "cityscapes": Cityscapes,
    "coco_stuff164k": COCOStuff164k,
}


def image(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8))


def mask(rng: np.random.Generator, labels: LabelTable, size: tuple[int, int] = SIZE) -> Image.Image:
    ids = np.array(sorted(labels.raw_ids), np.uint8)
    return Image.fromarray(ids[rng.integers(0, len(ids), size)])


def put(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def write(name: str, root: Path, count: int = 2, seed: int = 0, size: tuple[int, int] = SIZE) -> Path:
    """`count` pairs of train and of val, and `count` images of test, of dataset `name` in the folder `root`."""
    rng = np.random.default_rng(seed)
    labels = CLASSES[name].labels
    for k, split in enumerate(("train", "val", "test")):
        for i in range(count):
            n = 10 * k + i
            if name == "camvid":
                places = f"{split}/{n:04d}.png", f"{split}annot/{n:04d}.png"
            elif name == "voc":
                places = f"JPEGImages/2008_{n:06d}.jpg", f"SegmentationClass/2008_{n:06d}.png"
            elif name == "ade20k":
                part = {"train": "training", "val": "validation", "test": "testing"}[split]
                stem = f"ADE_{split}_{n:08d}"
                places = f"images/{part}/{stem}.jpg", f"annotations/{part}/{stem}.png"
            elif name == "coco_stuff164k":
                places = f"images/{split}2017/{n:012d}.jpg", f"stuffthingmaps/{split}2017/{n:012d}.png"
            else:
                stem = f"{split}/city{i}/city{i}_000000_{n:06d}"
                places = f"leftImg8bit/{stem}_leftImg8bit.png", f"gtFine/{stem}_gtFine_labelIds.png"
            put(image(rng, size), root / places[0])
            if split not in CLASSES[name].without_masks or name == "cityscapes":  # whose test masks are blank
                put(mask(rng, labels, size), root / places[1])
            if name == "voc":
                lists = root / "ImageSets/Segmentation"
                lists.mkdir(parents=True, exist_ok=True)
                for listed in (split, "trainval") if split != "test" else (split,):
                    with (lists / f"{listed}.txt").open("a") as file:
                        file.write(f"2008_{n:06d}\n")
    return root
