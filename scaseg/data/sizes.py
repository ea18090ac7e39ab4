"""At which size a picture is seen, as pure arithmetic."""

from collections.abc import Iterator, Sequence

Size = tuple[int, int]  # height, width
GRID = 32  # pixels of the encoders' coarsest cells: windows that begin at multiples of it have the whole's cells


def box_ratio(size: Size, box: Sequence[int] | None) -> float:
    """The factor that brings a picture into a box (long side, short side), aspect kept; no box: 1."""
    if box is None:
        return 1.0
    return min(max(box) / max(size), min(box) / min(size))


def evaluation_size(size: Size, box: Sequence[int] | None, size_divisor: int = 1, scale: float = 1.0) -> Size:
    """Size (H, W) of a picture in `scale` x box (long, short), aspect kept, sides rounded up to the divisor."""
    ratio = box_ratio(size, box) * scale
    height, width = (-(-max(1, int(side * ratio + 0.5)) // size_divisor) * size_divisor for side in size)
    return height, width


def windows(size: Size, window: Size, stride: Size) -> Iterator[tuple[int, int]]:
    """Top left corners of the windows that cover `size`; the last ones are moved back inside."""
    for y in _starts(size[0], window[0], stride[0]):
        for x in _starts(size[1], window[1], stride[1]):
            yield y, x


def overlapping(length: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """[start, stop) of windows of at most `window` pixels that cover `length`, neighbours sharing `overlap` or more.

    They are as few as can be, and spread evenly: what is left over goes to all overlaps. window and overlap < window
    are multiples of GRID; the last window is shorter than the others by less than that.
    """
    if length <= window:
        return [(0, length)]
    last = -(-(length - window) // GRID)  # where it begins, in GRID
    steps = -(-last * GRID // (window - overlap))
    starts = [last * i // steps * GRID for i in range(steps + 1)]
    return [(start, min(start + window, length)) for start in starts]


def _starts(length: int, window: int, stride: int) -> list[int]:
    count = max(0, -(-(length - window) // stride)) + 1
    return [max(0, min(i * stride, length - window)) for i in range(count)]
