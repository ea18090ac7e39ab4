"""The one reader of masks: a file of one 8-bit channel, or of palette indices, without loss -> the ids it stores."""

import io
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.data import arrays, by_pillow, jpeg, png, tiff_pieces
from scaseg.data.by_pillow import check_pixels, damaged
from scaseg.data.images import read_bytes
from scaseg.data.labels import Mask
from scaseg.data.orientation import upright
from scaseg.data.overheard import overhearing
from scaseg.data.sizes import Size
from scaseg.errors import UserError

SUFFIXES = (".png", ".bmp", ".dib", ".tif", ".tiff", ".pgm", ".pbm")
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
_8_BITS, _16_BITS = ("L", "P", "1"), ("I;16", "I;16B", "I;16L", "I;16N")
_ALL = (*_8_BITS, *_16_BITS, "RGB", "RGBA", "LA")
_WANTED = "a mask is one 8-bit channel of class ids (or palette indices), such as an 8-bit PNG"
_LOSSY_IN_TIFF = (6, 7, 34712)  # JPEG, old and new; JPEG 2000
_KINDS = {"WEBP": "WebP, which has no one-channel form", "JPEG2000": "JPEG 2000", "GIF": "GIF, whose writers renumber"}
_MODES = {"RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LA": "grey with alpha"}


class Stored(NamedTuple):
    """What a mask file stores: numbers (H, W) of 8 or 16 bits, or colours (H, W, 3) of 8.

    kind: of file, for messages. turn: its own EXIF orientation. palette: (N, 3), the colours of numbers that have some.
    """

    values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    kind: str
    turn: int
    palette: npt.NDArray[np.uint8] | None = None


def read_mask(path: str, turned: bool = False) -> Mask:
    """A mask file, of whatever name, -> the ids (H, W) uint8 that it stores.

    As stored, or `turned` upright by an EXIF orientation of the mask's own. Raises UserError, naming file and reason,
    for what is damaged and what holds no ids: colours, 16 bits, JPEG (whose ids are blurred).
    """
    stored = read_stored(path, _8_BITS)
    ids: Mask = stored.values.astype(np.uint8, copy=False)
    return upright(ids, stored.turn) if turned else ids


@dataclass(frozen=True)
class Ids:
    """A mask by regions: `read(top, bottom, left, right)` -> ids (h, w), as `read_mask` gives them. size: (H, W)."""

    size: Size
    read: Callable[[int, int, int, int], Mask]


@contextmanager
def mask_by_region(path: str, turned: bool = False) -> Iterator[Ids]:
    """As `read_mask`; of a TIFF no more is read than a region takes, of others, and without tifffile, the whole."""
    with _tiff_of(path) as tiff:
        pieces = tiff_pieces.ids_of(tiff, path) if tiff is not None else None
        if pieces is not None:
            yield Ids(pieces.size, partial(_ids, pieces, path))
            return
    mask = read_mask(path, turned)
    yield Ids((mask.shape[0], mask.shape[1]), lambda top, bottom, left, right: mask[top:bottom, left:right])


@contextmanager
def _tiff_of(path: str) -> Iterator[Any]:
    """A TIFF opened by tifffile; None for any other file, and without tifffile."""
    start = b""
    with suppress(OSError), Path(path).open("rb") as file:  # who reads it whole says what is wrong
        start = file.read(4)
    if start in arrays.TIFF and arrays.has_tifffile():
        with arrays.opened_tiff(path, path) as tiff:
            yield tiff
    else:
        yield None


def _ids(pieces: tiff_pieces.Pieces, path: str, top: int, bottom: int, left: int, right: int) -> Mask:
    try:
        return np.ascontiguousarray(pieces.read(top, bottom, left, right)[..., 0], np.uint8)
    except Exception as error:  # of tifffile and its decoders
        raise arrays.undecoded(path, error) from error


def read_stored(path: str, modes: Container[str] = _ALL) -> Stored:
    """The same of what is more than ids, where it is of one of Pillow's `modes`; alpha of 0 makes a colour black."""
    data = read_bytes(path)
    if data.startswith(jpeg.START):
        raise UserError(
            f"{path} is a JPEG, whose compression changes ids along every border; {_WANTED}. Export the masks again:"
            " they cannot be had back from it"
        )
    return _png(data, path, modes) if data.startswith(png.START) else _other(data, path, modes)


def _png(data: bytes, path: str, modes: Container[str]) -> Stored:
    header = png.read_header(lambda start, end: data[start:end])
    if header is None:
        raise damaged(path, "it does not end as a PNG does")
    check_pixels(path, header.size)
    kind = "16-bit" if header.depth == 16 else "grey with alpha" if header.colour == png.ALPHA else "RGB"
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:  # not cv2: it turns palette indices into colours
            if image.mode not in modes or (header.depth == 16 and header.colour != png.GREY):
                raise _no_ids(path, f"{kind} PNG")
            values, palette = _values(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error) from error
    if header.colour == png.GREY and header.depth in (2, 4):
        values = values // {2: 85, 4: 17}[header.depth]
    return Stored(values, f"{kind} PNG", header.turn, palette)


def _other(data: bytes, path: str, modes: Container[str]) -> Stored:
    with by_pillow.opened(io.BytesIO(data), path, data[:64]) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, tags = image.format or "file", getattr(image, "tag_v2", {})
        if kind in _KINDS:
            raise _no_ids(path, _KINDS[kind])
        if tags.get(259) in _LOSSY_IN_TIFF:
            raise _no_ids(path, "TIFF compressed as JPEG is")
        form = f"{_MODES.get(image.mode, f'{_bits(image)}-bit')} {kind}"
        if image.mode not in modes:
            raise _no_ids(path, form)
        if kind == "TIFF" and image.mode in _8_BITS and not _ids_of_tiff(tags):
            raise _no_ids(path, "TIFF of signed numbers, or of white first")
        _, turn = by_pillow.size_and_turn(image)
        try:
            with overhearing(by_pillow.LIBTIFF):
                values, palette = _values(image)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise damaged(path, error) from error
    return Stored(values, form, turn, palette)


def _values(image: Image.Image) -> tuple[Any, npt.NDArray[np.uint8] | None]:
    """Numbers or colours, and the palette of numbers."""
    if image.mode in ("RGB", "RGBA", "LA"):
        bands = np.asarray(image, np.uint8)
        if image.mode == "RGB":
            return bands, None
        shown = bands[..., -1:] > 0
        return (bands[..., :-1] if image.mode == "RGBA" else bands[..., :1].repeat(3, 2)) * shown, None
    colours = image.getpalette("RGB") if image.mode == "P" else None
    numbers = np.asarray(image, np.uint16 if image.mode in _16_BITS else np.uint8)
    return numbers, None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)


def _ids_of_tiff(tags: Any) -> bool:
    """Whether Pillow gives the numbers that are stored: 8 bits or 1, unsigned, black first or a palette."""
    bits = tags.get(258, (1,))
    return tags.get(339, (1,))[0] == 1 and (tags.get(262), *bits) in ((1, 8), (1, 1), (3, 8))


def _bits(image: Image.Image) -> int:
    return 16 if image.mode.startswith("I;16") else 32


def _no_ids(path: str, kind: str) -> UserError:
    article = "an" if kind.startswith("RGB") else "a"
    how = "Save the masks as such"
    if kind.startswith(("RGB", "16-bit", "grey")):
        how = "Masks of ids are made of them by python -m scaseg.prepare dataset=folder source=FOLDER data_dir=NEW"
    return UserError(f"{path} is {article} {kind}; {_WANTED}. {how}")
