"""Full-size logits that never exist at once: each map below yields the rows of a band on demand.

A map has a `shape` (B, K, H, W) and `rows(start, stop)` -> float32 (B, K, stop - start, W), logits, or probabilities
where `probable` says so. What is held are the model's own logits, at its stride; what is resized, averaged over windows
or over views is one band.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.data.labels import IGNORE
from scaseg.models.layers.resize_rows import row_mix

BAND_BYTES = 8 * 2**20  # float32 logits of one band, which on a CPU stay in the cache
Shape = tuple[int, int, int, int]


def class_probabilities(logits: Tensor) -> Tensor:
    """Of logits (B, K, H, W), of one class at each pixel."""
    return logits.softmax(1)


class Rows(Protocol):
    """What every map offers."""

    @property
    def shape(self) -> Shape: ...
    @property
    def probable(self) -> bool: ...
    def rows(self, start: int, stop: int) -> Tensor: ...


@dataclass(frozen=True)
class Held:
    """Logits (B, K, H, W) as a model gave them."""

    logits: Tensor
    probable = False

    @property
    def shape(self) -> Shape:
        batch, classes, height, width = self.logits.shape
        return batch, classes, height, width

    def rows(self, start: int, stop: int) -> Tensor:
        return self.logits[:, :, start:stop].float()


@dataclass(frozen=True)
class Resized:
    """Another map, bilinearly at `size` (H, W), pixel centres at (i + 0.5) * scale (align_corners=False)."""

    source: Rows
    size: tuple[int, int]

    @property
    def shape(self) -> Shape:
        return *self.source.shape[:2], *self.size

    @property
    def probable(self) -> bool:
        return self.source.probable

    def rows(self, start: int, stop: int) -> Tensor:
        batch, classes, source, _ = self.source.shape
        height, width = self.size
        if source == height:
            part = self.source.rows(start, stop)
        else:  # rows before columns, and channels last: the least work, and each step runs over contiguous classes
            first, last, mix = row_mix(start, stop, source, height)
            near = self.source.rows(first, last).permute(0, 2, 3, 1)
            mixed = (mix.to(near) @ near.flatten(2)).view(batch, stop - start, -1, classes)
            part = mixed.permute(0, 3, 1, 2)
        if part.shape[3] == width:
            return part
        return F.interpolate(part, size=(stop - start, width), mode="bilinear")


@dataclass(frozen=True)
class Windows:
    """The mean over overlapping windows: `corners` (top, left) and, for each, a map of the window's size."""

    size: tuple[int, int]
    corners: Sequence[tuple[int, int]]
    parts: Sequence[Rows]

    @property
    def shape(self) -> Shape:
        return *self.parts[0].shape[:2], *self.size

    @property
    def probable(self) -> bool:
        return self.parts[0].probable

    def rows(self, start: int, stop: int) -> Tensor:
        total: Tensor | None = None
        seen = torch.zeros(stop - start, self.size[1])
        for (y, x), part in zip(self.corners, self.parts, strict=True):
            height, width = part.shape[2:]
            top, bottom = max(start, y), min(stop, y + height)
            if top >= bottom:
                continue
            rows = part.rows(top - y, bottom - y)
            if total is None:
                total = rows.new_zeros(*rows.shape[:2], stop - start, self.size[1])
            total[:, :, top - start : bottom - start, x : x + width] += rows
            seen[top - start : bottom - start, x : x + width] += 1
        assert total is not None
        return total.div_(seen.to(total.device))


@dataclass(frozen=True)
class Views:
    """The mean over views of their class probabilities; a view is a map of the common size, and whether flipped.

    probabilities: of a view's logits.
    """

    views: Sequence[tuple[Rows, bool]]
    probabilities: Callable[[Tensor], Tensor] = class_probabilities
    probable = True

    @property
    def shape(self) -> Shape:
        return self.views[0][0].shape

    def rows(self, start: int, stop: int) -> Tensor:
        total: Tensor | None = None
        for source, flipped in self.views:
            part = self.probabilities(source.rows(start, stop))
            part = part.flip(3) if flipped else part
            total = part if total is None else total.add_(part)
        assert total is not None
        return total.div_(len(self.views))


def best_class(source: Rows, least: float | None = None) -> Tensor:
    """Argmax over classes -> (B, H, W), uint8 where K allows, band by band; IGNORE where less likely than `least`."""
    kind = torch.uint8 if source.shape[1] <= 256 else torch.int64

    def labels(band: Tensor) -> Tensor:
        found = band.argmax(1).to(kind)
        return found if least is None else found.masked_fill_(_confidence(band, source.probable) < least, IGNORE)

    return in_bands(source, labels)


def labels_and_confidence(source: Rows) -> tuple[Tensor, Tensor]:
    """The class with the highest score and its probability (B, H, W), band by band; arguments as of `best_class`."""
    bands = [(band.argmax(1).to(torch.uint8), _confidence(band, source.probable)) for band in _bands(source)]
    labels, confidence = zip(*bands, strict=True)
    return torch.cat(labels, 1), torch.cat(confidence, 1)


def in_bands(source: Rows, kept: Callable[[Tensor], Tensor]) -> Tensor:
    """What `kept` makes of the scores (B, K, h, W) of each band, together (..., H, W)."""
    return torch.cat([kept(band) for band in _bands(source)], -2)


def _bands(source: Rows) -> Iterator[Tensor]:
    batch, classes, height, width = source.shape
    rows = max(1, BAND_BYTES // (4 * batch * classes * width))
    for start in range(0, height, rows):
        yield source.rows(start, min(height, start + rows))


def _confidence(band: Tensor, probable: bool) -> Tensor:
    """The highest probability over classes; of logits exp(largest - logsumexp), their softmax's."""
    highest = band.amax(1)
    return highest if probable else torch.exp(highest - band.logsumexp(1))
