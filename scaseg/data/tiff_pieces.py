"""Regions of a TIFF's picture: of the strips or tiles that they lie in, or of numbers that lie there unpacked."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scaseg.data import arrays
from scaseg.data.arrays import Stored
from scaseg.data.by_pillow import damaged
from scaseg.data.sizes import Size
from scaseg.form import Form

LARGEST = 2**26  # bytes of a decoded strip or tile: a picture in larger ones is as well read whole
_LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)  # none, LZW, deflate and its old number, PackBits, LZMA, Zstandard
_JPEG = 7
_GREY, _RGB, _YCBCR = 1, 2, 6
_PLAIN_ALPHA = (0, 2)  # kinds of a fourth sample, left out as it is; 1 has been multiplied into the others
_AT_ONCE = 2**24  # bytes of strips or tiles as they lie in the file


class Pieces:
    """The picture of a TIFF that tifffile has opened. size: (H, W).

    same: whether regions are, bit for bit, parts of what `read_image` gives; of JPEG two decoders may differ.
    """

    def __init__(self, path: str, pages: Sequence[Any], form: Form) -> None:
        self._path, self._pages, self._form = path, pages, form
        self._key = pages[0].keyframe
        self.size: Size = (int(self._key.imagelength), int(self._key.imagewidth))
        self.rows = 1 if self._key.is_final else piece_size(self._key)[0]
        self.same = self._key.compression != _JPEG or not form.is_rgb

    def read(self, top: int, bottom: int, left: int, right: int) -> Stored:
        """Rows [top, bottom) and columns [left, right) as (h, w, C), in the file's numbers."""
        parts = [self._of_page(page, top, bottom, left, right) for page in self._pages]
        stored = parts[0] if len(parts) == 1 else np.concatenate(parts, 2)
        if not self._form.is_rgb:
            return stored
        return np.repeat(stored, 3, 2) if stored.shape[2] == 1 else stored[..., :3]

    def _of_page(self, page: Any, top: int, bottom: int, left: int, right: int) -> Stored:
        key = self._key
        planes, _, _, _, samples = key.shaped
        if page.is_final:  # mapped for as long as it is copied: what is mapped counts as memory
            dtype = key.parent.byteorder + key.dtype.char
            whole = np.memmap(self._path, dtype, "r", page.dataoffsets[0], (planes, *key.shaped[2:]))
            region = np.array(whole[:, top:bottom, left:right], key.dtype)
        else:
            region = np.full((planes, bottom - top, right - left, samples), key.nodata, key.dtype)  # as holes are
            for piece, plane, row, column in self._decoded(page, top, bottom, left, right):
                first, last = max(top, row), min(bottom, row + piece.shape[0])
                start, stop = max(left, column), min(right, column + piece.shape[1])
                seen = piece[first - row : last - row, start - column : stop - column]
                region[plane, first - top : last - top, start - left : stop - left] = seen
        return region[0] if planes == 1 else np.moveaxis(region[..., 0], 0, 2)

    def _decoded(
        self, page: Any, top: int, bottom: int, left: int, right: int
    ) -> Iterator[tuple[Stored, int, int, int]]:
        """Each strip or tile of a region that is no hole: its numbers (h, w, samples), its plane, row and column."""
        key = self._key
        height, width = piece_size(key)
        down, across = -(-self.size[0] // height), -(-self.size[1] // width)
        wanted = [
            (plane * down + row) * across + column
            for plane in range(key.shaped[0])
            for row in range(top // height, -(-bottom // height))
            for column in range(left // width, -(-right // width))
        ]
        offsets, counts = ([of[i] for i in wanted] for of in (page.dataoffsets, page.databytecounts))
        tables = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader} if key.compression == _JPEG else {}
        read = key.parent.filehandle.read_segments
        for data, number in read(offsets, counts, indices=wanted, buffersize=_AT_ONCE):
            piece, (plane, _, row, column, _), _ = key.decode(data, number, **tables)
            if piece is not None:
                yield piece[0], plane, row, column


def pieces_of(file: Any, path: str, form: Form) -> Pieces | None:
    """Of an opened TIFF; None where its picture has to be read whole. UserError where it has none of this form.

    For RGB of 8 bits (Form) those that store it, or grey of 8 bits, are taken: of all others Pillow makes it.
    """
    page = file.pages[0]
    if arrays.tiff_turn(page) != 1 or page.imagedepth != 1 or page.photometric == arrays.PALETTE:
        return None
    if form.is_rgb:
        pages = [page] if _is_rgb(page) else []
    else:
        series = file.series[0]
        arrays.channel_axis(series.axes, series.shape, path)
        pages = list(series.pages)
    return _in_parts(path, pages, form) if pages else None


def _in_parts(path: str, pages: Sequence[Any], form: Form) -> Pieces | None:
    page = pages[0]
    if any(one is None or not len(one.dataoffsets) for one in pages):
        return None
    height, width = piece_size(page)
    packed = height * width * page.shaped[4] * page.dtype.itemsize
    return Pieces(path, pages, form) if page.is_final or packed <= LARGEST else None


def ids_of(file: Any, path: str) -> Pieces | None:
    """Of an opened TIFF of one channel of 8 bits, which may be palette indices; None where it has to be read whole."""
    try:
        page = file.pages[0]
    except Exception as error:
        raise damaged(path, error) from error
    plain = page.dtype == np.uint8 and (page.bitspersample, page.samplesperpixel, page.imagedepth) == (8, 1, 1)
    if not plain or page.photometric not in (_GREY, arrays.PALETTE) or page.compression not in _LOSSLESS:
        return None
    return _in_parts(path, [page], Form(1)) if arrays.tiff_turn(page) == 1 else None


def piece_size(page: Any) -> Size:
    """(height, width) of a page's tiles, or of its strips."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return min(int(page.rowsperstrip), int(page.imagelength)), int(page.imagewidth)


def _is_rgb(page: Any) -> bool:
    light, samples, packed = page.photometric, page.samplesperpixel, page.compression
    if page.dtype != np.uint8 or page.bitspersample != 8:
        return False
    if packed == _JPEG:
        return samples == 3 and light in (_RGB, _YCBCR)
    alpha = samples == 4 and tuple(page.extrasamples)[:1] in ((kind,) for kind in _PLAIN_ALPHA)
    return packed in _LOSSLESS and ((light == _GREY and samples == 1) or (light == _RGB and (samples == 3 or alpha)))
