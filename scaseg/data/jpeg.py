"""A JPEG file's headers, and what can be told about damage: decoders fill what is missing or wrong, silently."""

import re
from typing import NamedTuple

import numpy as np

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
_AHEAD = 8  # bytes that the decoder may have taken of the padding


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
    codes: dict[int, int] = {}  # AC table -> the symbol of its all-zeros code
    at, last = 2, len(data) - 4
    while at < last and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        start, end = at + 4, at + 2 + (data[at + 2] << 8 | data[at + 3])
        if marker == 0xDA:
            if size is None or end > len(data):
                return None
            tables = data[start + 2 : start + 1 + 2 * data[start] : 2]  # of each band, DC and AC
            one_scan = sequential and data[start] == bands
            zeros = not one_scan or all(codes.get(table & 15, 0) == 0 for table in tables)
            return Header(size, bands, turn, at, zeros)
        if marker == 0xC4:
            _shortest(data[start:end], codes)
        elif marker in _FRAMES and start + 6 <= min(end, len(data)):
            size = data[start + 1] << 8 | data[start + 2], data[start + 3] << 8 | data[start + 4]
            bands, sequential = data[start + 5], marker in _SEQUENTIAL
        elif marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
            turn = orientation(data[start + 6 : end])
        at = end
    return None


def cut_short(data: bytes, header: Header) -> bool:
    """Whether the end-of-image marker is missing, after the headers: their thumbnail ends too."""
    return not data.endswith(END) and data.find(END, header.scan) < 0


def damage(data: bytes, header: Header, warnings: list[str]) -> str | None:
    """What tells of damaged pixels in a file that was decoded; warnings: libjpeg's.

    A run of zeros, which a disk or a transfer leaves for what is lost: where the table's shortest code is not that of
    a block's end, it would be one coefficient after the other, as no image has them; libjpeg often says nothing of
    it. Else a warning, but for those of metadata, of padding before the end and of a byte or two there too many.
    """
    hole = -1
    if not header.zeros and not np.frombuffer(data, np.uint64, (len(data) - header.scan) // 8, header.scan).all():
        hole = data.find(_RUN, header.scan)  # which takes longer than the test of its words
    if not warnings and hole < 0:
        return None
    end = data.find(END, header.scan)  # what cameras append behind it may hold anything
    bad = [warning for warning in warnings if _DAMAGE.match(warning)]
    extra = next((int(match[1]) for warning in bad if (match := _EXTRANEOUS.match(warning))), 0)
    padded = extra and len(set(data[end - extra : end])) == 1
    if 0 <= hole < end and not (padded and hole >= end - extra - _AHEAD):
        return "a run of zeros in its scan"
    if not bad or padded or 0 < extra <= _WEBCAM:
        return None
    return f"its decoder says: {bad[0].removeprefix('Corrupt JPEG data: ')}"


def _shortest(segment: bytes, codes: dict[int, int]) -> None:
    """Note of each AC table of a DHT segment which symbol its first code, all zeros, stands for."""
    at = 0
    while at + 17 <= len(segment):
        count = sum(segment[at + 1 : at + 17])
        if segment[at] >> 4 and count and at + 17 < len(segment):
            codes[segment[at] & 15] = segment[at + 17]
        at += 17 + count
