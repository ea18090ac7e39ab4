"""From what a file computes to labels, in NumPy, as scaseg.evaluation.inference does it in torch.

`Rows` are full-size logits that never exist at once: rows (B, K, stop - start, W) of a band, on demand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data.labels import IGNORE, Mask
from scaseg.data.sizes import Size, windows
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.protocol import Resized as Twice
from scaseg.exported.sessions import Run

Floats = npt.NDArray[np.float32]
BAND_BYTES = 8 * 2**20  # float32 logits of one band


@dataclass(frozen=True)
class Rows:
    """size: (H, W) of the whole map; of: (start, stop) -> its rows, logits, or probabilities where `probable`."""

    size: Size
    of: Callable[[int, int], Floats]
    probable: bool = False


def predict_labels(
    run: Run,
    views: Sequence[npt.NDArray[Any]],
    size: Size,
    protocol: Protocol,
    thresholds: Sequence[float] = (),
    least: float | None = None,
) -> Mask:
    """Class ids (B, *size) of images (B, C, h, w) at the protocol's scales, by a file that gives logits.

    thresholds: of its one logit's probability, for whether it is the second of two classes; none: the best class, and
    IGNORE where it is less likely than `least`.
    """
    maps: list[tuple[Rows, bool]] = []
    for view in views:
        images = np.ascontiguousarray(view, np.float32)
        for flipped in (False, True) if protocol.flip else (False,):
            rows = _logits(run, np.ascontiguousarray(images[..., ::-1]) if flipped else images, protocol.windows)
            if protocol.logits_resized is Twice.twice:
                rows = resized(rows, (images.shape[2], images.shape[3]))
            maps.append((resized(rows, size), flipped))
    if thresholds:
        (threshold,) = thresholds
        return _in_bands(averaged(maps, sigmoid), lambda rows: (rows[:, 0] >= threshold).astype(np.uint8))
    return best_class(maps[0][0] if len(maps) == 1 else averaged(maps), least)


def held(logits: Floats) -> Rows:
    """Logits (B, K, H, W) as the file gave them."""
    return Rows((logits.shape[2], logits.shape[3]), lambda start, stop: logits[:, :, start:stop])


def resized(source: Rows, size: Size) -> Rows:
    """Another map, bilinearly at `size`, pixel centres at (i + 0.5) * scale: OpenCV's columns, rows as they are asked.

    Both are what torch's interpolate computes with align_corners=False.
    """
    (height, width), (wanted, wide) = source.size, size

    def rows(start: int, stop: int) -> Floats:
        part = _mixed(source, start, stop, height, wanted)
        if width == wide:
            return part
        lines = np.ascontiguousarray(part).reshape(-1, width)
        out: Floats = cv2.resize(lines, (wide, len(lines)), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        return out.reshape(*part.shape[:3], wide)

    return Rows(size, rows)


def _mixed(source: Rows, start: int, stop: int, height: int, wanted: int) -> Floats:
    if height == wanted:
        return source.of(start, stop)
    places = np.maximum((np.arange(start, stop, dtype=np.float32) + 0.5) * np.float32(height / wanted) - 0.5, 0)
    above = places.astype(np.int64)
    below = np.minimum(above + 1, height - 1)
    first = int(above[0])
    near = source.of(first, int(below[-1]) + 1)
    share = (places - above).astype(np.float32)[:, None]
    out: Floats = near[:, :, above - first] * (1 - share) + near[:, :, below - first] * share
    return out


def softmax(logits: Floats) -> Floats:
    """Over classes, (B, K, H, W)."""
    part: Floats = np.exp(logits - logits.max(1, keepdims=True))
    part /= part.sum(1, keepdims=True)
    return part


def sigmoid(logits: Floats) -> Floats:
    """Of each; no exponential overflows."""
    probability: Floats = np.exp(-np.logaddexp(np.float32(0), -logits))
    return probability


def averaged(views: Sequence[tuple[Rows, bool]], probabilities: Callable[[Floats], Floats] = softmax) -> Rows:
    """The mean over views of the probabilities of their logits; each is a map of one size, and whether mirrored."""

    def rows(start: int, stop: int) -> Floats:
        total: Floats | None = None
        for source, flipped in views:
            part = probabilities(source.of(start, stop))
            part = part[..., ::-1] if flipped else part
            total = part if total is None else total + part
        assert total is not None
        return total / np.float32(len(views))

    return Rows(views[0][0].size, rows, probable=True)


def _logits(run: Run, images: Floats, windowed: tuple[Size, Size] | None) -> Rows:
    height, width = images.shape[2:]
    if windowed is None or (height <= windowed[0][0] and width <= windowed[0][1]):
        return held(run(images))
    window = (min(windowed[0][0], height), min(windowed[0][1], width))
    corners = list(windows((height, width), window, windowed[1]))
    parts = [
        resized(held(run(np.ascontiguousarray(images[:, :, y : y + window[0], x : x + window[1]]))), window)
        for y, x in corners
    ]
    seen = np.zeros((height, width), np.float32)
    for y, x in corners:
        seen[y : y + window[0], x : x + window[1]] += 1

    def rows(start: int, stop: int) -> Floats:
        total: Floats | None = None
        for (y, x), part in zip(corners, parts, strict=True):
            top, bottom = max(start, y), min(stop, y + window[0])
            if top >= bottom:
                continue
            some = part.of(top - y, bottom - y)
            if total is None:
                total = np.zeros((*some.shape[:2], stop - start, width), np.float32)
            total[:, :, top - start : bottom - start, x : x + window[1]] += some
        assert total is not None
        return total / seen[start:stop]

    return Rows((height, width), rows)


def best_class(source: Rows, least: float | None = None) -> Mask:
    """Argmax over classes -> (B, H, W), uint8 where the classes allow, band by band; IGNORE where below `least`."""

    def labels(rows: Floats) -> Mask:
        found: Mask = rows.argmax(1).astype(np.uint8 if rows.shape[1] <= 256 else np.int64)
        if least is not None:
            found[(rows if source.probable else softmax(rows)).max(1) < np.float32(least)] = IGNORE
        return found

    return _in_bands(source, labels)


def _in_bands(source: Rows, labels: Callable[[Floats], Mask]) -> Mask:
    height, width = source.size
    batch, classes = source.of(0, 1).shape[:2]
    band = max(1, BAND_BYTES // (4 * batch * classes * width))
    return np.concatenate([labels(source.of(start, min(height, start + band))) for start in range(0, height, band)], 1)
