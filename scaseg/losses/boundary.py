"""The boundary loss (Kervadec et al., MIDL 2019): how far from its class's region each probability lies.

It stands beside a loss over regions or pixels, and adds little to it: alone it says nothing of an image of one class,
next to nothing of pixels beside a boundary, and has no slope left where a wrong class is certain. The paper begins at a
weight of 0.01 and raises it, of distances in pixels; in diagonals of the image, as here, that is 3.6 at its 256 x 256,
and values are of the order of 0.1.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from torch import Tensor

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.data.labels import Mask
from scaseg.losses.term import Term


def boundary_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over labelled pixels of sum_k p_k d_k, p the softmax, d of `distance_maps`: the paper's sum, of all classes.

    logits (B, K, H, W), target (B, H, W) int64 -> scalar, in diagonals of the image; it is negative where the regions
    are right. The distance maps are made on the CPU: some 5 ms for each class that an image of 512 x 512 holds.
    """
    labelled = target != IGNORE_INDEX
    probability = logits.softmax(1)
    loss = (0 * probability).sum()  # a batch without a label has a gradient too
    for image, ids in zip(probability, target.to(torch.uint8).cpu().numpy(), strict=True):
        present, maps = distance_maps(ids)
        if present:
            loss = loss + (image[present] * torch.from_numpy(maps).to(image)).sum()
    return loss / labelled.sum().clamp(min=1)


def distance_maps(ids: Mask) -> tuple[list[int], np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Ids (H, W) uint8 -> the classes of the image that have a boundary, and their signed distance maps (N, H, W).

    From a pixel's centre to the nearest boundary of the class's region, negative inside it, over the image's diagonal:
    so sizes and crops do not change the loss's weight. Half a pixel lies between a centre and the edge between two;
    pixels with the ignored label are of no region, have no distance (0), and a region's edge to them, as that of the
    image, is no boundary. An image of a single class has none.
    """
    present = [int(k) for k in np.unique(ids) if k != IGNORE_INDEX]
    if len(present) < 2:
        return [], np.empty((0, *ids.shape), np.float32)
    regions = ids == np.array(present, ids.dtype)[:, None, None]
    with _without_ipp():
        away = np.stack(
            [cv2.distanceTransform(one, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for one in (~regions).view(np.uint8)]
        )
    others = np.where(regions, np.inf, away).min(0)
    signed = np.where(regions, 0.5 - others, away - 0.5) * (ids != IGNORE_INDEX)
    return present, (signed / np.hypot(*ids.shape)).astype(np.float32)


@contextmanager
def _without_ipp() -> Iterator[None]:
    """Intel's library rounds a distance by where in memory the mask lies: two equal runs differed."""
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(before)


class Boundary(Term):
    """See `boundary_loss`."""

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return boundary_loss(logits, target), (target != IGNORE_INDEX).sum()
