"""Pascal VOC 2012, 21 classes with the background; object borders (255) are ignored."""

from pathlib import Path
from typing import ClassVar

from scaseg.data.archives import link_within
from scaseg.data.folder import FolderDataset, Pair
from scaseg.data.labels import IGNORE, LabelTable, names
from scaseg.data.listing import images_in, masks_in
from scaseg.data.pairing import listed
from scaseg.data.release import Archive, Submission
from scaseg.files import write_text


class VOC(FolderDataset):
    """VOCdevkit/VOC2012: JPEGImages, SegmentationClass, ImageSets/Segmentation.

    train_aug (10,582 images) is train and SBD (Hariharan et al., ICCV 2011), masks in SegmentationClassAug.
    """

    # Ids and colours: the development kit's VOClabelcolormap.m.
    labels = LabelTable(
        names=names(
            "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, "
            "dog, horse, motorbike, person, pottedplant, sheep, sofa, train, tvmonitor"
        ),
        colours=(
            *((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)),
            *((128, 128, 128), (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128)),
            *((192, 0, 128), (64, 128, 128), (192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0)),
            *((128, 192, 0), (0, 64, 128)),
        ),
        raw_ids={**{i: i for i in range(21)}, 255: IGNORE},
        ignore_colour=(224, 224, 192),
    )
    splits: ClassVar = ("train", "val", "trainval", "train_aug", "test")
    terms: ClassVar = "Pascal VOC 2012: images under Flickr's terms of use, database for research"
    without_masks: ClassVar = ("test",)
    counts: ClassVar = {"train": 1464, "val": 1449, "trainval": 2913, "train_aug": 10582, "test": 1456}
    folder: ClassVar = "VOCdevkit/VOC2012"
    how_to_get: ClassVar = (
        "unpack VOCtrainval_11-May-2012.tar from http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ "
        "(train_aug also wants SegmentationClassAug and trainaug.txt, made from SBD; test VOC2012test.tar)."
    )
    # comp6: outside data (ImageNet) in training; comp5 would be VOC alone. The server takes a tar.gz of results/.
    submission: ClassVar = Submission(
        "results/VOC2012/Segmentation/comp6_{split}_cls/{name}.png", palette=True, archive="gztar"
    )
    _TREE: ClassVar = {
        f"VOCdevkit/VOC2012/{part}/": f"{part}/"
        for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
    }
    archives: ClassVar = (
        Archive("VOCtrainval*.tar", _TREE),
        Archive("VOC2012test*.tar", _TREE),
        Archive("SegmentationClassAug*.zip", {"SegmentationClassAug/": "SegmentationClassAug/"}),
    )

    @classmethod
    def complete(cls, folder: Path) -> None:
        """train_aug is every mask of SegmentationClassAug, VOC's and SBD's, but those of val: its list, if it lacks."""
        lists, masks = folder / "ImageSets/Segmentation", folder / "SegmentationClassAug"
        if not masks.is_dir() or not (lists / "val.txt").is_file() or link_within(folder, lists / "trainaug.txt"):
            return
        if not any((lists / name).exists() for name in ("trainaug.txt", "train_aug.txt")):
            found = masks_in(masks, ".png").files
            val = set(listed(lists / "val.txt", found))
            write_text(lists / "trainaug.txt", "".join(f"{name}\n" for name in found if name not in val))

    def find_pairs(self) -> list[Pair]:
        """The pairs that the split's list names."""
        augmented = self.split == "train_aug"
        lists = ("trainaug.txt", "train_aug.txt") if augmented else (f"{self.split}.txt",)
        images, masks = images_in(self.subfolder("JPEGImages")), None
        if self.labelled:
            masks = masks_in(self.subfolder("SegmentationClassAug" if augmented else "SegmentationClass"), ".png")
        return self.match(images, masks, self.listed(images, *(f"ImageSets/Segmentation/{name}" for name in lists)))
