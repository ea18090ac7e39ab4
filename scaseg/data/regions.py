"""Parts of pictures that are too large to be held: regions of a TIFF or an array, read without the rest of it."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isnan
from mmap import mmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scaseg.data import arrays
from scaseg.data.arrays import Stored
from scaseg.data.augment import padding
from scaseg.data.by_pillow import Picture, damaged
from scaseg.data.images import read_numbers
from scaseg.data.sizes import Size
from scaseg.data.tiff_pieces import pieces_of
from scaseg.errors import UserError
from scaseg.form import Form

_STEP = 64  # rows read at once where a file's own strips or tiles are no higher
_NODATA = 42113  # GDAL's, text


class Reader(Protocol):
    """What reads a region as a file stores it."""

    size: Size
    same: bool
    rows: int  # of the file's own strips or tiles

    def read(self, top: int, bottom: int, left: int, right: int) -> Stored: ...


@dataclass(frozen=True)
class Regions:
    """A picture by regions. size: (H, W) upright. same: whether they are parts of what `read_image` gives, bit for bit.

    held: whether all of it is in memory, as its kind of file allows nothing else. nodata: the number that, in every
    channel, stands for no measurement, where the file says one.
    """

    path: str
    form: Form
    size: Size
    same: bool
    held: bool
    nodata: float | None
    _reader: Reader

    def read(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Rows [top, bottom) and columns [left, right) (h, w, C), as `read_image` gives them. Raises UserError."""
        return arrays.checked(self._stored(top, bottom, left, right), self.form, self.path, (top, left))

    def measured(self, top: int, bottom: int, left: int, right: int) -> tuple[Picture, npt.NDArray[np.bool_] | None]:
        """The same with padding where there are no data, and at which pixels (h, w) that is; None: at none."""
        stored = self._stored(top, bottom, left, right)
        if self.nodata is None:
            return arrays.checked(stored, self.form, self.path, (top, left)), None
        nothing: npt.NDArray[np.bool_] = np.all(np.isnan(stored) if isnan(self.nodata) else stored == self.nodata, 2)
        if nothing.any():
            stored = np.where(nothing[..., None], np.zeros((), stored.dtype), stored)
        picture = arrays.checked(stored, self.form, self.path, (top, left))
        picture[nothing] = padding(self.form)
        return picture, nothing if nothing.any() else None

    def from_top_to_bottom(self) -> "Regions":
        """The same for who asks for region beside region, then for those below: each strip and tile is read once."""
        return self if self.held else replace(self, _reader=_Rolling(self._reader))

    def _stored(self, top: int, bottom: int, left: int, right: int) -> Stored:
        try:
            return self._reader.read(top, bottom, left, right)
        except UserError:
            raise
        except Exception as error:  # of tifffile and its decoders, and of a mapping that the file is too short for
            raise arrays.undecoded(self.path, error) from error


@contextmanager
def in_parts(path: str, form: Form) -> Iterator[Regions | None]:
    """A TIFF or NPY whose regions can be read without the rest; None for any other file, and without tifffile."""
    start = b""
    try:
        with Path(path).open("rb") as file:
            start = file.read(len(arrays.NPY))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if start == arrays.NPY:
        array = _Array(path, form)
        yield Regions(path, form, array.size, True, False, None, array)
    elif start[:4] in arrays.TIFF and arrays.has_tifffile():
        with arrays.opened_tiff(path, path) as tiff:
            try:
                pieces = pieces_of(tiff, path, form)
                nodata = _nodata(tiff.pages[0], path) if pieces else None
            except UserError:
                raise
            except Exception as error:
                raise damaged(path, error) from error
            yield None if pieces is None else Regions(path, form, pieces.size, pieces.same, False, nodata, pieces)
    else:
        yield None


@contextmanager
def opened(path: str, form: Form) -> Iterator[Regions]:
    """A picture of any kind by regions: held whole where its file allows nothing else, up to MOST_PIXELS."""
    with in_parts(path, form) as found:
        if found is not None:
            yield found
            return
    whole = _Whole(read_numbers(path, form))
    yield Regions(path, form, whole.size, True, True, None if form.is_rgb else nodata_of(path), whole)


class _Array:
    """An NPY file's numbers where they lie, mapped for as long as a region is copied."""

    same, rows = True, 1

    def __init__(self, path: str, form: Form) -> None:
        self._path = path
        self.size, self._channels = arrays.npy_axes(self._mapped().shape, form, path)

    def read(self, top: int, bottom: int, left: int, right: int) -> Stored:
        return np.array(arrays.channels_last(self._mapped(), self._channels)[top:bottom, left:right])

    def _mapped(self) -> Any:
        try:
            return np.load(self._path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise damaged(self._path, error) from error


class _Whole:
    same, rows = True, 1

    def __init__(self, whole: Stored) -> None:
        self._whole = whole
        self.size: Size = (whole.shape[0], whole.shape[1])

    def read(self, top: int, bottom: int, left: int, right: int) -> Stored:
        return self._whole[top:bottom, left:right].copy()


class _Rolling:
    """Another reader's rows at full width, as far as they are still asked for; never more of the file than these."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self.size, self.same, self.rows = reader, reader.size, reader.same, reader.rows
        self._read: deque[tuple[int, Stored]] = deque()  # first row, and rows
        self._bottom = 0
        self._step = reader.rows * -(-_STEP // reader.rows)

    def read(self, top: int, bottom: int, left: int, right: int) -> Stored:
        while self._read and self._read[0][0] + len(self._read[0][1]) <= top:
            self._read.popleft()
        if not self._read:
            self._bottom = top
        while self._bottom < bottom:
            first, self._bottom = self._bottom, min(self.size[0], (self._bottom // self._step + 1) * self._step)
            self._read.append((first, _apart(self._reader.read(first, self._bottom, 0, self.size[1]))))
        parts = [rows[max(0, top - first) : bottom - first, left:right] for first, rows in self._read if first < bottom]
        return np.concatenate(parts)


def _apart(rows: Stored) -> Stored:
    """A copy in memory that is mapped for it alone: what stays leaves no holes among what comes and goes."""
    copy: Stored = np.frombuffer(mmap(-1, rows.nbytes), rows.dtype).reshape(rows.shape)
    copy[...] = rows
    return copy


def nodata_of(path: str) -> float | None:
    """The number that stands for no measurement, of a TIFF that says one."""
    with Path(path).open("rb") as file:
        if file.read(4) not in arrays.TIFF:
            return None
    with arrays.opened_tiff(path, path) as tiff:
        return _nodata(tiff.pages[0], path)


def _nodata(page: Any, path: str) -> float | None:
    tag = page.tags.get(_NODATA)
    if tag is None:
        return None
    try:
        return float(str(tag.value).strip("\0 "))
    except ValueError as error:
        raise UserError(
            f"{path}: its nodata (tag {_NODATA}) is {tag.value!r}, no number: gdal_edit.py -unsetnodata takes it away"
        ) from error
