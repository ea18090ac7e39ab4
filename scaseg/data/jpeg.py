"""A JPEG file's headers, and what can be told about damage: decoders fill what is missing or wrong, silently."""

import re
from typing import NamedTuple

from scaseg.data.orientation import orientation
from scaseg.data.sizes import Size

START, END = b"\xff\xd8", b"\xff\xd9"
# libjpeg's warnings (jerror.h). It says the first of a file alone.
WARNINGS = re.compile(
    r"Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|Invalid SOS|Unknown Adobe|Warning: unknown JFIF"
    r"|Unsupported marker type|Application transferred too many"
)
_DAMAGE = re.compile(r"(?!.*ICC marker)(Corrupt JPEG data: |Premature end of JPEG|Inconsistent progression)")
_EXTRANEOUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = (0xC0, 0xC1)
_RUN = bytes(32)  # zeros, of which the shortest codes make more coefficients than a block has
_WEBCAM = 2  # bytes too many at the end, which are some cameras' habit


class Header(NamedTuple):
    """Size as stored (H, W), bands, EXIF orientation, the first scan's place, whether it may hold runs of zeros."""

    size: Size
    bands: int
    turn: int
    scan: int
    zeros: bool


def read_header(data: bytes) -> Header | None:
    """The headers up to the first scan; None where there is none."""
    size, bands, turn, sequential = None, 0, 1, False
    codes: dict[int, int] = {}  # table -> the symbol of its all-zeros code
    at = 2
    while data[at : at + 1] == b"\xff":
        marker = data[at + 1] if at + 1 < len(data) else 0
        if marker == 0xFF:  # fill
            at += 1
            continue
        start, end = at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xDA:
            if size is None:
                return None
            tables = data[start + 2 : start + 1 + 2 * data[start] : 2]  # of each band, DC and AC
            one_scan = sequential and data[start] == bands
            zeros = not one_scan or all(codes.get(table & 15, 0) == 0 for table in tables)
            return Header(size, bands, turn, at, zeros)
        if marker in _FRAMES and end - start >= 6:
            size = int.from_bytes(data[start + 1 : start + 3]), int.from_bytes(data[start + 3 : start + 5])
            bands, sequential = data[start + 5], marker in _SEQUENTIAL
        elif marker == 0xC4:
            _shortest(data[start:end], codes)
        elif marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
            turn = orientation(data[start + 6 : end])
        at = end
    return None


def cut_short(data: bytes, header: Header) -> bool:
    """Whether the end-of-image marker is missing, after the headers: their thumbnail ends too."""
    return not data.endswith(END) and data.find(END, header.scan) < 0


def holed(data: bytes, header: Header) -> bool:
    """Whether the scan has a run of zeros where no image can give one: what a disk or a transfer left out.

    Decoded they would be one coefficient after the other, where the table's shortest code is not that of a block's
    end. libjpeg often says nothing of it.
    """
    if header.zeros:
        return False
    hole, end = data.find(_RUN, header.scan), data.find(END, header.scan)  # behind the end cameras put anything
    return 0 <= hole < end and data.count(0, hole, end) < end - hole  # up to the end it may be padding: see `damage`


def damage(data: bytes, header: Header, warnings: list[str]) -> str | None:
    """The warning of libjpeg's that means damaged pixels; others are about metadata, or padding before the end."""
    end = data.find(END, header.scan)
    padded = False
    for warning in warnings:
        if (extra := _EXTRANEOUS.match(warning)) is not None:
            count = int(extra[1])
            padded = len(set(data[end - count : end])) == 1
            if padded or count <= _WEBCAM:
                continue
        if _DAMAGE.match(warning):
            return f"its decoder says: {warning.removeprefix('Corrupt JPEG data: ')}"
    if not header.zeros and not padded and data.endswith(_RUN, header.scan, end):
        return "a run of zeros in its scan"
    return None


def _shortest(segment: bytes, codes: dict[int, int]) -> None:
    """Note of each AC table of a DHT segment which symbol its first code, all zeros, stands for."""
    at = 0
    while at + 17 <= len(segment):
        count = sum(segment[at + 1 : at + 17])
        if segment[at] >> 4 and count and at + 17 < len(segment):
            codes[segment[at] & 15] = segment[at + 17]
        at += 17 + count
