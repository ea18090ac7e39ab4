"""The one reader of masks: a file of one 8-bit channel, or of palette indices, without loss -> the ids it stores."""

import io
import warnings
from typing import Any

import numpy as np
from PIL import Image

from scaseg.data import by_pillow, jpeg, png
from scaseg.data.by_pillow import check_pixels, damaged
from scaseg.data.images import read_bytes
from scaseg.data.labels import Mask
from scaseg.data.orientation import upright
from scaseg.data.overheard import overhearing
from scaseg.errors import UserError

SUFFIXES = (".png", ".bmp", ".dib", ".tif", ".tiff", ".pgm", ".pbm")
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
_WANTED = "a mask is one 8-bit channel of class ids (or palette indices), such as an 8-bit PNG"
_LOSSY_IN_TIFF = (6, 7, 34712)  # JPEG, old and new; JPEG 2000
_KINDS = {"WEBP": "WebP, which has no one-channel form", "JPEG2000": "JPEG 2000", "GIF": "GIF, whose writers renumber"}
_MODES = {"RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LA": "grey with alpha"}


def read_mask(path: str, turned: bool = False) -> Mask:
    """A mask file, of whatever name, -> the ids (H, W) uint8 that it stores.

    As stored, or `turned` upright by an EXIF orientation of the mask's own. Raises UserError, naming file and reason,
    for what is damaged and what holds no ids: colours, 16 bits, JPEG (whose ids are blurred).
    """
    data = read_bytes(path)
    if data.startswith(png.START):
        mask, turn = _png(data, path)
    elif data.startswith(jpeg.START):
        raise UserError(
            f"{path} is a JPEG, whose compression changes ids along every border; {_WANTED}. Export the masks again:"
            " they cannot be had back from it"
        )
    else:
        mask, turn = _other(data, path)
    return upright(mask, turn) if turned else mask


def _png(data: bytes, path: str) -> tuple[Mask, int]:
    header = png.read_header(lambda start, end: data[start:end])
    if header is None:
        raise damaged(path, "it does not end as a PNG does")
    check_pixels(path, header.size)
    if header.depth == 16 or header.colour not in (png.GREY, png.PALETTE):
        kind = "16-bit" if header.depth == 16 else "grey with alpha" if header.colour == png.ALPHA else "RGB"
        raise _no_ids(path, f"{kind} PNG")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:  # not cv2: it turns palette indices into colours
            mask = np.asarray(image, np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error) from error
    small = header.colour == png.GREY and header.depth in (2, 4)
    return (mask // {2: 85, 4: 17}[header.depth] if small else mask), header.turn


def _other(data: bytes, path: str) -> tuple[Mask, int]:
    with by_pillow.opened(io.BytesIO(data), path, data[:64]) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, tags = image.format or "file", getattr(image, "tag_v2", {})
        if kind in _KINDS:
            raise _no_ids(path, _KINDS[kind])
        if tags.get(259) in _LOSSY_IN_TIFF:
            raise _no_ids(path, "TIFF compressed as JPEG is")
        if image.mode not in ("L", "P", "1"):
            raise _no_ids(path, f"{_MODES.get(image.mode, f'{_bits(image)}-bit')} {kind}")
        if kind == "TIFF" and not _ids_of_tiff(tags):
            raise _no_ids(path, "TIFF of signed numbers, or of white first")
        _, turn = by_pillow.size_and_turn(image)
        try:
            with overhearing(by_pillow.LIBTIFF):
                mask = np.asarray(image, np.uint8)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise damaged(path, error) from error
    return mask, turn


def _ids_of_tiff(tags: Any) -> bool:
    """Whether Pillow gives the numbers that are stored: 8 bits or 1, unsigned, black first or a palette."""
    bits = tags.get(258, (1,))
    return tags.get(339, (1,))[0] == 1 and (tags.get(262), *bits) in ((1, 8), (1, 1), (3, 8))


def _bits(image: Image.Image) -> int:
    return 16 if image.mode.startswith("I;16") else 32


def _no_ids(path: str, kind: str) -> UserError:
    article = "an" if kind.startswith("RGB") else "a"
    how = "Convert the masks to ids first"
    if "-bit" in kind:
        how = f"If no id is above 255: Image.fromarray(np.asarray(Image.open({path!r})).astype('uint8')).save('a.png')"
    return UserError(f"{path} is {article} {kind}; {_WANTED}. {how}")
