import torch
from torch import Tensor


def row_mix(start: int, stop: int, source: int, height: int) -> tuple[int, int, Tensor]:
    """Rows start..stop of a bilinear resize from `source` to `height` rows, as a product with a few source rows.

    Returns first, last and the matrix (stop - start, last - first) that mixes source rows first..last, float32
    on the CPU. align_corners=False: the centre of row r lies at (r + 0.5) * source / height - 0.5.
    """
    position = [max(0.0, (row + 0.5) * source / height - 0.5) for row in range(start, stop)]
    above = [min(int(p), source - 1) for p in position]
    first, last = above[0], min(above[-1] + 2, source)
    mix = [[0.0] * (last - first) for _ in position]  # as lists: an operator for each number takes ten times as long
    for row, p, top in zip(mix, position, above, strict=True):
        share = min(1.0, p - top)  # at the last row there is nothing below to mix in
        row[top - first] += 1 - share
        row[min(top + 1, source - 1) - first] += share
    return first, last, torch.tensor(mix)
