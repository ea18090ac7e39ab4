"""Label Studio's brush strokes: bits packed by thi.ng/rle-pack, of RGBA pixels row by row, of which alpha is the mask.

https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack: 32 bits, how many words; 5 bits, the bits of a word
less 1; four times 4 bits, the bits of a run's length less 1. Then runs: a bit, whether one word is repeated; 2 bits,
which of the four; the length less 1; the word, or as many words.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scaseg.data.sizes import Size
from scaseg.errors import UserError

HALF = 128  # of alpha: a pixel that the brush covers by half or more belongs to it


def decode(packed: Sequence[int], size: Size, where: str) -> npt.NDArray[np.bool_]:
    """The pixels (H, W) that a brush covers; UserError where the bytes are of another size, or are cut short."""
    try:
        words = _unpack(np.asarray(packed, np.uint8))
    except (IndexError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{where}: brush strokes that are cut short or damaged: export them again") from error
    if len(words) != 4 * size[0] * size[1]:
        raise UserError(
            f"{where}: brush strokes of {len(words) // 4} pixels for {size[1]}x{size[0]}: export them again"
        )
    return words.reshape(*size, 4)[..., 3] >= HALF


def _unpack(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    bits = np.unpackbits(packed)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        if at + count > len(bits):
            raise IndexError(at)
        value = 0
        for bit in bits[at : at + count].tolist():
            value = 2 * value + bit
        at += count
        return value

    total, width = take(32), take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    if width != 8:
        raise ValueError(f"words of {width} bits")
    words = np.empty(total, np.uint8) if total < 2**31 else np.empty(0, np.uint8)
    done = 0
    while done < total:
        repeated = take(1)
        end = done + 1 + take(lengths[take(2)])
        if end > total:
            raise ValueError(f"{end} words of {total}")
        if repeated:
            words[done:end] = take(8)
        else:
            if at + 8 * (end - done) > len(bits):
                raise IndexError(at)
            words[done:end] = np.packbits(bits[at : at + 8 * (end - done)])
            at += 8 * (end - done)
        done = end
    return words
