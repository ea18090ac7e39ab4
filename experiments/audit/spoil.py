"""A copy of CamVid's train split in which a tenth of the masks is spoiled in one region each, as annotators err.

python -m experiments.audit.spoil CAMVID NEW SEED

A region is a connected part of one class that covers between LEAST and MOST of the image: what a person sees. By turns

- swapped: the region gets another class that the same mask holds;
- shifted: it is moved, in any direction, by a quarter to half of its box's shorter side; what it leaves gets the
  class of the nearest pixel beside it;
- deleted: all of it gets the class of the nearest pixel beside it.

A spoiling that changes fewer than LEAST_CHANGED of the image's pixels is drawn again. Which were spoiled, and how, is
in NEW/spoiled.csv.
"""

import csv
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from scaseg.data.camvid import CamVid
from scaseg.data.labels import IGNORE

SHARE = 0.1  # of the masks
LEAST, MOST = 0.01, 0.2  # of the image's pixels: of 480 x 360 from 1,728 pixels, some 42 x 42, to 34,560
LEAST_CHANGED = 0.005  # 864 pixels
KINDS = ("swapped", "shifted", "deleted")
TRIES = 50


class Spoiled(NamedTuple):
    """What was done to a mask; box: left, top, right, bottom of the pixels that changed, the last two not in it."""

    name: str
    kind: str
    of: str
    to: str
    region: int
    changed: int
    left: int
    top: int
    right: int
    bottom: int


def spoiled(mask: np.ndarray, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, int, int, int] | None:
    """(mask, the region's class, the class that most of what changed has now, the region's pixels); None: no region."""
    regions = regions_of(mask)
    if not regions:
        return None
    for _ in range(TRIES):
        label, region = regions[rng.integers(len(regions))]
        changed = mask.copy()
        if kind == "swapped":
            others = [other for other in np.unique(mask) if other not in (label, IGNORE)]
            if not others:
                return None
            changed[region] = rng.choice(others)
        else:
            changed[region] = beside(mask, region)
        if kind == "shifted":
            moved = shift(region, rng)
            changed[moved & (mask != IGNORE)] = label
        differ = changed != mask
        if differ.sum() >= LEAST_CHANGED * mask.size:
            return changed, label, int(np.bincount(changed[differ]).argmax()), int(region.sum())
    return None


def regions_of(mask: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(class, where) of the connected parts that a person sees."""
    found = []
    for label in np.unique(mask[mask != IGNORE]):
        count, parts, stats, _ = cv2.connectedComponentsWithStats((mask == label).astype(np.uint8), connectivity=4)
        areas = stats[:, cv2.CC_STAT_AREA] / mask.size
        found += [(int(label), parts == i) for i in range(1, count) if LEAST <= areas[i] <= MOST]
    return found


def beside(mask: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Of each of the region's pixels the class of the nearest one outside that has a class."""
    outside = ~region & (mask != IGNORE)
    _, nearest = cv2.distanceTransformWithLabels(
        (~outside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    classes = np.zeros(nearest.max() + 1, np.uint8)
    classes[nearest[outside]] = mask[outside]
    return classes[nearest[region]]


def shift(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.nonzero(region)
    side = min(np.ptp(rows), np.ptp(columns)) + 1
    length, angle = side * rng.uniform(0.25, 0.5), rng.uniform(0, 2 * np.pi)
    down, right = round(length * np.sin(angle)), round(length * np.cos(angle))
    rows, columns = rows + down, columns + right
    inside = (rows >= 0) & (rows < region.shape[0]) & (columns >= 0) & (columns < region.shape[1])
    moved = np.zeros_like(region)
    moved[rows[inside], columns[inside]] = True
    return moved


def main(camvid: Path, new: Path, seed: int) -> list[Spoiled]:
    source, rng = CamVid(camvid, "train"), np.random.default_rng(seed)
    for folder in ("train", "trainannot"):
        shutil.copytree(camvid / folder, new / folder)
    shutil.copy(camvid / "train.txt", new / "train.txt")
    names, done = source.labels.names, list[Spoiled]()
    wanted = round(SHARE * len(source))
    for i in rng.permutation(len(source)):
        kind = KINDS[len(done) % len(KINDS)]
        mask = source.truth(i)
        found = spoiled(mask, kind, rng)
        if found is None:
            continue
        changed, label, to, pixels = found
        rows, columns = np.nonzero(changed != mask)
        box = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
        done.append(Spoiled(source.name(i), kind, names[label], names[to], pixels, len(rows), *box))
        cv2.imwrite(str(new / "trainannot" / f"{source.name(i)}.png"), source.labels.decode(changed))
        if len(done) == wanted:
            break
    with (new / "spoiled.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Spoiled._fields)
        writer.writerows(sorted(done))
    return done


if __name__ == "__main__":
    made = main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    print(*(f"{kind} {sum(one.kind == kind for one in made)}" for kind in KINDS), f"of {len(made)} masks", sep=", ")
