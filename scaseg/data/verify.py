"""Every pair of a split opened once: what is wrong, and what the classes' shares are."""

import hashlib
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scaseg.data.folder import FolderDataset
from scaseg.data.image_folder import ImageFolder
from scaseg.data.labels import IGNORE
from scaseg.data.survey import Survey
from scaseg.errors import UserError

Report = Callable[[int, int], None]
SHOWN = 5  # faults that one message spells out


@dataclass
class Verified:
    """What a split holds; `pixels` has a count for each class and, last, for the ignored."""

    split: str
    pairs: int
    labelled: bool
    pixels: npt.NDArray[np.int64]
    smallest: tuple[int, int]  # height, width, by area
    largest: tuple[int, int]
    images: dict[str, list[str]] = field(default_factory=dict)  # digest of the file -> names
    faults: list[str] = field(default_factory=list)
    survey: Survey | None = None  # of its masks
    opened: bool = True  # False: all its pairs belong to other splits, which were opened

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Percent of the labelled pixels that each class has."""
        counts = self.pixels[:-1]
        return 100 * counts / max(1, int(counts.sum()))


def verify(source: FolderDataset, workers: int = 0, report: Report | None = None) -> Verified:
    """Decode each pair of the split: readable, of one size, of legal ids. `workers` processes share the work."""
    classes = source.labels.num_classes
    found = Verified(source.split, len(source), source.labelled, np.zeros(classes + 1, np.int64), (0, 0), (0, 0))
    images: dict[str, list[str]] = defaultdict(list)
    total = np.zeros(256, np.int64)
    sizes: set[tuple[int, int]] = set()
    for i, (fault, digest, size, stored) in enumerate(_each(source, workers), 1):
        if fault:
            found.faults.append(fault)
        else:
            total += stored
            images[digest].append(source.name(i - 1))
            sizes.add(size)
        if report is not None:
            report(i, len(source))
    found.images = dict(images)
    if source.labelled:
        own = isinstance(source, ImageFolder)
        found.survey = Survey(source.split, source.labels, total, len(source), len(source), own)
        found.pixels = found.survey.pixels
    else:
        found.pixels[-1] = total.sum()
    if sizes:
        found.smallest, found.largest = min(sizes, key=_area), max(sizes, key=_area)
    return found


def union(source: FolderDataset) -> Verified:
    """A split whose pairs were all opened as those of other splits: its count alone."""
    nothing = np.zeros(source.labels.num_classes + 1, np.int64)
    return Verified(source.split, len(source), source.labelled, nothing, (0, 0), (0, 0), opened=False)


def check_faults(found: Iterable[Verified]) -> None:
    """One UserError for all faults, the first of them spelled out."""
    faults = [(part, fault) for part in found for fault in part.faults]
    if faults:
        lines = "\n  ".join(fault for _, fault in faults[:SHOWN])
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        splits = ", ".join(dict.fromkeys(part.split for part, _ in faults))
        raise UserError(f"{len(faults)} faulty pairs in {splits}:\n  {lines}{more}")


def check_counts(found: Iterable[Verified], official: dict[str, int], folder: Path) -> None:
    """UserError where a split does not have as many pairs as the release."""
    for part in found:
        wanted = official.get(part.split, part.pairs)
        if part.pairs != wanted:
            raise UserError(
                f"the {part.split} split in {folder} has {part.pairs} pairs, the official release {wanted}: unpack the"
                " archives whole (the same command goes on where it stopped), or say subset=true if this is on purpose"
            )


def same_images(found: Iterable[Verified]) -> list[str]:
    """Images whose files are the same byte for byte, within a split or between two that share no name."""
    parts = [part for part in found if part.opened]
    told = [f"{part.split}: {' = '.join(names)}" for part in parts for names in part.images.values() if len(names) > 1]
    for k, one in enumerate(parts):
        for other in parts[k + 1 :]:
            names = {name for group in one.images.values() for name in group}
            if names & {name for group in other.images.values() for name in group}:
                continue  # trainval and train
            told += [
                f"{one.split} {one.images[digest][0]} = {other.split} {other.images[digest][0]}"
                for digest in one.images.keys() & other.images.keys()
            ]
    return told


Outcome = tuple[str | None, str, tuple[int, int], npt.NDArray[np.int64]]
_source: FolderDataset | None = None  # of a worker process


def _each(source: FolderDataset, workers: int) -> Iterator[Outcome]:
    if workers < 1:
        yield from (_look(source, i) for i in range(len(source)))
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start, (source,)) as pool:
        yield from pool.imap(_look_there, range(len(source)), chunksize=16)


def _start(source: FolderDataset) -> None:
    global _source
    _source = source
    cv2.setNumThreads(0)


def _look_there(i: int) -> Outcome:
    assert _source is not None
    return _look(_source, i)


def _look(source: FolderDataset, i: int) -> Outcome:
    stored = np.zeros(256, np.int64)
    try:
        image, ids = source.read_ids(i)
        if ids is not None:
            source.labels.encode(ids, str(source.pairs[i].mask))  # whether they are legal
            stored += np.bincount(ids.ravel(), minlength=256)
        else:
            stored[IGNORE] = image.shape[0] * image.shape[1]
        digest = hashlib.sha1(Path(source.pairs[i].image).read_bytes(), usedforsecurity=False).hexdigest()
    except UserError as error:
        return str(error), "", (0, 0), stored
    return None, digest, (image.shape[0], image.shape[1]), stored


def _area(size: tuple[int, int]) -> Any:
    return size[0] * size[1], size
