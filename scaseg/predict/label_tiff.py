"""Writes labels as a TIFF, tile by tile as they come, with the georeference of the picture that they are of."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from scaseg.data.georeference import Georeference
from scaseg.data.labels import IGNORE, LabelTable, Mask
from scaseg.data.sizes import Size

TILE = 256  # pixels of a side
MOST_CLASSIC = 2**32 - 2**25  # bytes, unpacked, above which it becomes a BigTIFF: offsets of 32 bits may not reach
_NODATA, _ASCII = 42113, 2  # GDAL's tag


def write_labels(
    path: Path, size: Size, bands: Iterable[Mask], labels: LabelTable, place: Georeference, nodata: bool
) -> None:
    """Write ids (H, W) uint8 that come as full-width bands (h, W) from top to bottom; one row of tiles is in memory.

    Tiles are packed by deflate; a palette shows the classes' colours. nodata: say that IGNORE is where no data are.
    """
    import tifffile

    tags: list[tuple[int, int, int, bytes | str, bool]] = [
        (code, kind, count, content, True) for code, kind, count, content in place.tags
    ]
    if nodata:
        tags.append((_NODATA, _ASCII, 0, str(IGNORE), True))
    colours = labels.colourise(np.arange(256, dtype=np.uint8)).T.astype(np.uint16) * 257
    with tifffile.TiffWriter(path, bigtiff=size[0] * size[1] > MOST_CLASSIC, byteorder="<") as file:
        file.write(
            _tiles(bands, size[1]),
            shape=size,
            dtype=np.uint8,
            photometric="palette",
            colormap=colours,
            tile=(TILE, TILE),
            compression="adobe_deflate",
            maxworkers=1,  # more would ask for many tiles ahead
            metadata=None,
            software=False,
            extratags=tags,
        )


def _tiles(bands: Iterable[Mask], width: int) -> Iterator[Mask]:
    """From left to right and from top to bottom; those at the right and below are filled up with 0."""
    waiting = np.zeros((0, width), np.uint8)
    for band in bands:
        waiting = np.concatenate([waiting, band])
        whole = len(waiting) // TILE * TILE
        yield from _cut(waiting[:whole])
        waiting = waiting[whole:]
    if len(waiting):
        yield from _cut(np.pad(waiting, ((0, TILE - len(waiting)), (0, 0))))


def _cut(rows: Mask) -> Iterator[Mask]:
    width = rows.shape[1]
    wide = np.pad(rows, ((0, 0), (0, -width % TILE)))
    for top in range(0, len(rows), TILE):
        for left in range(0, width, TILE):
            yield np.ascontiguousarray(wide[top : top + TILE, left : left + TILE])
