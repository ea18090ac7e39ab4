"""The orientation that EXIF notes beside an image: its pixels as stored, and upright, as viewers show them."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = TypeVar("Array", bound=npt.NDArray[Any])

TAG, SHORT = 0x0112, 3
# EXIF 2.32, 4.6.4: what the first row and the first column of the stored image are. 5 to 8 swap the sides; then the
# rows or columns are read backwards.
_FLIPS = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}


def orientation(exif: bytes) -> int:
    """1 to 8 from EXIF, which is a TIFF file's header and first directory; 1 where it says nothing or is damaged."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], order)  # type: ignore[arg-type]

    start = number(4, 4)
    for entry in range(start + 2, start + 2 + 12 * number(start, 2), 12):
        if entry + 12 > len(exif):
            break
        if number(entry, 2) == TAG:
            found = number(entry + 8, 2) if number(entry + 2, 2) == SHORT else number(entry + 8, 4)
            return found if found in _FLIPS else 1
    return 1


def upright(stored: Array, turn: int) -> Array:
    """An image or mask (H, W, ...) as stored -> as it is shown with EXIF orientation `turn`."""
    if turn == 1:
        return stored
    rows, columns = _FLIPS[turn]
    turned = stored.swapaxes(0, 1) if turn > 4 else stored
    return np.ascontiguousarray(turned[::rows, ::columns])  # type: ignore[return-value]


def as_stored(shown: Array, turn: int) -> Array:
    """The way back."""
    if turn == 1:
        return shown
    rows, columns = _FLIPS[turn]
    turned = shown[::rows, ::columns]
    return np.ascontiguousarray(turned.swapaxes(0, 1) if turn > 4 else turned)  # type: ignore[return-value]
