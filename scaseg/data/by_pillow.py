"""Pillow's images -> RGB (H, W, 3) uint8, upright, or the reason why not. No name is needed: bytes tell the kind."""

import io
import re
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from scaseg.data.orientation import TAG, upright
from scaseg.data.overheard import overhearing
from scaseg.data.sizes import Size
from scaseg.errors import UserError

Picture = npt.NDArray[np.uint8 | np.float32]  # (H, W, C): RGB of 8 bits, or of another form (scaseg.form)
KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000")  # PostScript would run a program
MOST_PIXELS = 2 * 89_478_485  # of one image, Pillow's own bound: a small file may claim to be huge
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LIBTIFF = re.compile(r"(_?[A-Z]\w+|tempfile\.tif): |More samples per pixel")  # its functions' names begin its lines
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_ASSOCIATED = {"La": "LA", "RGBa": "RGBA"}  # alpha multiplied in
_MEND = "save it as RGB or grey of 8 bits, or train on it as it is (dataset.channels, dataset.dtype)"
_ERRORS = (OSError, ValueError, SyntaxError, TypeError, EOFError, OverflowError, KeyError, IndexError)
_OTHERS = {
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"<svg": "SVG",
    b"<?xml": "XML or SVG",
    b"\x93NUMPY": "NumPy",
    b"version https://git-lfs": "a Git LFS pointer in the file's place: git lfs pull",
}
_CONTAINERS = {  # by their brand
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC: save it as JPEG"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF: save it as PNG"),
}


class TooLargeError(UserError):
    """An image of more pixels than are read."""


def opened(file: Any, where: str, start: bytes) -> Image.Image:
    """A file (path or binary file object) as a Pillow image, its pixels not read yet; start: its first bytes."""
    try:
        with warnings.catch_warnings(), overhearing(LIBTIFF):
            warnings.simplefilter("ignore")  # of size, and of harmless metadata
            image = Image.open(file, formats=KINDS)
    except UnidentifiedImageError as error:
        raise UserError(f"{where}: {_what_else(file, start)}") from error
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise too_large(where, int(count[0]) if count else None) from error
    except _ERRORS as error:
        raise damaged(where, error) from error
    check_pixels(where, (image.height, image.width))
    return image


def size_and_turn(image: Image.Image) -> tuple[Size, int]:
    """(H, W) upright, and the EXIF orientation, of an opened image whose pixels have not been read."""
    turn = _turn(image)
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # whose `size` some versions of Pillow turn
        width, height = int(image.tag_v2[256]), int(image.tag_v2[257])
    return ((width, height) if turn > 4 else (height, width)), turn


def as_rgb(image: Image.Image, where: str) -> Picture:
    """Read the pixels: upright, 8 bits. UserError where they are damaged, or are no picture's."""
    try:
        with warnings.catch_warnings(), overhearing(LIBTIFF):
            warnings.simplefilter("ignore")
            tags = getattr(image, "tag_v2", {})
            unclear, inverted = _unclear(tags) if tags else None, tags.get(262) == 0
            if unclear is None:
                image.load()
                unclear = _unclear_numbers(image)
    except _ERRORS as error:
        raise damaged(where, error) from error
    if unclear is not None:
        raise UserError(f"{where}: {unclear}; {_MEND}")
    turn = _turn(image)  # 1 of a TIFF that Pillow has turned in loading it
    if image.mode in (*_SIXTEEN_BITS, "I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)  # Pillow's own conversion would clip
        return upright(np.repeat((255 - grey if inverted else grey)[..., None], 3, axis=2), turn)
    try:
        plain = image.convert(_ASSOCIATED[image.mode]) if image.mode in _ASSOCIATED else image
        return upright(np.array(plain.convert("RGB")), turn)  # asarray would be read-only
    except ValueError as error:
        raise UserError(f"{where}: Pillow cannot make RGB of its mode {image.mode}; save it as RGB") from error


def _turn(image: Image.Image) -> int:
    """EXIF orientation; 1 where it says nothing or is damaged, as pixels are none the worse for that."""
    with warnings.catch_warnings(), suppress(*_ERRORS):
        warnings.simplefilter("ignore")
        found = image.getexif().get(TAG, 1)
        return int(found) if found in range(1, 9) else 1
    return 1


def check_pixels(where: str, size: Size) -> None:
    """Raise TooLargeError for more pixels than are read."""
    if size[0] * size[1] > MOST_PIXELS:
        raise too_large(where, size[0] * size[1], f"{size[1]} x {size[0]} = ")


def too_large(where: str, pixels: int | None, sides: str = "") -> TooLargeError:
    """What to say of it."""
    count = "too many" if pixels is None else f"{sides}{pixels / 1e6:.0f} million"
    return TooLargeError(
        f"{where}: {count} pixels, and at most {MOST_PIXELS // 10**6} million are read whole; cut it into pieces."
        " To predict it as it is: save it as a TIFF of tiles, and pip install 'scaseg[tiff]', which reads it in parts"
    )


def damaged(where: str, why: Exception | str) -> UserError:
    """What to say of a file that is not whole."""
    text = (str(why) or type(why).__name__).splitlines()[0]
    return UserError(f"{where}: damaged or cut short ({text}); extract or download it again")


def _what_else(file: Any, start: bytes) -> str:
    if not start:
        return "an empty file"
    if start[:4] in _TIFF:
        return f"{_unclear_file(file) or 'a TIFF that Pillow does not read'}; {_MEND}"
    other = next((name for prefix, name in _OTHERS.items() if start.startswith(prefix)), None)
    if start[4:8] == b"ftyp":
        other = _CONTAINERS.get(start[8:12], "a video")
    return "not an image that is read here" + (f" ({other})" if other else f" ({', '.join(KINDS)} are)")


def _unclear_file(file: Any) -> str | None:
    """The reason of a TIFF that Pillow does not take, from its first directory."""
    data = file.getvalue() if isinstance(file, io.BytesIO) else file.read_bytes()
    if data.startswith(b"MM\0+"):  # of which Pillow knows nothing
        return "a BigTIFF whose numbers have their highest byte first"
    directory = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if data[2:3] in b"+" else 8])
    stream = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(*_ERRORS):
            stream.seek(directory.next)
            directory.load(stream)
        return _unclear(directory)


def _unclear(tags: Any) -> str | None:
    """Why the samples of a TIFF are no picture's, or not what Pillow would take them for; from its tags alone."""
    bands, light, planar = tags.get(277, 1), tags.get(262), tags.get(284, 1)
    bits, kind = tags.get(258, (1,)), tags.get(339, (1,))
    bits, kind = (value if isinstance(value, tuple) else (value,) for value in (bits, kind))
    form = f"a TIFF of {bands} band{'s' * (bands > 1)} of {'/'.join(map(str, dict.fromkeys(bits)))} bits"
    if any(number not in (1, 4) for number in kind):
        return f"{form}, signed or floating-point numbers, whose white is not known"
    if not {*bits} <= {1, 2, 4, 8, 16}:
        return f"{form}, whose white is not known"
    alpha = tags.get(338, ())[:1] in ((1,), (2,))
    if light in (0, 1, 3) and bands != 1 and not (bands == 2 and alpha):
        return f"{form} which are no colours (photometric interpretation {light})"
    if planar == 2 and max(bits) > 8:
        return f"{form}, band after band, of which Pillow reads other numbers"
    return None


def _unclear_numbers(image: Image.Image) -> str | None:
    """Why the numbers of a mode of more than 8 bits are no picture's."""
    if image.mode == "F":
        return "floating-point numbers, whose white is not known"
    if image.mode == "I" and (np.asarray(image).min() < 0 or np.asarray(image).max() > 65535):
        return "whole numbers of more than 16 bits, whose white is not known"
    return None
