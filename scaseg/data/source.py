"""What every dataset offers of a split: the protocol between data and who reads them. Imports nothing heavy."""

import copy
from collections.abc import Sequence
from typing import Protocol

from scaseg.data.folder import FolderDataset, Picture
from scaseg.data.labels import LabelTable, Mask


class Source(Protocol):
    """Images and masks of one split; see scaseg/data/folder.py for files and scaseg/data/shapes.py for drawn ones."""

    @property
    def labels(self) -> LabelTable: ...
    @property
    def split(self) -> str: ...
    @property
    def labelled(self) -> bool: ...
    def __len__(self) -> int: ...
    def name(self, i: int) -> str: ...
    def read(self, i: int) -> tuple[Picture, Mask]: ...
    def truth(self, i: int) -> Mask: ...


class Chosen:
    """Some images of a source, by number."""

    def __init__(self, source: Source, chosen: Sequence[int]) -> None:
        self.labels, self.split, self.labelled = source.labels, source.split, source.labelled
        self.source, self.chosen = source, chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def name(self, i: int) -> str:
        """Name of the i-th chosen one."""
        return self.source.name(self.chosen[i])

    def read(self, i: int) -> tuple[Picture, Mask]:
        """Image (H, W, 3) and mask (H, W)."""
        return self.source.read(self.chosen[i])

    def truth(self, i: int) -> Mask:
        """The mask alone."""
        return self.source.truth(self.chosen[i])


def part_of(source: Source, chosen: Sequence[int]) -> Source:
    """Some images of a source, by number; of a dataset on disk a dataset of its kind, which reads as it does."""
    if not isinstance(source, FolderDataset):
        return Chosen(source, chosen)
    part = copy.copy(source)
    part.pairs = [source.pairs[i] for i in chosen]
    return part
