"""The one reader of images: a file's content says how it is read, whatever it is called; EXIF turns it upright.

A dataset's form (scaseg.form) says what is made of it: RGB of 8 bits, or the numbers that the file stores.
"""

import io
import os
import re
from pathlib import Path

import cv2
import numpy as np

from scaseg.data import arrays, by_pillow, jpeg, png
from scaseg.data.by_pillow import Picture, check_pixels, damaged
from scaseg.data.orientation import upright
from scaseg.data.overheard import overhearing
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.form import RGB, Form

# By which names images are looked for in folders; what they hold is another matter.
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2"),
    )
)
ARRAY = ".npy"
_REDUCED = {2: 16, 4: 32, 8: 64}  # cv2's IMREAD_REDUCED_GRAYSCALE_n, with the RGB flag: colour
_COLOUR = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_SAID = re.compile(rf"{jpeg.WARNINGS.pattern}|libpng|\[ ?(ERROR|WARN|INFO):")
_LONGEST = 2**20  # pixels of a side, of which OpenCV takes no more
_HEAD = 2**16  # bytes, in which most files have their headers


def read_image(path: str, reduce: int = 1, form: Form = RGB) -> Picture:
    """An image file -> RGB (H, W, 3) uint8, turned upright by its EXIF orientation.

    reduce = 2, 4, 8: a JPEG comes decoded at a fraction of its size, sides rounded up, at less cost; others whole.
    Of another form the file's own numbers: (H, W, C), uint8 or float32. Raises UserError, naming file and reason, for
    what is damaged, too large (MOST_PIXELS), no image, or of another form than asked for.
    """
    return decode(read_bytes(path), path, reduce, form)[0]


def decode(data: bytes, where: str, reduce: int = 1, form: Form = RGB) -> tuple[Picture, int]:
    """The same of a file's content; also its EXIF orientation, 1 to 8."""
    if not form.is_rgb or data.startswith(arrays.NPY):
        stored, turn = _as_stored(data, where, reduce, form)
        return arrays.checked(stored, form, where), turn
    if data.startswith(jpeg.START):
        header = jpeg.read_header(data)
        if header is None or jpeg.cut_short(data, header):
            raise damaged(where, "it has no whole scan")
        decoded = _jpeg(data, header, where, reduce)
        if header.bands != 4:  # Pillow knows how inks mix, and says nothing of damage
            return decoded, header.turn
    elif data.startswith(png.START):
        head = png.read_header(lambda start, end: data[start:end])
        if head is None:
            raise damaged(where, "it does not end as a PNG does")
        if max(head.size) <= _LONGEST:
            return _png(data, head, where), head.turn
    with by_pillow.opened(io.BytesIO(data), where, data[:64]) as image:
        _, turn = by_pillow.size_and_turn(image)
        return by_pillow.as_rgb(image, where), turn


def _as_stored(data: bytes, where: str, reduce: int, form: Form) -> tuple[arrays.Stored, int]:
    """The numbers of a file (H, W, C), upright, and the orientation that it has."""
    if data.startswith(arrays.NPY):
        return arrays.npy(data, form, where), 1
    if data[:4] in arrays.TIFF:
        stored, turn = arrays.tiff(data, where)
    elif data.startswith(png.START):
        header = png.read_header(lambda start, end: data[start:end])
        if header is None:
            raise damaged(where, "it does not end as a PNG does")
        check_pixels(where, header.size)
        with overhearing(_SAID):
            stored, turn = arrays.by_cv2(data, header, where), header.turn
    elif data.startswith(jpeg.START):
        shown, turn = decode(data, where, reduce)
        found = jpeg.read_header(data)
        return (shown[..., :1] if found is not None and found.bands == 1 else shown), turn
    else:
        with by_pillow.opened(io.BytesIO(data), where, data[:64]) as image:
            _, turn = by_pillow.size_and_turn(image)
            stored = arrays.of_pillow(image, where)
    return upright(stored, turn), turn


def read_numbers(path: str, form: Form) -> arrays.Stored:
    """An image file (H, W, C), upright: the numbers that it stores, of the form or not; where that is RGB, that."""
    data = read_bytes(path)
    return decode(data, path)[0] if form.is_rgb else _as_stored(data, path, 1, form)[0]


def size_and_turn(path: str, form: Form = RGB) -> tuple[Size, int]:
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
            elif head.startswith(arrays.NPY):
                return arrays.npy_size(head, form, path), 1
            elif head[:4] in arrays.TIFF and not form.is_rgb:
                return arrays.tiff_size(path, path)
            else:
                with by_pillow.opened(Path(path), path, head[:64]) as image:
                    return by_pillow.size_and_turn(image)
    except OSError as error:
        raise _no_file(path, error) from error
    if header is None:
        raise damaged(path, "it has no whole headers")
    check_pixels(path, header.size)
    return (header.size[::-1] if header.turn > 4 else header.size), header.turn


def size_of(data: bytes, where: str, form: Form = RGB) -> Size:
    """The same size of a file's content, however many pixels it has."""
    header: jpeg.Header | png.Header | None
    if data.startswith(jpeg.START):
        header = jpeg.read_header(data)
    elif data.startswith(png.START):
        header = png.read_header(lambda start, end: data[start:end])
    elif data.startswith(arrays.NPY):
        return arrays.npy_size(data, form, where)
    elif data[:4] in arrays.TIFF and not form.is_rgb:
        return arrays.tiff_size(data, where)[0]
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
