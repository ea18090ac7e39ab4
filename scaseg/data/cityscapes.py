"""Cityscapes fine annotations, 19 classes out of 34 labelIds."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from scaseg.data.folder import FolderDataset, Pair
from scaseg.data.labels import IGNORE, LabelTable, colours, names
from scaseg.data.listing import Listing, entries, images_in, masks_in
from scaseg.data.release import Archive, Submission
from scaseg.errors import UserError

# The labelIds that are evaluated, in the order of their trainIds; the other ids of 0..33 are ignored
# (mcordts/cityscapesScripts, helpers/labels.py, which has names and colours too).
EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_IMAGE = "_leftImg8bit"
_MASKS = ("_gtFine_labelIds.png", "_gtFine_labelTrainIds.png")

_NAMES = names(
    "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, "
    "person, rider, car, truck, bus, train, motorcycle, bicycle"
)
_COLOURS = colours(
    "804080 f423e8 464646 66669c be9999 999999 faaa1e dcdc00 6b8e23 98fb98 4682b4 dc143c ff0000 00008e "
    "000046 003c64 005064 0000e6 770b20"
)
_TRAIN_IDS = LabelTable(_NAMES, _COLOURS, {**{i: i for i in range(19)}, IGNORE: IGNORE}, (0, 0, 0))


class Cityscapes(FolderDataset):
    """{leftImg8bit,gtFine}/{train,val}/CITY/*.png: labelIds, or labelTrainIds where only those are there.

    test has images alone: the masks that come with it are blank. The server takes a zip of PNGs of labelIds whose
    names begin with CITY_SEQUENCE_FRAME.
    """

    labels = LabelTable(
        _NAMES,
        _COLOURS,
        {**dict.fromkeys(range(34), IGNORE), **{raw: train for train, raw in enumerate(EVALUATED)}},
        (0, 0, 0),
    )
    splits: ClassVar = ("train", "val", "trainval", "test")
    terms: ClassVar = "Cityscapes: non-commercial, by registration"
    without_masks: ClassVar = ("test",)
    counts: ClassVar = {"train": 2975, "val": 500, "trainval": 3475, "test": 1525}
    submission: ClassVar = Submission("{name}_pred_labelIds.png")
    archives: ClassVar = (
        Archive("leftImg8bit_trainvaltest*.zip", {"leftImg8bit/": "leftImg8bit/"}),
        Archive("gtFine_trainvaltest*.zip", {"gtFine/": "gtFine/"}),
    )
    folder: ClassVar = "cityscapes"
    how_to_get: ClassVar = (
        "unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from "
        "https://www.cityscapes-dataset.com/downloads/ (registration needed)."
    )

    def find_pairs(self) -> list[Pair]:
        """All pairs of the split's cities."""
        parts = ("train", "val") if self.split == "trainval" else (self.split,)
        images = _of_cities([self.subfolder("leftImg8bit", part) for part in parts], images_in, _IMAGE)
        if not self.labelled:
            return self.match(images, None)
        truth = [self.subfolder("gtFine", part) for part in parts]
        masks = _of_cities(truth, masks_in, _MASKS[0])
        if not masks.files:
            masks = _of_cities(truth, masks_in, _MASKS[1])
            if masks.files:
                self.labels = _TRAIN_IDS
            elif images.files:
                raise UserError(f"No mask *{_MASKS[0]} (or {_MASKS[1]}) under {truth[0]}. Get it: {self.how_to_get}")
        return self.match(images, masks)

    @property
    def submission_labels(self) -> LabelTable:
        """That of labelIds, also where labelTrainIds were read."""
        return type(self).labels


def _of_cities(folders: list[Path], look: Callable[[Path, str], Listing], suffix: str) -> Listing:
    found = Listing({}, [])
    for city in (folder / name for folder in folders for name in entries(folder)):
        if city.is_dir():
            files, others = look(city, suffix)
            found.files.update(files)
            found.others.extend(others)
        else:
            found.others.append(str(city))
    return found
