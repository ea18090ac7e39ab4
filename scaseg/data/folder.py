"""Datasets on disk: pairs of image and mask files, read and checked in one place."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from scaseg.data.by_pillow import Picture as Picture
from scaseg.data.images import decode, is_jpeg, read_bytes, read_image, size_and_turn
from scaseg.data.labels import IGNORE, LabelTable, Mask
from scaseg.data.listing import Listing, entries
from scaseg.data.masks import read_mask
from scaseg.data.orientation import as_stored, upright
from scaseg.data.pairing import Pair as Pair
from scaseg.data.pairing import listed, paired
from scaseg.data.release import Archive, Submission
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.form import RGB, Form

if TYPE_CHECKING:
    from scaseg.data.cache import Cache

log = logging.getLogger("scaseg")
STORED, UPRIGHT = "stored", "upright"


class FolderDataset:
    """Base of the datasets on disk: a subclass says which pairs its official layout holds.

    `data_dir` is the official folder itself; null means `data/<folder>`, relative to where the program runs.

    Images are turned upright by their EXIF orientation, as they are in every other command. `mask_pixels` says to
    which pixels masks belong: `stored`, those of the benchmarks, whose tools know nothing of EXIF, and they are
    turned with their image; or `upright`, as people's annotation tools show an image.
    """

    cache: "Cache | None" = None  # set by who reads the same files many times
    form: Form = RGB  # of the pictures; set by who knows the configuration

    labels: LabelTable  # an instance may have a table of its own (Cityscapes' trainIds)
    splits: ClassVar[tuple[str, ...]]
    folder: ClassVar[str]
    how_to_get: ClassVar[str]
    mask_pixels: str = STORED
    without_masks: ClassVar[tuple[str, ...]] = ()  # splits whose masks the benchmark keeps to itself
    submission: ClassVar[Submission] = Submission()
    archives: ClassVar[tuple[Archive, ...]] = ()
    counts: ClassVar[Mapping[str, int]] = {}  # pairs of each split of the whole release
    terms: ClassVar[str] = "not recorded"  # of use of the images, as their makers state them

    @classmethod
    def complete(cls, folder: Path) -> None:
        """Write what the archives lack and follows from them; called before the splits are verified."""

    def __init__(self, data_dir: str | Path | None = None, split: str = "train"):
        if split not in self.splits:
            raise UserError(f"{self.folder} has no split '{split}': choose one of {', '.join(self.splits)}.")
        self.split = split
        self.root = Path("data", self.folder) if data_dir is None else Path(data_dir)
        self._heads: dict[str, tuple[bool, int]] = {}
        self.subfolder()
        self.pairs = self.find_pairs()
        if not self.pairs:
            raise UserError(f"The {split} split of {self.folder} in {self.root} is empty: no pair to read.")

    def find_pairs(self) -> list[Pair]:
        """The split's pairs, in a fixed order."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, i: int) -> str:
        """Name of sample i."""
        return self.pairs[i].name

    def read(self, i: int, ratio: Callable[[Size], float] | None = None) -> tuple[Picture, Mask]:
        """Sample i: image (H, W, C) by its form, mask (H, W) uint8 train ids, all IGNORE in a split without masks.

        `ratio`, from (H, W), is what the caller will resize the image by: a JPEG may then come decoded at
        1/2, 1/4 or 1/8 of its size, but never below what it will be resized to.
        """
        image, ids = self.read_ids(i, ratio)
        if ids is None:
            return image, np.full(image.shape[:2], IGNORE, np.uint8)
        return image, self.labels.encode(ids, str(self.pairs[i].mask))

    def read_ids(self, i: int, ratio: Callable[[Size], float] | None = None) -> tuple[Picture, Mask | None]:
        """The same with the ids that the mask's file stores; None in a split without masks."""
        pair = self.pairs[i]
        if pair.mask is None:
            return self._image(pair.image)[0], None
        ids = self._ids(pair.mask, self.mask_pixels == UPRIGHT)
        reduce = 1 if ratio is None else self.reduction(ratio((ids.shape[0], ids.shape[1])))
        image, turn = self._image(pair.image, reduce)
        if self.mask_pixels == STORED:
            ids = upright(ids, turn)
        if image.shape[:2] not in (ids.shape, tuple(-(-side // reduce) for side in ids.shape)):
            raise sizes_differ(pair, (ids.shape[0], ids.shape[1]), self.mask_pixels, self.form)
        return image, ids

    def check_size(self, i: int) -> int:
        """UserError where headers tell that image and mask differ in size; returns the image's EXIF orientation."""
        pair = self.pairs[i]
        (height, width), turn = size_and_turn(pair.image, self.form)
        if pair.mask is not None:
            mask, its = size_and_turn(pair.mask)
            if self.mask_pixels == STORED and (its > 4) != (turn > 4):
                mask = mask[::-1]  # as stored, then turned with the image
            if mask != (height, width):
                raise sizes_differ(pair, mask, self.mask_pixels, self.form)
        return turn

    @staticmethod
    def reduction(ratio: float) -> int:
        """1, 2, 4 or 8: an image that will be resized by `ratio` may be decoded at that fraction of its size."""
        return next(k for k in (8, 4, 2, 1) if k == 1 or ratio * k <= 1)

    def truth(self, i: int) -> Mask:
        """The mask of sample i alone; where there is none, IGNORE at the image's size, which its header tells."""
        pair = self.pairs[i]
        if pair.mask is None:
            return np.full(size_and_turn(pair.image, self.form)[0], IGNORE, np.uint8)
        ids = read_mask(pair.mask, self.mask_pixels == UPRIGHT)
        return self.labels.encode(upright(ids, self._turn(i)), pair.mask)

    def ids(self, i: int) -> Mask:
        """The ids that the mask of sample i stores, as they lie in its file; the split must have masks."""
        path = self.pairs[i].mask
        assert path is not None
        return self._ids(path, False)

    def as_masks_lie(self, i: int, labels: Mask) -> Mask:
        """Labels (H, W) of the upright image i -> as the dataset's own masks lie, which its benchmark wants back."""
        return as_stored(labels, self._turn(i))

    @property
    def labelled(self) -> bool:
        """Whether this split has masks."""
        return self.split not in self.without_masks

    @property
    def submission_labels(self) -> LabelTable:
        """The table whose ids the benchmark wants back."""
        return self.labels

    def _turn(self, i: int) -> int:
        """By which EXIF orientation the mask of sample i is turned with its image."""
        return self._head(self.pairs[i].image)[1] if self.mask_pixels == STORED else 1

    def _head(self, path: str) -> tuple[bool, int]:
        """Whether a file is a JPEG, and its EXIF orientation."""
        if path not in self._heads:
            self._heads[path] = is_jpeg(path), size_and_turn(path, self.form)[1]
        return self._heads[path]

    def _image(self, path: str, reduce: int = 1) -> tuple[Picture, int]:
        if self.cache is None:
            return decode(read_bytes(path), path, reduce, self.form)
        jpeg, turn = self._head(path)
        form = () if self.form.is_rgb else (Form(self.form.channels, self.form.dtype),)  # what decides about numbers
        return self.cache.get(path, read_image, reduce if jpeg else 1, *form), turn

    def _ids(self, path: str, turned: bool) -> Mask:
        return read_mask(path, turned) if self.cache is None else self.cache.get(path, read_mask, turned)

    def subfolder(self, *parts: str) -> Path:
        """A folder of the official layout, which must be there."""
        path = self.root.joinpath(*parts)
        if not path.is_dir():
            beside = entries(path.parent) if parts and path.parent.is_dir() else []
            folders = [name.rstrip("/") for name in beside if name.endswith("/")][:8]
            raise UserError(
                f"{self.folder}: no folder {path.absolute()}"
                + (f" (beside it: {', '.join(folders)})" if folders else "")
                + f". Set data_dir to the folder with the data, or get it: {self.how_to_get}"
            )
        return path

    def listed(self, images: Listing, *candidates: str, suffixes: tuple[str, str] = ("", ".png")) -> list[str]:
        """The samples in the first of these list files (relative to the root) that is there; see pairing.listed."""
        for candidate in candidates:
            path = self.root / candidate
            if path.is_file():
                return listed(path, images.files, *suffixes)
        raise UserError(
            f"{self.folder}: no list {' or '.join(str((self.root / c).absolute()) for c in candidates)}. "
            f"The {self.split} split needs it; get it: {self.how_to_get}"
        )

    def match(
        self,
        images: Listing,
        masks: Listing | None,
        names: Sequence[str] | None = None,
        suffixes: tuple[str, str] | None = None,
    ) -> list[Pair]:
        """Pair files by name, see pairing.paired; what is left out of a split that no list chooses is said."""
        where = f"{self.folder} in {self.root.absolute()}, split {self.split}"
        found = paired(where, images, masks, names, suffixes)
        if names is None and images.others:
            _left_out(self.split, len(images.others), images.others[0])
        return found


@cache
def _left_out(split: str, count: int, first: str) -> None:
    more = f" and {count - 1} more" if count > 1 else ""
    log.warning("left out of the %s split, being no image by its name: %s%s", split, first, more)


def sizes_differ(pair: Pair, mask: Size, pixels: str, form: Form) -> UserError:
    """What to say of an image and its mask, whose size is given; pixels: to which of the image's masks belong."""
    image, turn = size_and_turn(pair.image, form)
    swapped = turn > 4 and mask == image[::-1]
    says = f"{pair.image} is {_size(image)}"
    mend = "Pair the right files, or make them again from the original data"
    if turn > 4:
        says += f" upright (EXIF orientation {turn}; {_size(image[::-1])} as stored)"
        mask = mask[::-1] if pixels == STORED else mask  # as its file has it
    if swapped and pixels == UPRIGHT:
        mend = "The mask fits the stored pixels: say dataset.mask_pixels=stored if all masks do, or turn this one"
    elif swapped:
        mend = "The mask fits the upright image, and masks of this dataset belong to the stored pixels: turn it back"
    return UserError(f"Image and mask differ in size: {says}, {pair.mask} is {_size(mask)}. {mend}.")


def _size(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
