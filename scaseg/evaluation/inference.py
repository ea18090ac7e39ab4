"""From images to labels: whole images and sliding windows, as pure functions of a model."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

Model = Callable[[Tensor], Tensor]
BAND_BYTES = 64 * 2**20  # resized logits held at a time


def labels_at(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Argmax of the logits (B, K, h, w) resized bilinearly to `size` -> (B, H, W), uint8 where K allows.

    Rows are resized in bands, so that K x H x W floats never exist at once.
    """
    classes = logits.shape[1]
    logits = logits.float()
    if logits.shape[2:] != size:
        logits = F.interpolate(logits, size=(logits.shape[2], size[1]), mode="bilinear")
    source, height = logits.shape[2], size[0]
    # align_corners=False: the centre of output row r lies at (r + 0.5) * source / height - 0.5
    position = (torch.arange(height, device=logits.device) + 0.5) * (source / height) - 0.5
    position = position.clamp(min=0)
    above = position.long().clamp(max=source - 1)
    below = (above + 1).clamp(max=source - 1)
    share = (position - above).view(1, 1, -1, 1)
    rows = max(1, BAND_BYTES // (4 * logits.shape[0] * classes * size[1]))
    dtype = torch.uint8 if classes <= 256 else torch.int64
    out = torch.empty((logits.shape[0], *size), dtype=dtype, device=logits.device)
    for start in range(0, height, rows):
        band = slice(start, min(height, start + rows))
        upper = logits.index_select(2, above[band])
        resized = upper.lerp_(logits.index_select(2, below[band]), share[:, :, band])
        out[:, band] = resized.argmax(1)
    return out


def windows(size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Top left corners of the windows that cover `size`; the last ones are moved back inside."""
    for y in _starts(size[0], window[0], stride[0]):
        for x in _starts(size[1], window[1], stride[1]):
            yield y, x


def _starts(length: int, window: int, stride: int) -> list[int]:
    count = max(0, -(-(length - window) // stride)) + 1
    return [max(0, min(i * stride, length - window)) for i in range(count)]


def slide(model: Model, images: Tensor, window: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Logits (B, K, H, W) of images (B, 3, H, W): each pixel's mean over the windows that see it.

    An image that fits into one window is given to the model whole, at the model's own stride.
    """
    height, width = images.shape[2:]
    if height <= window[0] and width <= window[1]:
        return model(images)
    window = (min(window[0], height), min(window[1], width))
    total: Tensor | None = None
    seen = torch.zeros((height, width), device=images.device)
    for y, x in windows((height, width), window, stride):
        part = images[:, :, y : y + window[0], x : x + window[1]]
        logits = F.interpolate(model(part).float(), size=window, mode="bilinear")
        if total is None:
            total = logits.new_zeros((*logits.shape[:2], height, width))
        total[:, :, y : y + window[0], x : x + window[1]] += logits
        seen[y : y + window[0], x : x + window[1]] += 1
    assert total is not None
    return total / seen


def predict_labels(
    model: Model,
    images: Tensor,
    size: tuple[int, int],
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
) -> Tensor:
    """Train ids (B, *size) of images (B, 3, H, W), by the whole image or, with window and stride, by windows."""
    logits = model(images) if window is None or stride is None else slide(model, images, window, stride)
    return labels_at(logits, size)
