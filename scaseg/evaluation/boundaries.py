"""What one image adds to IoU: over all of it, along boundaries, and for objects of each size.

Every count is (..., 3, K) int64: pixels in which prediction and truth have the class, the prediction's, the truth's.
Pixels that the truth ignores count nowhere. Predictions and truths are (H, W) uint8 train ids.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data.labels import IGNORE, Mask
from scaseg.evaluation.regions import Counts, Flags, region_counts


def boundary_counts(prediction: Mask, truth: Mask, classes: int, widths: Sequence[int]) -> Counts:
    """(widths, 3, K) of Boundary IoU (Cheng et al., CVPR 2021): of a mask, only what lies within d of its contour.

    The contour runs along the image's border too, and distances are those of d erosions by 3 x 3, as in the authors'
    code. What the truth ignores is outside of every mask, of the prediction's as well.
    """
    seen = np.where(truth == IGNORE, np.uint8(IGNORE), prediction)
    of_truth, of_prediction = _depth(truth), _depth(seen)
    counts = np.zeros((len(widths), 3, classes), np.int64)
    for i, width in enumerate(widths):
        p, t = of_prediction <= width, of_truth <= width
        both = np.bincount(truth[(seen == truth) & p & t], minlength=IGNORE + 1)
        sides = [np.bincount(x[band], minlength=IGNORE + 1) for x, band in ((seen, p), (truth, t))]
        counts[i] = np.stack([both, *sides])[:, :classes]
    return counts


def _depth(labels: Mask) -> npt.NDArray[np.float32]:
    """How many 3 x 3 erosions of its own class's mask remove each pixel; the image's border is the mask's end."""
    depth = np.zeros(labels.shape, np.float32)
    for label in np.unique(labels):
        mask = cv2.copyMakeBorder((labels == label).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        inside = cv2.distanceTransform(mask, cv2.DIST_C, 3)[1:-1, 1:-1]
        depth = np.maximum(depth, inside)
    return depth


def boundary_width(size: tuple[int, int], share: float) -> int:
    """d in pixels for a share of the image's diagonal, at least 1, as in the authors' code."""
    return max(1, round(share * float(np.hypot(*size))))


def trimap(truth: Mask, width: int) -> Flags:
    """Pixels at most `width` from another label's (8-neighbours are at distance 1): a band along the truth's edges.

    Edges towards ignored pixels count: VOC outlines its objects with them.
    """
    padded = cv2.copyMakeBorder(truth, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    low, high = cv2.erode(padded, np.ones((3, 3), np.uint8)), cv2.dilate(padded, np.ones((3, 3), np.uint8))
    edge = (low != high)[1:-1, 1:-1].astype(np.uint8)
    if width > 1:
        edge = cv2.dilate(edge, np.ones((3, 3), np.uint8), iterations=width - 1).astype(np.uint8)
    found: Flags = edge.astype(bool)
    return found


def trimap_counts(prediction: Mask, truth: Mask, classes: int, widths: Sequence[int]) -> Counts:
    """(widths, 3, K): IoU within a band along the truth's edges."""
    counts = [region_counts(prediction, truth, classes, trimap(truth, width)) for width in widths]
    return np.stack(counts) if counts else np.zeros((0, 3, classes), np.int64)


def object_counts(prediction: Mask, truth: Mask, classes: int, sizes: Sequence[int]) -> Counts:
    """(len(sizes) + 1, 3, K): IoU for objects below sizes[0] pixels, from there below sizes[1], ..., and the others.

    An object is a connected component of a class in the truth (8-neighbours). For each class every pixel belongs to
    the object that is nearest to it, so a false positive counts for the object beside which it lies, and for none in
    an image without one.
    """
    counts = np.zeros((len(sizes) + 1, 3, classes), np.int64)
    known = truth != IGNORE
    for label in np.unique(truth[known]):
        outside = (truth != label).astype(np.uint8)
        number, components = cv2.connectedComponents(1 - outside, connectivity=8)
        group = np.searchsorted(np.asarray(sizes), np.bincount(components.ravel(), minlength=number), side="right")
        _, nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        # the numbers of that transform are of single pixels: from them to the component that the pixel is in
        component_of = np.zeros(int(nearest.max()) + 1, np.int64)
        inside = outside == 0
        component_of[nearest[inside]] = components[inside]
        size = group[component_of[nearest]]
        p, t = (prediction == label) & known, inside & known
        for row, pixels in enumerate((p & t, p, t)):
            counts[:, row, label] = np.bincount(size[pixels], minlength=len(sizes) + 1)
    return counts
