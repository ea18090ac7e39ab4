"""What one image adds to IoU."""

import numpy as np
import numpy.typing as npt

from scaseg.data.labels import IGNORE, Mask

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def region_counts(prediction: Mask, truth: Mask, classes: int, where: Flags | None = None) -> Counts:
    """Train ids (H, W) -> (3, K): pixels that both have, the prediction's, the truth's; of `where`, or of all.

    Pixels that the truth ignores count nowhere.
    """
    known = truth != IGNORE if where is None else (truth != IGNORE) & where
    p, t = prediction[known], truth[known]
    return np.stack([np.bincount(x, minlength=classes)[:classes] for x in (t[p == t], p, t)]).astype(np.int64)
