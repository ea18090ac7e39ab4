"""The one reader of images: a file's content says how it is read, whatever it is called; EXIF turns it upright."""

import io
import os
import re
from pathlib import Path

import cv2
import numpy as np

from scaseg.data import by_pillow, jpeg, png
from scaseg.data.by_pillow import Picture, check_pixels, damaged
from scaseg.data.orientation import upright
from scaseg.data.overheard import overhearing
from scaseg.data.sizes import Size
from scaseg.errors import UserError

# By which names images are looked for in folders; what they hold is another matter.
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2"),
    )
)
_REDUCED = {2: 16, 4: 32, 8: 64}  # cv2's IMREAD_REDUCED_GRAYSCALE_n, with the RGB flag: colour
_COLOUR = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_SAID = re.compile(rf"{jpeg.WARNINGS.pattern}|libpng|\[ ?(ERROR|WARN|INFO):")
_LONGEST = 2**20  # pixels of a side, of which OpenCV takes no more
_HEAD = 2**16  # bytes, in which most files have their headers


def read_image(path: str, reduce: int = 1) -> Picture:
    """An image file -> RGB (H, W, 3) uint8, turned upright by its EXIF orientation.

    reduce = 2, 4, 8: a JPEG comes decoded at a fraction of its size, sides rounded up, at less cost; others whole.
    Raises UserError, naming file and reason, for what is damaged, too large (MOST_PIXELS) or no image.
    """
    return decode(read_bytes(path), path, reduce)[0]


def decode(data: bytes, where: str, reduce: int = 1) -> tuple[Picture, int]:
    """The same of a file's content; also its EXIF orientation, 1 to 8."""
    if data.startswith(jpeg.START):
        header = jpeg.read_header(data)
        if header is None or jpeg.cut_short(data, header):
            raise damaged(where, "it has no whole scan")
        decoded = _jpeg(data, header, where, reduce)
        if header.bands != 4:  # Pillow knows how inks mix, and says nothing of damage
            return decoded, header.turn
    elif data.startswith(png.START):
        form = png.read_header(lambda start, end: data[start:end])
        if form is None:
            raise damaged(where, "it does not end as a PNG does")
        if max(form.size) <= _LONGEST:
            return _png(data, form, where), form.turn
    with by_pillow.opened(io.BytesIO(data), where, data[:64]) as image:
        _, turn = by_pillow.size_and_turn(image)
        return by_pillow.as_rgb(image, where), turn


def size_and_turn(path: str) -> tuple[Size, int]:
    """(H, W) that `read_image` will give, and the EXIF orientation, from a file's headers alone."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD)
            header: jpeg.Header | png.Header | None
            if head.startswith(jpeg.START):
                header = jpeg.read_header(head) or jpeg.read_header(head + file.read())
            elif head.startswith(png.START):
                descriptor = file.fileno()
                header = png.read_header(lambda start, end: os.pread(descriptor, end - start, start))
            else:
                with by_pillow.opened(Path(path), path, head[:64]) as image:
                    return by_pillow.size_and_turn(image)
    except OSError as error:
        raise _no_file(path, error) from error
    if header is None:
        raise damaged(path, "it has no whole headers")
    check_pixels(path, header.size)
    return (header.size[::-1] if header.turn > 4 else header.size), header.turn


def size_of(data: bytes, where: str) -> Size:
    """The same size of a file's content, however many pixels it has."""
    header: jpeg.Header | png.Header | None
    if data.startswith(jpeg.START):
        header = jpeg.read_header(data)
    elif data.startswith(png.START):
        header = png.read_header(lambda start, end: data[start:end])
    else:
        with by_pillow.opened(io.BytesIO(data), where, data[:64]) as image:
            return by_pillow.size_and_turn(image)[0]
    if header is None:
        raise damaged(where, "it has no whole headers")
    return header.size[::-1] if header.turn > 4 else header.size


def is_jpeg(path: str) -> bool:
    """Whether a file's content is, so that `read_image` reduces it."""
    try:
        with Path(path).open("rb") as file:
            return file.read(2) == jpeg.START
    except OSError:
        return False


def read_bytes(path: str) -> bytes:
    """A file's content; UserError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _no_file(path, error) from error


def _jpeg(data: bytes, header: jpeg.Header, where: str, reduce: int) -> Picture:
    check_pixels(where, header.size)
    with overhearing(_SAID) as said:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED.get(reduce, 0) | _COLOUR)
    if image is None:
        raise damaged(where, "it cannot be decoded")
    if why := jpeg.damage(data, header, said):
        raise damaged(where, why)
    return upright(image.astype(np.uint8, copy=False), header.turn)


def _png(data: bytes, header: png.Header, where: str) -> Picture:
    check_pixels(where, header.size)
    with overhearing(_SAID):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _COLOUR)
    if image is None:
        raise damaged(where, "it cannot be decoded")
    return upright(image.astype(np.uint8, copy=False), header.turn)


def _no_file(path: str, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be read ({error.strerror or error})")
