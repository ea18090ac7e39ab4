"""TIFF files of any bands, bits and order: Pillow writes few kinds."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def tiff(
    samples: np.ndarray[Any, Any],
    light: int,
    extra: Sequence[int] = (),
    kind: int = 1,
    planar: int = 1,
    order: str = "<",
    tags: Sequence[tuple[int, int]] = (),
) -> bytes:
    """(H, W, bands) -> an uncompressed file. light: photometric interpretation; extra: what more bands are."""
    end = {"<": "little", ">": "big"}[order]
    height, width, bands = samples.shape
    bits = 8 * samples.itemsize
    strips = bands if planar == 2 else 1
    data = (samples.transpose(2, 0, 1) if planar == 2 else samples).astype(samples.dtype.newbyteorder(order)).tobytes()
    entries: dict[int, tuple[int, list[int]]] = {  # tag -> (bytes of a number, numbers)
        **{tag: (2, [value]) for tag, value in tags},
        **{256: (4, [width]), 257: (4, [height]), 258: (2, [bits] * bands), 259: (2, [1]), 262: (2, [light])},
        **{273: (4, [0] * strips), 277: (2, [bands]), 278: (4, [height]), 279: (4, [len(data) // strips] * strips)},
        **{284: (2, [planar]), 339: (2, [kind] * bands)},
    }
    if extra:
        entries[338] = (2, list(extra))
    start = 8 + 2 + 12 * len(entries) + 4
    beyond = start + sum(size * len(numbers) for size, numbers in entries.values() if size * len(numbers) > 4)
    entries[273] = (4, [beyond + i * (len(data) // strips) for i in range(strips)])
    head, long = b"", b""
    for tag, (size, numbers) in sorted(entries.items()):
        value = b"".join(number.to_bytes(size, end) for number in numbers)
        head += tag.to_bytes(2, end) + {2: 3, 4: 4}[size].to_bytes(2, end) + len(numbers).to_bytes(4, end)
        if len(value) <= 4:
            head += value.ljust(4, b"\0")
        else:
            head += (start + len(long)).to_bytes(4, end)
            long += value
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return mark + (8).to_bytes(4, end) + len(entries).to_bytes(2, end) + head + bytes(4) + long + data
