"""Where a picture's pixels lie on the earth, as a GeoTIFF says it: kept bit for bit, and not understood."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scaseg.data import arrays
from scaseg.data.arrays import has_tifffile

TAGS = (33550, 33922, 34264, 34735, 34736, 34737)  # pixel scale, tie points, transformation; keys, doubles, text
LARGE = 2**25  # pixels, above which a picture's labels are a TIFF too, whose tiles can be written one by one


@dataclass(frozen=True)
class Georeference:
    """tags: (code, TIFF's number of the type, count, content with the least byte of each number first)."""

    tags: tuple[tuple[int, int, int, bytes], ...] = ()


NOWHERE = Georeference()


def georeference(path: str) -> Georeference:
    """Of a GeoTIFF; NOWHERE of other files, and of one that its orientation turns. Raises UserError if damaged."""
    with Path(path).open("rb") as file:
        if file.read(4) not in arrays.TIFF:
            return NOWHERE
    with arrays.opened_tiff(path, path) as tiff, Path(path).open("rb") as file:
        found: list[tuple[int, int, int, bytes]] = []
        if arrays.tiff_turn(tiff.pages[0]) != 1:
            return NOWHERE
        for code in TAGS:
            if (tag := tiff.pages[0].tags.get(code)) is not None:
                file.seek(tag.valueoffset)
                size = tag.valuebytecount // tag.count
                content = np.frombuffer(file.read(tag.valuebytecount), f"{tiff.byteorder}u{size}").astype(f"<u{size}")
                found.append((code, int(tag.dtype), int(tag.count), content.tobytes()))
        return Georeference(tuple(found))


def is_map(path: str) -> bool:
    """Whether a picture is a GeoTIFF, or a TIFF or array of more than LARGE pixels; False too of what cannot be read.

    And of TIFFs where tifffile, which is optional, is not installed.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(len(arrays.NPY))
        if start == arrays.NPY:
            sides = sorted(np.load(path, mmap_mode="r", allow_pickle=False).shape)
            return len(sides) > 1 and sides[-1] * sides[-2] > LARGE
        if start[:4] not in arrays.TIFF or not has_tifffile():
            return False
        with arrays.opened_tiff(path, path) as tiff:
            page = tiff.pages[0]
            return page.imagelength * page.imagewidth > LARGE or any(code in page.tags for code in TAGS)
    except Exception:  # of a damaged file; who reads it says what is wrong
        return False
