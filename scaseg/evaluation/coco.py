"""COCO's result format for stuff: a JSON list of {image_id, category_id, segmentation}, run-length encoded."""

import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from pycocotools import mask as coco

from scaseg.data.labels import Mask
from scaseg.errors import UserError
from scaseg.typed import Json


def segments(categories: Mask, image_id: int) -> list[Json]:
    """One entry a category of (H, W) category ids."""
    found = []
    for category in np.unique(categories).tolist():
        runs = coco.encode(np.asfortranarray(categories == category, np.uint8))
        segmentation = {"size": list(runs["size"]), "counts": runs["counts"].decode("ascii")}
        found.append({"image_id": image_id, "category_id": category, "segmentation": segmentation})
    return found


def read_segments(entries: Any, where: str) -> dict[int, Callable[[tuple[int, ...]], Mask]]:
    """From a result's entries to, for each image_id, a function of (H, W) that draws its category ids.

    UserError, naming the file `where`, for entries of another form, and for pixels with two categories or none.
    """
    by_image: dict[int, list[Json]] = defaultdict(list)
    for place, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        keys = {"image_id", "category_id", "segmentation"}
        if not isinstance(entry, dict) or not keys <= entry.keys() or not 92 <= int(entry["category_id"]) <= 183:
            raise UserError(f"{where}: entry {place} is not {{image_id, category_id 92..183, segmentation}}")
        by_image[int(entry["image_id"])].append(entry)

    def draw(image_id: int, size: tuple[int, ...]) -> Mask:
        categories = np.zeros(size, np.uint8)
        for entry in by_image[image_id]:
            inside = _decode(entry["segmentation"])
            if inside.shape != size:
                raise UserError(f"{where}: image_id {image_id} has segments of {inside.shape}, its image is {size}")
            if categories[inside].any():
                raise UserError(f"{where}: image_id {image_id} has pixels of two categories")
            categories[inside] = entry["category_id"]
        if not categories.all():
            raise UserError(f"{where}: image_id {image_id} has pixels of no category")
        return categories

    return {image_id: partial(draw, image_id) for image_id in by_image}


def _decode(segmentation: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    with warnings.catch_warnings():  # pycocotools 2.0.11 is older than numpy 2's copy keyword, and no worse for it
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        return np.asarray(coco.decode(segmentation), bool)
