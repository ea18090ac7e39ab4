"""From images to labels: whole images, sliding windows, several scales and flips, as pure functions of a model."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scaseg.data.sizes import Size, windows
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.protocol import Resized as Twice
from scaseg.evaluation.row_bands import Held, Resized, Rows, Views, Windows, best_class

Model = Callable[[Tensor], Tensor]


def scores(
    model: Model,
    images: Tensor | Sequence[Tensor],
    size: Size,
    protocol: Protocol | None = None,
    window_batch_size: int = 1,
    probabilities: Model | None = None,
) -> Rows:
    """What decides about each pixel at `size`, of images (B, 3, H, W) as the protocol shows them.

    images: one tensor, or the same images at the protocol's several scales. Of several views (scales, or each one
    mirrored too with `flip`) the mean of their class probabilities, a `Views`; of one view its logits. No protocol:
    images are seen whole, as they are. probabilities: of logits; where they are given, of one view a `Views` too.
    """
    protocol = protocol or Protocol()
    scales = [images] if isinstance(images, Tensor) else list(images)
    views: list[tuple[Rows, bool]] = []
    for view in scales:
        for flipped in (False, True) if protocol.flip else (False,):
            seen = view.flip(3) if flipped else view
            logits = _logits(model, seen, protocol.windows, window_batch_size)
            if protocol.logits_resized is Twice.twice:
                logits = Resized(logits, (view.shape[2], view.shape[3]))
            views.append((Resized(logits, size), flipped))
    if probabilities is not None:
        return Views(views, probabilities)
    return views[0][0] if len(views) == 1 else Views(views)


def labels_at(logits: Tensor, size: Size) -> Tensor:
    """Argmax of the logits (B, K, h, w) resized bilinearly to `size` -> (B, H, W), uint8 where K allows.

    Rows are resized in bands, so that K x H x W floats never exist at once.
    """
    return best_class(Resized(Held(logits), size))


def slide(model: Model, images: Tensor, window: Size, stride: Size, window_batch_size: int = 1) -> Tensor:
    """Logits (B, K, H, W) of images (B, 3, H, W): each pixel's mean over the windows that see it.

    An image that fits into one window is given to the model whole, at the model's own stride. All rows at once:
    `predict_labels` needs a band at a time.
    """
    logits = _logits(model, images, (window, stride), window_batch_size)
    return logits.rows(0, logits.shape[2])


def _logits(model: Model, images: Tensor, windowed: tuple[Size, Size] | None, batch_size: int) -> Rows:
    height, width = images.shape[2:]
    if windowed is None or (height <= windowed[0][0] and width <= windowed[0][1]):
        return Held(model(images))
    window, stride = windowed
    window = (min(window[0], height), min(window[1], width))
    corners = list(windows((height, width), window, stride))
    parts: list[Rows] = []
    for first in range(0, len(corners), batch_size):
        crops = [images[:, :, y : y + window[0], x : x + window[1]] for y, x in corners[first : first + batch_size]]
        logits = model(torch.cat(crops))
        parts += [Resized(Held(part), window) for part in logits.split(images.shape[0])]
    return Windows((height, width), corners, parts)
