"""Windows over a picture of any size: where they lie, and how the scores of one pass into those of the next.

Along each axis a window's weight rises from 0 at its edge to its middle as sin^2 (a Hann window); where several windows
see a pixel, their weights there are brought to a sum of 1. So no window's own edge decides, where it knows least of
what surrounds it, and one window alone has the weight 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from scaseg.evaluation.row_bands import Rows, Shape


@dataclass(frozen=True)
class Span:
    """What a window has of one axis: pixels [start, stop), and its weight at each, float32."""

    start: int
    stop: int
    weight: Tensor


def spans(length: int, seen: Sequence[tuple[int, int]]) -> list[Span]:
    """With their weights, the windows [start, stop) that cover `length`: see scaseg.data.sizes.overlapping."""
    if len(seen) == 1:
        return [Span(0, length, torch.ones(length))]
    total = torch.zeros(length)
    for start, stop in seen:
        total[start:stop] += _hann(start, stop, length)
    return [Span(start, stop, _hann(start, stop, length) / total[start:stop]) for start, stop in seen]


def _hann(start: int, stop: int, length: int) -> Tensor:
    """sin^2 from an edge to the middle; at the picture's own edge it is the middle's."""
    place = (torch.arange(stop - start, dtype=torch.float64) + 0.5) / (stop - start)
    weight = torch.sin(pi * place) ** 2
    if start == 0:
        weight = torch.where(place < 0.5, 1.0, weight)
    if stop == length:
        weight = torch.where(place > 0.5, 1.0, weight)
    return weight.float()


@dataclass(frozen=True)
class Blended:
    """Rows [top, bottom) of a picture, by the windows that see them: `scores` (down, across) -> a window's own.

    A map as those of scaseg.evaluation.row_bands, whose rows are counted from `top`.
    """

    top: int
    bottom: int
    down: Sequence[Span]
    across: Sequence[Span]
    scores: Sequence[Sequence[Rows]]

    @property
    def shape(self) -> Shape:
        return *self.scores[0][0].shape[:2], self.bottom - self.top, self.across[-1].stop

    @property
    def probable(self) -> bool:
        return self.scores[0][0].probable

    def rows(self, start: int, stop: int) -> Tensor:
        total: Tensor | None = None
        for down, row in zip(self.down, self.scores, strict=True):
            top, bottom = max(self.top + start, down.start), min(self.top + stop, down.stop)
            if top >= bottom:
                continue
            for across, part in zip(self.across, row, strict=True):
                rows = part.rows(top - down.start, bottom - down.start)
                weight = down.weight[top - down.start : bottom - down.start, None] * across.weight
                if total is None:
                    total = rows.new_zeros(*rows.shape[:2], stop - start, self.shape[3])
                at = slice(top - self.top - start, bottom - self.top - start)
                total[:, :, at, across.start : across.stop] += rows * weight.to(rows.device)
        assert total is not None
        return total
