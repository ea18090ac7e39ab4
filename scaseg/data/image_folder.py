"""dataset=folder: anyone's images and masks in two folders, their classes listed in YAML."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from scaseg.data.classes import FORM, class_table, read_classes
from scaseg.data.folder import STORED, UPRIGHT, FolderDataset, Pair
from scaseg.data.labels import IGNORE, LabelTable
from scaseg.data.listing import Listing, entries, images_in, masks_in
from scaseg.data.pairing import masks_among
from scaseg.errors import UserError

CLASSES_FILE = "classes.yaml"
SPLITS = ("train", "val", "test")
CALLED = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}  # by others


class ImageFolder(FolderDataset):
    """DATA_DIR/IMAGES/NAME<image_suffix>.{jpg,png,...} and DATA_DIR/MASKS/NAME<mask_suffix>, 8-bit masks of class ids.

    Folders in these two are part of the name. Masks may lie among the images, told by their suffix.

    Splits are, whichever is there first: folders IMAGES/SPLIT and MASKS/SPLIT; lists SPLIT.txt of names in DATA_DIR;
    else a share `val_share` of the names, chosen by a hash of each, is val and the rest train. A test split, by
    folder or by list, may go without masks.

    classes: the list (see `table`), the file that has it, or None to read it from DATA_DIR/classes.yaml.
    """

    splits: ClassVar = (*SPLITS, "all")
    folder: ClassVar = "folder"
    how_to_get: ClassVar = (
        "two folders, images and masks, of files with the same names (dataset.images, dataset.masks)."
    )

    def __init__(
        self,
        data_dir: str | Path | None = None,
        split: str = "train",
        images: str = "images",
        masks: str = "masks",
        image_suffix: str = "",
        mask_suffix: str = ".png",
        mask_pixels: str = UPRIGHT,
        val_share: float = 0.2,
        classes: Sequence[Any] | str | None = None,
        ignore_ids: Sequence[int] = (IGNORE,),
    ):
        if not 0 < val_share < 1:
            raise UserError(f"dataset.val_share={val_share}: a share between 0 and 1")
        if mask_pixels not in (UPRIGHT, STORED):
            raise UserError(f"dataset.mask_pixels={mask_pixels}: {UPRIGHT} or {STORED}, where EXIF turns an image")
        self.images, self.masks, self.val_share = images, masks, val_share
        self.image_suffix, self.mask_suffix, self.mask_pixels = image_suffix, mask_suffix, mask_pixels
        self._with_masks = True
        self.labels = self.table(data_dir, {"classes": classes, "ignore_ids": ignore_ids})
        super().__init__(data_dir, split)

    @property
    def labelled(self) -> bool:
        """Whether this split has masks."""
        return self._with_masks

    @classmethod
    def table(cls, data_dir: str | Path | None, options: Mapping[str, Any]) -> LabelTable:
        """The classes that `options["classes"]`, or else classes.yaml, lists; see scaseg.data.classes."""
        classes, where = options.get("classes"), "dataset.classes"
        if isinstance(classes, str):
            classes, where = read_classes(Path(classes)), classes
        elif classes is None:
            path = (Path("data", cls.folder) if data_dir is None else Path(data_dir)) / CLASSES_FILE
            if not path.is_file():
                beside = entries(path.parent) if path.parent.is_dir() else []
                near = [name for name in beside if Path(name).stem.lower() in ("classes", "labels", "data", "names")]
                there = (
                    f"; {path.with_name(near[0])} is there: if these are they, call it {CLASSES_FILE}" if near else ""
                )
                raise UserError(
                    f"dataset=folder needs its classes: {FORM}, in {path} or as dataset.classes=[...]{there}"
                )
            classes, where = read_classes(path), str(path)
        return class_table(classes, list(options.get("ignore_ids") or ()), where)

    def find_pairs(self) -> list[Pair]:
        """The pairs of a split's folders, of its list, or of the share that falls to it."""
        root = self.root / self.images
        if any((root / split).is_dir() for split in SPLITS):
            beside = [str(root / name) for name in entries(root) if name.rstrip("/") not in SPLITS]
            parts = ("train", "val") if self.split == "all" else (self.split,)
            return [pair for part in parts for pair in self._pairs(self._images(part, beside=beside), part)]
        images = self._images()
        if self.split == "all":
            return self._pairs(images)
        self._check_lists()
        lists = [split for split in SPLITS if (self.root / f"{split}.txt").is_file()]
        if lists:
            return self._pairs(images, names=self._listed(images, lists))
        if self.split == "test":
            raise UserError(
                f"no test split in {self.root.absolute()}: make a folder {self.images}/test, or lists train.txt,"
                " val.txt and test.txt"
            )
        every = self._pairs(images)
        self._check_folders(images)
        if len(every) < 2:
            raise UserError(
                f"{self.folder} in {self.root.absolute()}: train and val need an image each, not 1 together"
            )
        val = drawn_val([pair.name for pair in every], self.val_share)
        return [pair for pair in every if (pair.name in val) == (self.split == "val")]

    def _check_lists(self) -> None:
        """UserError for what is called as a list of a split is elsewhere: we would draw splits of our own beside it."""
        for name in entries(self.root):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            split = _split(stem) if suffix.lower() in (".txt", ".lst") else None
            if split and not (self.root / f"{split}.txt").is_file():
                raise UserError(f"{self.root / name} is read as a list when it is called {split}.txt: rename it")

    def _check_folders(self, images: Listing) -> None:
        """UserError for a folder that is called as a split is, and does not lie where one does."""
        for name, path in images.files.items():
            for part in name.split("/")[:-1]:
                if split := _split(part):
                    raise UserError(
                        f"{path} lies in a folder {part}, and the {split} split's folders are {self.images}/{split} and"
                        f" {self.masks}/{split}: rename them, or choose by lists, train.txt and val.txt in {self.root}"
                    )

    def _images(self, *parts: str, beside: Sequence[str] = ()) -> Listing:
        """Of a folder; beside: what lies where the splits' folders do, and belongs to none."""
        place, masks = self.subfolder(self.images, *parts), self.root.joinpath(self.masks, *parts)
        together = _same(place, masks)
        try:
            found = images_in(place, self.image_suffix, True, self.mask_suffix if together else None, but=masks)
        except UserError as error:
            if masks.is_dir():
                raise
            here = f"dataset.masks={self.images} dataset.mask_suffix={self.mask_suffix}"
            raise UserError(f"{error} Where one is the other's mask: {here}") from error
        found.others.extend(beside)
        return found

    def _pairs(self, images: Listing, *parts: str, names: Sequence[str] | None = None) -> list[Pair]:
        place, folder = self.root.joinpath(self.images, *parts), self.root.joinpath(self.masks, *parts)
        if not folder.is_dir() and self.split != "test" and (suffix := masks_among(images.files)):
            kind = os.path.splitext(next(path for name, path in images.files.items() if name.endswith(suffix)))[1]  # noqa: PTH122
            raise UserError(
                f"{self.folder}: no folder {folder.absolute()}, and in {place} files are called NAME and NAME{suffix}:"
                f" dataset.masks={self.images} dataset.mask_suffix={suffix}{kind}"
            )
        if folder.is_dir() or self.split != "test":
            folder = self.subfolder(self.masks, *parts)
            masks = masks_in(folder, self.mask_suffix, True, alone=not _same(place, folder), but=place)
            if self.split != "test" or any(name in masks.files for name in (names or masks.files)):
                return self.match(images, masks, names, (self.image_suffix, self.mask_suffix))
        self._with_masks = False
        return self.match(images, None, names)

    def _listed(self, images: Listing, lists: Sequence[str]) -> list[str]:
        suffixes = self.image_suffix, self.mask_suffix
        wanted = self.listed(images, f"{self.split}.txt", suffixes=suffixes)
        for split in (split for split in lists if split != self.split):
            twice = set(wanted) & set(self.listed(images, f"{split}.txt", suffixes=suffixes))
            if twice:
                raise UserError(
                    f"{sorted(twice)[0]} and {len(twice) - 1} more stand in {self.root / split}.txt and in"
                    f" {self.root / self.split}.txt: an image belongs to one split"
                )
        return wanted


def _split(name: str) -> str | None:
    """The split that a name in any case means."""
    name = CALLED.get(name.lower(), name.lower())
    return name if name in SPLITS else None


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def drawn_val(names: Sequence[str], share: float) -> set[str]:
    """Drawn by each name alone: an image stays in its split when others are added. Neither split is empty."""
    drawn = {name: int(hashlib.sha256(os.fsencode(name)).hexdigest()[:8], 16) for name in names}
    val = {name for name, number in drawn.items() if number < share * 2**32} or {min(names, key=drawn.__getitem__)}
    return val if len(val) < len(names) else val - {max(names, key=drawn.__getitem__)}
