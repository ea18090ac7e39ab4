"""At which size a picture is seen, as pure arithmetic."""

from collections.abc import Sequence

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
