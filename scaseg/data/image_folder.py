"""dataset=folder: anyone's images and masks in two folders, their classes listed in YAML."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from scaseg.data.folder import FolderDataset, Pair, files, read_list
from scaseg.data.labels import IGNORE, Colour, LabelTable
from scaseg.errors import UserError

CLASSES_FILE = "classes.yaml"
_IMAGES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_HELP = "a list of names, or of {name: ..., id: ..., colour: [r, g, b]}"


class ImageFolder(FolderDataset):
    """DATA_DIR/IMAGES/NAME.{jpg,png} and DATA_DIR/MASKS/NAME<mask_suffix>, 8-bit masks of class ids.

    Splits are, whichever is there first: folders IMAGES/SPLIT and MASKS/SPLIT; lists SPLIT.txt of names in DATA_DIR;
    else a share `val_share` of the names, chosen by a hash of each, is val and the rest train. A test split, by
    folder or by list, may go without masks.

    classes: the list (see `table`), or None to read it from DATA_DIR/classes.yaml.
    """

    splits: ClassVar = ("train", "val", "test", "all")
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
        mask_suffix: str = ".png",
        val_share: float = 0.2,
        classes: Sequence[Any] | None = None,
        ignore_ids: Sequence[int] = (IGNORE,),
    ):
        if not 0 < val_share < 1:
            raise UserError(f"dataset.val_share={val_share}: a share between 0 and 1")
        self.images, self.masks, self.mask_suffix, self.val_share = images, masks, mask_suffix, val_share
        self._with_masks = True
        self.labels = self.table(data_dir, {"classes": classes, "ignore_ids": ignore_ids})
        super().__init__(data_dir, split)

    @property
    def labelled(self) -> bool:
        """Whether this split has masks."""
        return self._with_masks

    @classmethod
    def table(cls, data_dir: str | Path | None, options: Mapping[str, Any]) -> LabelTable:
        """The classes that `options["classes"]`, or else classes.yaml, lists.

        An entry is a name, whose id is its place in the list, or {name, id, colour}. `ignore_ids` are not learned.
        """
        classes, where = options.get("classes"), "dataset.classes"
        if classes is None:
            path = (Path("data", cls.folder) if data_dir is None else Path(data_dir)) / CLASSES_FILE
            if not path.is_file():
                raise UserError(f"dataset=folder needs its classes: {_HELP}, in {path} or as dataset.classes=[...]")
            where = str(path)
            try:
                classes = yaml.safe_load(path.read_text())
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise UserError(f"{path} is no YAML that can be read: {' '.join(str(error).split())}") from error
        if not isinstance(classes, list | tuple) or not classes:
            raise UserError(f"{where} must be {_HELP}")
        return _table(classes, list(options.get("ignore_ids") or ()), where)

    def find_pairs(self) -> list[Pair]:
        """The pairs of a split's folders, of its list, or of the share that falls to it."""
        by_folder = any((self.root / self.images / split).is_dir() for split in self.splits)
        if by_folder:
            parts = ("train", "val") if self.split == "all" else (self.split,)
            pairs = [pair for part in parts for pair in self._pairs_in(part)]
        else:
            pairs = self._listed() if self.split != "all" else self._pairs_in()
        return pairs

    def _pairs_in(self, *parts: str, names: Sequence[str] | None = None) -> list[Pair]:
        images = files(self.subfolder(self.images, *parts), _IMAGES)
        if self.split == "test" and not self._masks_of_test(*parts, names=names):
            self._with_masks = False
            return self.match(images, None, names)
        return self.match(images, files(self.subfolder(self.masks, *parts), (self.mask_suffix,)), names)

    def _masks_of_test(self, *parts: str, names: Sequence[str] | None) -> bool:
        folder = self.root.joinpath(self.masks, *parts)
        found = files(folder, (self.mask_suffix,)) if folder.is_dir() else {}
        return bool(found) if names is None else any(name in found for name in names)

    def _listed(self) -> list[Pair]:
        lists = {split: self.root / f"{split}.txt" for split in ("train", "val", "test")}
        there = {split: read_list(path) for split, path in lists.items() if path.is_file()}
        if there:
            for split in there:
                twice = set(there[split]) & set(there.get(self.split, ())) if split != self.split else set()
                if twice:
                    raise UserError(
                        f"{sorted(twice)[0]} and {len(twice) - 1} more stand in {lists[split]} and in"
                        f" {lists[self.split]}: an image belongs to one split"
                    )
            return self._pairs_in(names=self.read_list(f"{self.split}.txt"))
        if self.split == "test":
            raise UserError(
                f"no test split in {self.root.absolute()}: make a folder {self.images}/test, or lists train.txt,"
                " val.txt and test.txt"
            )
        return [pair for pair in self._pairs_in() if _falls_to_val(pair.name, self.val_share) == (self.split == "val")]


def _falls_to_val(name: str, share: float) -> bool:
    """By the name alone: an image stays in its split when others are added."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) < share * 2**32


def _table(classes: Sequence[Any], ignore_ids: Sequence[int], where: str) -> LabelTable:
    names: list[str] = []
    colours: list[Colour] = []
    raw_ids: dict[int, int] = {}
    for place, given in enumerate(classes):
        entry = dict(given) if isinstance(given, Mapping) else {"name": given}
        name, raw, colour = entry.pop("name", None), entry.pop("id", place), entry.pop("colour", _colour(place))
        rgb = isinstance(colour, list | tuple) and len(colour) == 3 and all(_is_byte(c) for c in colour)
        if name is None or isinstance(name, dict | list) or not _is_byte(raw) or not rgb or entry:
            raise UserError(f"{where}: entry {place + 1}, {given!r}, is not {_HELP}; ids and colours are 0..255")
        if str(name) in names or raw in raw_ids or raw in ignore_ids:
            what = f"name {name}" if str(name) in names else f"id {raw}"
            raise UserError(f"{where}: {what} comes twice" + (" (dataset.ignore_ids)" if raw in ignore_ids else ""))
        names.append(str(name))
        colours.append((colour[0], colour[1], colour[2]))
        raw_ids[raw] = place
    if len(names) > 253:
        raise UserError(f"{where} lists {len(names)} classes; 8-bit masks leave room for 253")
    return LabelTable(tuple(names), tuple(colours), raw_ids | dict.fromkeys(ignore_ids, IGNORE))


def _is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _colour(i: int) -> Colour:
    """Pascal VOC's rule (VOClabelcolormap.m): unlike colours for any number of classes."""
    red, green, blue = (sum(((i >> (3 * k + c)) & 1) << (7 - k) for k in range(3)) for c in range(3))
    return red, green, blue
