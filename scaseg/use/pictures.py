"""Any image that a person may point at -> RGB (H, W, 3) uint8, upright, or an error that names it."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from scaseg.data.sizes import Size
from scaseg.errors import UserError

Picture = npt.NDArray[np.uint8]
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".jp2")
)
VIDEO_SUFFIXES = frozenset((".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"))
MOST_PIXELS = 2**28  # of one file: a small one may claim to be huge
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def as_picture(image: str | Path | Image.Image | npt.NDArray[np.uint8]) -> Picture:
    """A file, a PIL image or an RGB array (H, W, 3) uint8 -> the array; UserError where it is none of these."""
    if isinstance(image, (str, Path)):
        return read_picture(Path(image))
    if isinstance(image, Image.Image):
        return _upright(image, "the image")
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"predict takes a path, a PIL image or a uint8 array (H, W, 3) in RGB order, not {found}")
    if 0 in image.shape:
        raise UserError(f"predict: the image is empty, {image.shape}")
    return image


def read_picture(path: Path) -> Picture:
    """Decode a file with all of its pixels; UserError, naming it and the reason, where it can't be."""
    with _opened(path) as image:
        return _upright(image, str(path))


def stored_size(path: Path) -> Size:
    """Size (H, W) that `read_picture` will give, from the file's header alone; UserError as there."""
    with _opened(path) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = image.size
        return (width, height) if turned else (height, width)


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, which is checked here, and of harmless metadata
            image = Image.open(path)
    except UnidentifiedImageError as error:
        empty = path.stat().st_size == 0
        raise UserError(f"{path}: {'an empty file' if empty else 'not an image'}") from error
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path}: {_reason(error)}") from error
    if image.size[0] * image.size[1] > MOST_PIXELS:
        image.close()
        raise UserError(f"{path}: {image.size[0]} x {image.size[1]} pixels, and at most {MOST_PIXELS} are read")
    return image


def _upright(image: Image.Image, where: str) -> Picture:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turned = ImageOps.exif_transpose(image)
            if turned.mode in _SIXTEEN_BITS:
                return _from_16_bits(turned)
            picture = np.asarray(turned.convert("RGB"))
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, OverflowError) as error:
        raise UserError(f"{where}: {_reason(error)}") from error
    if turned.mode == "F":
        raise UserError(f"{where}: holds floating-point numbers, whose white is not known; save it as 8-bit")
    return picture


def _from_16_bits(image: Image.Image) -> Picture:
    """Grey of 16 bits, which Pillow's own conversion would clip."""
    grey = (np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _reason(error: Exception) -> str:
    text = str(error).splitlines()
    return f"damaged or cut short ({text[0] if text else type(error).__name__})"
