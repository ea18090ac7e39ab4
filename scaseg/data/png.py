"""A PNG file's header and chunks."""

from collections.abc import Callable
from typing import NamedTuple

from scaseg.data.orientation import orientation
from scaseg.data.sizes import Size

START = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE, ALPHA = 0, 3, 4


class Header(NamedTuple):
    """Size as stored (H, W), bits of a sample, the colour type, EXIF orientation."""

    size: Size
    depth: int
    colour: int
    turn: int


def read_header(read: Callable[[int, int], bytes]) -> Header | None:
    """From `read(start, end)`, a part of the file; None where it does not end as a PNG does. EXIF may stand last."""
    first, at, turn = read(16, 26), 8, 1
    while len(head := read(at, at + 8)) == 8:
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind == b"IEND":
            return Header((int.from_bytes(first[4:8]), int.from_bytes(first[:4])), first[8], first[9], turn)
        if kind == b"eXIf":
            turn = orientation(read(at + 8, at + 8 + length))
        at += 12 + length
    return None
