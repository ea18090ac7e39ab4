"""A split cut into folds, so that no image is judged by a model that was trained on it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scaseg.data.source import Source, part_of
from scaseg.runs.asked import Asked, of_sources
from scaseg.schema import Run
from scaseg.statistics.crossed import grouped

FEWEST_GROUPS = 3  # below, a model would be trained on one group alone


@dataclass(frozen=True)
class Folds:
    """number: the fold of each image, from 0. said: how they were cut, for people; alone: whether groups stay whole."""

    number: npt.NDArray[np.int64]
    said: str
    alone: bool

    @property
    def count(self) -> int:
        return int(self.number.max()) + 1


def of_images(names: list[str], pattern: str | None, count: int) -> Folds:
    """Folds of images that are drawn: a model may have seen others of a group, and so knows better what is there."""
    count = min(count, len(names))
    number = np.empty(len(names), np.int64)
    number[np.random.default_rng(0).permutation(len(names))] = np.arange(len(names)) % count
    alone = pattern is None or int(grouped(names, pattern).max()) + 1 == len(names)
    return Folds(number, f"{count} folds of images drawn at random", alone)


def of_groups(names: list[str], pattern: str | None, count: int) -> Folds:
    """Folds of about one size. Images of one group, by scaseg.statistics.crossed.grouped, stay in one fold.

    Where all are of one or two groups that cannot be: then a fold is a stretch of each group, in the order of names,
    and the images at its ends have neighbours in other folds. Without groups images are drawn.
    """
    if pattern is None:
        return of_images(names, pattern, count)
    groups = grouped(names, pattern)
    found = int(groups.max()) + 1
    count = min(count, len(names))
    if found < FEWEST_GROUPS:
        number = np.empty(len(names), np.int64)
        for group in range(found):
            members = np.array(sorted(np.flatnonzero(groups == group), key=lambda i: names[i]))
            number[members] = np.arange(len(members)) * count // len(members)
        groups_are = "is one group" if found == 1 else "are two groups"
        said = f"{count} folds of names that follow each other, for there {groups_are} alone by {pattern!r}"
        return Folds(number, said, False)
    fewer = min(count, found)
    sizes, of_fold = np.bincount(groups), np.zeros(fewer, np.int64)
    number = np.empty(len(names), np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        smallest = int(of_fold.argmin())
        number[groups == group] = smallest
        of_fold[smallest] += sizes[group]
    said = f"{fewer} folds of whole groups, of which there are {found} by {pattern!r}"
    return Folds(number, said if fewer == count else f"{said}: fewer than the {count} asked for", True)


def training_of(run: Run, source: Source, folds: Folds, fold: int) -> Asked:
    """The training of a fold, an ordinary run: on the images of all others, evaluated on its own."""
    split = source.split
    run = replace(run, dataset=run.dataset.changed(train_split=split, val_split=split), pictures=0)
    others, own = np.flatnonzero(folds.number != fold), np.flatnonzero(folds.number == fold)
    return of_sources(run, part_of(source, others.tolist()), part_of(source, own.tolist()))
