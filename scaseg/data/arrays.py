"""Pictures as the numbers that their files store: any channels, 8 and 16 bits, floats; TIFF and NPY beside the others.

TIFF is read by tifffile, an optional dependency: Pillow knows neither many bands nor wide numbers of several.
"""

import io
import logging
from functools import cache
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.data import png
from scaseg.data.by_pillow import Picture, check_pixels, damaged
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.form import Form, in_words

Stored = npt.NDArray[Any]  # (H, W, C), of the file's own numbers
NPY = b"\x93NUMPY"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_HEAD = 10_000  # bytes of an NPY header, NumPy's own bound
_ORIENTATION = 274
PALETTE = 3
_TAKEN = {  # by the form's: kinds and bytes of a file's numbers
    "uint8": ("u1",),
    "uint16": ("u2",),
    "int16": ("i2",),
    "float32": ("f2", "f4", "f8", "u4", "i4"),
}
_MODES = {"L": "L", "RGB": "RGB", "RGBA": "RGBA", "LA": "LA", "I": "I", "F": "F"}


def checked(stored: Stored, form: Form, where: str, start: tuple[int, int] = (0, 0)) -> Picture:
    """What a file stores (H, W, C), if it is of the form: uint8 as it is, else float32. UserError if not.

    start: row and column of the file's picture where this part of it begins.
    """
    dtype = f"{stored.dtype.kind}{stored.dtype.itemsize}"
    if stored.shape[2] != form.channels or dtype not in _TAKEN[form.dtype]:
        said = next((name for name, kinds in _TAKEN.items() if dtype in kinds), None)
        mend = f"dataset.channels={stored.shape[2]} dataset.dtype={said}" if said else f"one of {', '.join(_TAKEN)}"
        raise UserError(
            f"{where}: {in_words(stored.shape[2], stored.dtype.name)}, and what is asked for is {form.in_words}:"
            f" give a picture of that form, or train with {mend}"
        )
    if 0 in stored.shape:
        raise UserError(f"{where}: empty, {stored.shape[1]} x {stored.shape[0]} pixels")
    if form.dtype == "uint8":
        return np.ascontiguousarray(stored, np.uint8)
    numbers = np.ascontiguousarray(stored, np.float32)
    if stored.dtype.kind == "f" and not np.isfinite(numbers).all():
        row, column, channel = (int(at[0]) for at in np.nonzero(~np.isfinite(numbers)))
        raise UserError(
            f"{where}: {numbers[row, column, channel]} in {form.called[channel]} at row {start[0] + row}, column"
            f" {start[1] + column}, of which nothing can be learned: put a number there, and id 255 (ignored) into the"
            " mask"
        )
    return numbers


def npy(data: bytes, form: Form, where: str) -> Stored:
    """An array of (H, W), (H, W, C) or (C, H, W): channels are the last axis unless the first alone is as long."""
    check_pixels(where, npy_size(data, form, where))
    try:
        stored = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise damaged(where, error) from error
    _, moved = npy_axes(stored.shape, form, where)
    return channels_last(stored, moved)


def npy_size(head: bytes, form: Form, where: str) -> Size:
    """(H, W) from the first bytes of an NPY file."""
    stream = io.BytesIO(head[: _MOST_HEAD + 128])
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(stream, max_header_size=_MOST_HEAD)
        if kind.hasobject:
            raise ValueError("its array is of objects and not of numbers")
    except (ValueError, OSError, EOFError) as error:
        raise damaged(where, error) from error
    return npy_axes(shape, form, where)[0]


def npy_axes(shape: tuple[int, ...], form: Form, where: str) -> tuple[Size, int | None]:
    """(H, W), and which axis the channels are; None where there is none."""
    if len(shape) == 2:
        size, channels = (shape[0], shape[1]), None
    elif len(shape) == 3 and shape[0] == form.channels != shape[2]:
        size, channels = (shape[1], shape[2]), 0
    elif len(shape) == 3:
        size, channels = (shape[0], shape[1]), 2
    else:
        raise UserError(f"{where}: an array {shape}: one picture (H, W), (H, W, C) or (C, H, W) is read")
    return size, channels


def tiff(data: bytes, where: str) -> tuple[Stored, int]:
    """Of the first image in a TIFF file, in strips or tiles, bands beside or after each other; also its orientation.

    Bands may be pages too. GeoTIFF is TIFF: where its pixels lie on the earth is not read.
    """
    with opened_tiff(io.BytesIO(data), where) as file:
        try:
            series, page = file.series[0], file.pages[0]
            check_pixels(where, (page.imagelength, page.imagewidth))
            if page.photometric == PALETTE:
                raise UserError(f"{where}: a TIFF of palette indices, which are no measured numbers: save it as RGB")
            channels = channel_axis(series.axes, series.shape, where)
            stored, turn = series.asarray(maxworkers=1).reshape(series.shape), tiff_turn(page)
        except UserError:
            raise
        except Exception as error:
            raise undecoded(where, error) from error
    y, x = series.axes.index("Y"), series.axes.index("X")
    kept = [axis for axis in (y, x, channels) if axis is not None]
    dropped = tuple(axis for axis in range(stored.ndim) if axis not in kept)
    ordered = stored.transpose(*kept, *dropped).reshape([stored.shape[axis] for axis in kept])
    return (ordered[..., None] if channels is None else ordered), turn


def tiff_size(data: bytes | str, where: str) -> tuple[Size, int]:
    """(H, W) upright, and the orientation, from the headers of a file's content, or of the file of this path."""
    with opened_tiff(io.BytesIO(data) if isinstance(data, bytes) else data, where) as file:
        try:
            page = file.pages[0]
            size, turn = (int(page.imagelength), int(page.imagewidth)), tiff_turn(page)
        except Exception as error:
            raise damaged(where, error) from error
    return (size[::-1] if turn > 4 else size), turn


def by_cv2(data: bytes, header: png.Header, where: str) -> Stored:
    """A PNG's numbers of 8 or 16 bits; those of fewer come scaled to 8, a palette's as its colours."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise damaged(where, "it cannot be decoded")
    if found.ndim == 2:
        return found[..., None]
    if header.colour == png.ALPHA:  # which comes as three greys and alpha
        return found[..., 2:]
    return found[..., [2, 1, 0, 3][: found.shape[2]]]


def of_pillow(image: Image.Image, where: str) -> Stored:
    """The numbers of an opened image, as stored where its mode has channels of its own, else as RGB."""
    try:
        image.load()
        kept = image.mode in _MODES or image.mode.startswith("I;16")
        stored = np.asarray(image if kept else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise damaged(where, error) from error
    return stored[..., None] if stored.ndim == 2 else stored


def channel_axis(axes: str, shape: tuple[int, ...], where: str) -> int | None:
    """Which axis of a TIFF the channels are; None where there is one alone. UserError where there are others."""
    others = [at for at, (axis, length) in enumerate(zip(axes, shape, strict=True)) if axis not in "YX" and length > 1]
    if len(others) > 1 or not {"Y", "X"} <= set(axes):
        raise UserError(f"{where}: a TIFF of axes {axes} {shape}: one picture and its channels are read")
    return others[0] if others else None


def channels_last(stored: Stored, channels: int | None) -> Stored:
    """(H, W, C), of an array whose axis of channels is `channels`, or that has none."""
    return stored[..., None] if channels is None else np.moveaxis(stored, channels, 2)


def tiff_turn(page: Any) -> int:
    """A page's orientation, 1 to 8."""
    tag = page.tags.get(_ORIENTATION)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def opened_tiff(file: Any, where: str) -> Any:
    """A TIFF, by tifffile; UserError where that is not installed or the file is none."""
    try:
        return _tifffile().TiffFile(file)
    except ImportError as error:
        raise UserError(
            f"{where}: a TIFF, and {error.name} reads its numbers as they are stored: pip install 'scaseg[tiff]'"
        ) from error
    except Exception as error:
        raise damaged(where, error) from error


def has_tifffile() -> bool:
    """Whether the optional reader of TIFFs is installed."""
    return find_spec("tifffile") is not None


@cache
def _tifffile() -> Any:
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters of it is raised too
    return tifffile


def undecoded(where: str, error: Exception) -> UserError:
    """What to say of errors in decoding, tifffile's own and those of a dozen decoders."""
    if "imagecodecs" in str(error):
        return UserError(f"{where}: compressed: pip install 'scaseg[tiff]' ({str(error).splitlines()[0]})")
    return damaged(where, error)
