"""Datasets on disk: pairs of image and mask files, read and checked in one place."""

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.data.labels import IGNORE, LabelTable, Mask
from scaseg.data.release import Archive, Submission
from scaseg.errors import UserError

if TYPE_CHECKING:
    from scaseg.data.cache import Cache

Picture = npt.NDArray[np.uint8]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_REDUCED = {2: 16, 4: 32, 8: 64}  # cv2's IMREAD_REDUCED_GRAYSCALE_n, with the RGB flag: colour


class Pair(NamedTuple):
    """An image and its mask, None in a split without. `name` is the sample's name in lists and in results."""

    name: str
    image: str
    mask: str | None


class FolderDataset:
    """Base of the datasets on disk: a subclass says which pairs its official layout holds.

    `data_dir` is the official folder itself; null means `data/<folder>`, relative to where the program runs.
    """

    cache: "Cache | None" = None  # set by who reads the same files many times

    labels: LabelTable  # an instance may have a table of its own (Cityscapes' trainIds)
    splits: ClassVar[tuple[str, ...]]
    folder: ClassVar[str]
    how_to_get: ClassVar[str]
    without_masks: ClassVar[tuple[str, ...]] = ()  # splits whose masks the benchmark keeps to itself
    submission: ClassVar[Submission] = Submission()
    archives: ClassVar[tuple[Archive, ...]] = ()
    counts: ClassVar[Mapping[str, int]] = {}  # pairs of each split of the whole release

    def __init__(self, data_dir: str | Path | None = None, split: str = "train"):
        if split not in self.splits:
            raise UserError(f"{self.folder} has no split '{split}': choose one of {', '.join(self.splits)}.")
        self.split = split
        self.root = Path("data", self.folder) if data_dir is None else Path(data_dir)
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

    def read(self, i: int, ratio: Callable[[tuple[int, int]], float] | None = None) -> tuple[Picture, Mask]:
        """Sample i: image (H, W, 3) uint8 RGB, mask (H, W) uint8 train ids, all IGNORE in a split without masks.

        `ratio`, from (H, W), is what the caller will resize the image by: a JPEG may then come decoded at
        1/2, 1/4 or 1/8 of its size, but never below what it will be resized to.
        """
        _, image_file, mask_file = self.pairs[i]
        if mask_file is None:
            image = self._image(image_file)
            return image, np.full(image.shape[:2], IGNORE, np.uint8)
        raw = read_mask(mask_file) if self.cache is None else self.cache.get(mask_file, read_mask)
        reduce = 1 if ratio is None else self.reduction(image_file, ratio(raw.shape))
        image = self._image(image_file, reduce)
        if image.shape[:2] != tuple(-(-side // reduce) for side in raw.shape):
            raise UserError(
                f"Image and mask differ in size: {image_file} is {_size(read_image(image_file))}, "
                f"{mask_file} is {_size(raw)}. "
                "Pair the right files, or make them again from the original data."
            )
        return image, self.labels.encode(raw, mask_file)

    @staticmethod
    def reduction(path: str, ratio: float) -> int:
        """1, 2, 4 or 8: an image that will be resized by `ratio` may be decoded at that fraction of its size."""
        if path.lower().endswith(".png"):
            return 1
        return next(k for k in (8, 4, 2, 1) if k == 1 or ratio * k <= 1)

    def truth(self, i: int) -> Mask:
        """The mask of sample i alone; where there is none, IGNORE at the image's size, which its header tells."""
        pair = self.pairs[i]
        if pair.mask is not None:
            return self.labels.encode(read_mask(pair.mask), pair.mask)
        with Image.open(pair.image) as image:
            return np.full(image.size[::-1], IGNORE, np.uint8)

    @property
    def labelled(self) -> bool:
        """Whether this split has masks."""
        return self.split not in self.without_masks

    @property
    def submission_labels(self) -> LabelTable:
        """The table whose ids the benchmark wants back."""
        return self.labels

    def _image(self, path: str, reduce: int = 1) -> Picture:
        if self.cache is None:
            return read_image(path, reduce)
        return self.cache.get(path, read_image, reduce)

    def subfolder(self, *parts: str) -> Path:
        """A folder of the official layout, which must be there."""
        path = self.root.joinpath(*parts)
        if not path.is_dir():
            raise UserError(
                f"{self.folder}: no folder {path.absolute()}. Set data_dir to the folder with the data, "
                f"or get it: {self.how_to_get}"
            )
        return path

    def read_list(self, *candidates: str) -> list[str]:
        """The names in the first of these files (relative to the root) that is there, one a line."""
        for candidate in candidates:
            path = self.root / candidate
            if path.is_file():
                return read_list(path)
        raise UserError(
            f"{self.folder}: no list {' or '.join(str((self.root / c).absolute()) for c in candidates)}. "
            f"The {self.split} split needs it; get it: {self.how_to_get}"
        )

    def match(
        self,
        images: Mapping[str, str],
        masks: Mapping[str, str] | None,
        names: Sequence[str] | None = None,
    ) -> list[Pair]:
        """Pair files by name: those listed, else all that are there. Nothing may be left over or missing.

        masks: None for a split without.
        """
        wanted = sorted(images.keys() | (masks or {}).keys()) if names is None else names
        for kind, there in ("image", images), ("mask", images if masks is None else masks):
            missing = [name for name in wanted if name not in there]
            if missing:
                raise UserError(
                    f"{self.folder} in {self.root.absolute()}, split {self.split}: no {kind} for {missing[0]}"
                    + (f" and {len(missing) - 1} more of {len(wanted)}" if len(missing) > 1 else "")
                    + f". Put the {kind} there, or take the name out"
                    + (" of the list." if names is not None else ": delete the file without a partner.")
                    + (" Many at once: an archive may be unpacked in part." if len(missing) > 1 else "")
                )
        return [Pair(name, images[name], None if masks is None else masks[name]) for name in wanted]


def read_list(path: Path) -> list[str]:
    """The names in a list file: the first word of each line, empty lines left out; none may come twice."""
    names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path} lists {twice} twice. Take one of the two lines out.")
    return names


def files(folder: Path, suffixes: Iterable[str]) -> dict[str, str]:
    """Files of a folder that end with one of the suffixes, by name without it, sorted."""
    found: dict[str, str] = {}
    endings = tuple(suffixes)
    for entry in sorted(os.listdir(folder)):  # noqa: PTH208 (as below)
        ending = next((s for s in endings if entry.endswith(s)), None)
        if ending is None or entry.startswith("."):
            continue
        name, path = entry[: -len(ending)], os.path.join(folder, entry)  # noqa: PTH118 (Path is 10x slower)
        if name in found:
            raise UserError(f"Two files for one name: {found[name]} and {path}. Take one of them out.")
        found[name] = path
    return found


def read_image(path: str, reduce: int = 1) -> Picture:
    """Decode a JPEG or PNG to RGB (H, W, 3) uint8; as stored, whatever its EXIF orientation (as masks are).

    reduce = 2, 4, 8: decode a JPEG at a fraction of its size, sides rounded up, at less cost.
    """
    data = _bytes(path)
    if not (_png_ends(data) if data.startswith(_PNG) else _jpeg_ends(data)):
        raise _unreadable(path)
    flags = _REDUCED.get(reduce, 0) | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise _unreadable(path)
    return image  # type: ignore[return-value]


def read_mask(path: str) -> Mask:
    """Decode a PNG of one 8-bit channel, or of palette indices, to the ids (H, W) uint8 that it stores."""
    data = _bytes(path)
    if not data.startswith(_PNG) or not _png_ends(data):
        raise _unreadable(path)
    depth, colour_type = data[24], data[25]  # of the IHDR chunk, always first
    if depth == 16 or colour_type not in (0, 3):
        kind = "16-bit" if depth == 16 else "RGB" if colour_type in (2, 6) else "grey with alpha"
        raise UserError(
            f"{path} is a {kind} PNG; a mask is one 8-bit channel of class ids (or palette indices). "
            "Convert the masks to ids first."
        )
    try:
        with Image.open(io.BytesIO(data)) as png:  # not cv2: it turns palette indices into colours
            mask = np.asarray(png, np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path) from error
    return mask // {2: 85, 4: 17}[depth] if colour_type == 0 and depth in (2, 4) else mask


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _unreadable(path: str) -> UserError:
    return UserError(f"{path} is corrupt, cut short, or no picture of its kind. Extract or download it again.")


def _png_ends(data: bytes) -> bool:
    return data.find(b"IEND", -4096) >= 0


def _jpeg_ends(data: bytes) -> bool:
    """Whether the end-of-image marker is there: decoders fill what a cut file lacks with grey, silently."""
    if not data.startswith(_JPEG):
        return False
    if data.endswith(b"\xff\xd9"):
        return True
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":  # to the scan: thumbnails end too
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return data.find(b"\xff\xd9", at) >= 0


def _size(array: npt.NDArray[np.uint8]) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
