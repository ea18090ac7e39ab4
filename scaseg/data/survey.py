"""What the masks of a split hold, looked at before training: classes that are not there teach nothing."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.data.folder import FolderDataset
from scaseg.data.image_folder import ImageFolder
from scaseg.data.labels import IGNORE, LabelTable

Report = Callable[[int, int], None]
SHOWN = 8  # names or ids that one sentence spells out
_CANNOT = "What is not there cannot be learned: add images with it"


@dataclass(frozen=True)
class Survey:
    """Counts of some masks of a split, of all where `seen` is `masks`.

    stored: pixels of each id 0..255 as files have it. own: whether the table is the user's.
    """

    split: str
    labels: LabelTable
    stored: npt.NDArray[np.int64]
    seen: int
    masks: int
    own: bool = False

    @property
    def pixels(self) -> npt.NDArray[np.int64]:
        """Of each class and, last, of the ignored."""
        return class_pixels(self.stored, self.labels)

    @property
    def absent(self) -> list[int]:
        """Classes without a pixel in the masks that were looked at."""
        return np.flatnonzero(self.pixels[:-1] == 0).tolist()

    @property
    def present(self) -> list[int]:
        """Classes with one."""
        return np.flatnonzero(self.pixels[:-1]).tolist()

    def sentences(self) -> list[str]:
        """What should be known before training, each with what to do about it; none where all is well."""
        names, absent = self.labels.names, self.absent
        looked = f"in the {self.masks} masks of the {self.split} split"
        if self.seen < self.masks:
            looked = f"in {self.seen} {looked.replace('in', 'of', 1)}"
        said: list[str] = []
        if len(absent) == len(names):
            said.append(f"no pixel is labelled {looked}: {self._holds()}. {self._mend()}")
        elif absent:
            few = len(absent) == len(names) - 1
            said.append(
                f"{_listed([names[i] for i in absent])}: no pixel {looked}, where {self._holds()}. "
                + (
                    f"All that is labelled is {names[self.present[0]]}. {self._mend()}"
                    if few
                    else _CANNOT + ", or take it out of the table" * self.own
                )
            )
        if len(names) == 1 and not absent:
            said.append(
                f"{names[0]} is the table's one class, so every labelled pixel is of it and any answer is right;"
                f" {looked} {self._holds()}. {self._mend()}"
            )
        return said

    def _holds(self) -> str:
        ids = np.flatnonzero(self.stored).tolist()
        ignored = [raw for raw in ids if self.labels.raw_ids.get(raw) == IGNORE]
        if not ignored:
            return f"the masks hold {_listed(ids)}"
        key = " (dataset.ignore_ids)" if self.own else ""
        return f"the masks hold {_listed(ids)}; {_listed(ignored)} {'are' if len(ignored) > 1 else 'is'} ignored{key}"

    def _mend(self) -> str:
        """The table that the ids ask for, where they tell."""
        ids, names = np.flatnonzero(self.stored).tolist(), list(self.labels.names)
        if not self.own:
            return "Are these the dataset's own masks?"
        if len(ids) == 2 and IGNORE in ids and len(names) <= 2:
            one, other = ("background", *names)[-2:]
            return (
                f"If {ids[0]} and {ids[1]} are classes, say so in classes.yaml:\n"
                f"  - {{name: {_quoted(one)}, id: {ids[0]}}}\n  - {{name: {_quoted(other)}, id: {ids[1]}}}"
            )
        return "Compare the ids in the masks with those in the table: an entry {name: ..., id: N} says its own"


def survey(
    source: Any,
    most: int | None = None,
    report: Report | None = None,
    whole: bool = False,
    seconds: float = inf,
) -> Survey:
    """Count the ids of a source's masks, evenly spread over it.

    source: a split with masks (a FolderDataset, or another with `labels` and `truth`). most: masks to look at; None:
    all. It ends before where every class has been seen, unless `whole`, and after so many seconds. report: called with
    (done, to do). Raises UserError, naming the file, for a mask that cannot be read and for an id that the table does
    not have.
    """
    count = len(source) if most is None else min(most, len(source))
    stored, seen, end = np.zeros(256, np.int64), 0, time.monotonic() + seconds
    known = np.isin(np.arange(256), list(source.labels.raw_ids))
    for seen, i in enumerate(_spread(len(source), count), 1):
        ids = source.ids(i) if isinstance(source, FolderDataset) else source.labels.decode(source.truth(i))
        counts = np.bincount(ids.ravel(), minlength=256)
        if counts[~known].any():
            source.labels.encode(ids, source.pairs[i].mask)  # which names them
        stored += counts
        if report is not None:
            report(seen, count)
        if time.monotonic() > end or (not whole and class_pixels(stored, source.labels)[:-1].all()):
            break
    return Survey(source.split, source.labels, stored, seen, len(source), isinstance(source, ImageFolder))


def class_pixels(stored: npt.NDArray[np.int64], labels: LabelTable) -> npt.NDArray[np.int64]:
    """Pixels of each stored id -> of each class and, last, of the ignored."""
    pixels = np.zeros(labels.num_classes + 1, np.int64)
    for raw, train in labels.raw_ids.items():
        pixels[-1 if train == IGNORE else train] += stored[raw]
    return pixels


def _spread(length: int, count: int) -> Sequence[int]:
    """`count` of 0..length - 1 such that the first few are spread over all of it too."""
    places: npt.NDArray[np.int64] = np.linspace(0, length - 1, count).round().astype(np.int64)
    stride = max(1, round(len(places) ** 0.5))
    return [int(places[i]) for start in range(stride) for i in range(start, len(places), stride)]


def _listed(items: Sequence[Any]) -> str:
    few = [str(item) for item in items[:SHOWN]]
    if len(items) > SHOWN:
        return f"{', '.join(few)} and {len(items) - SHOWN} more"
    return " and ".join([", ".join(few[:-1]), few[-1]]) if len(few) > 1 else "".join(few)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name, ensure_ascii=False)
