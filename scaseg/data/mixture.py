"""What a training draws from besides its own split: folders of images and masks, each in the proportion of its weight.

Which source a sample is of follows from the sample counter alone, so that resuming is exact: with a share p of all
samples, ceil(n p) of the first n are of the first source, and of those left the next sources take theirs in the same
way. So after any number of samples each has had its share, to within one.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from scaseg.data.classes import plain_name
from scaseg.data.fingerprint import of_file
from scaseg.data.folder import FolderDataset
from scaseg.data.image_folder import CLASSES_FILE, ImageFolder
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.form import Form
from scaseg.schema import MoreData


@dataclass(frozen=True)
class Mixture:
    """sources: the dataset's own split first, whose weight is 1; weights: of the others, samples for one of its own."""

    sources: Sequence[Source]
    weights: Sequence[float] = ()

    def place(self, n: int) -> tuple[int, int]:
        """Of the n-th sample, n = 0, 1, ...: the number of its source, and how many of that source came before it."""
        for number, share in enumerate(self._shares):
            before = _first(n, share)
            if _first(n + 1, share) > before:
                return number, before
            n -= before
        raise AssertionError("the last source takes all that is left")

    @property
    def a_pass(self) -> int:
        """Samples after which each image of the dataset's own split was seen once."""
        own = self._shares[0]
        return (len(self.sources[0]) - 1) * own.denominator // own.numerator + 1

    @property
    def shares(self) -> list[float]:
        """Of all samples, by source."""
        total = 1 + sum(self.weights)
        return [weight / total for weight in (1, *self.weights)]

    @cached_property
    def _shares(self) -> list[Fraction]:
        """Of each source, of the samples that those before it leave; exact for weights as they are written."""
        weights = [Fraction(str(weight)) for weight in (1, *self.weights)]
        return [weight / sum(weights[number:]) for number, weight in enumerate(weights)]


def _first(n: int, share: Fraction) -> int:
    """ceil(n share): how many of the first n samples are of a source."""
    return -(-n * share.numerator // share.denominator)


def further(more: Sequence[MoreData], form: Form, val: Source) -> list[ImageFolder]:
    """The sources of `more`; UserError, which names the entry, where one is not right.

    Their classes must be val's, in order. None of their images may be one of val's: figures on it would say nothing.
    """
    return [
        _source(one, f"more_data, entry {number} ({one.data_dir})", form, val) for number, one in enumerate(more, 1)
    ]


def folder_of(one: MoreData) -> ImageFolder:
    """Its images and masks; UserError where they are not there or not right."""
    options = {key: getattr(one, key) for key in ("images", "masks", "image_suffix", "mask_suffix", "mask_pixels")}
    return ImageFolder(one.data_dir, one.split, **options)


def _source(one: MoreData, where: str, form: Form, val: Source) -> ImageFolder:
    if not (table := Path(one.data_dir, CLASSES_FILE)).is_file():
        raise UserError(f"{where}: no {table}, which lists the dataset's classes with the masks' ids of them")
    try:
        source = folder_of(one)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    source.form = form
    if not source.labelled:
        raise UserError(f"{where}: its split {one.split} has no masks to learn from")
    known, its = ([plain_name(name) for name in labels.names] for labels in (val.labels, source.labels))
    if known != its:
        differ = next((f", {a} and {b} first" for a, b in zip(known, its, strict=False) if a != b), "")
        raise UserError(
            f"{where}: its classes.yaml has {len(its)} classes and the dataset {len(known)}{differ}: the same names in"
            " the same order are needed, and `ids` of each as its masks have them"
        )
    if seen := same_images(source, val):
        raise UserError(
            f"{where}: {len(seen)} of its {len(source)} images are of the split that validates ({val.split}), the first"
            f" {source.pairs[seen[0]].image}: take them out, for figures on what was trained on say nothing of others"
        )
    return source


def same_images(one: Source, other: Source) -> list[int]:
    """Numbers, in `one`, of the images whose files are those of `other`, or copies by scaseg.data.fingerprint."""
    if not (isinstance(one, FolderDataset) and isinstance(other, FolderDataset)):
        return []
    known: dict[int, list[str]] = defaultdict(list)
    for pair in other.pairs:
        known[_bytes(pair.image)].append(pair.image)
    found = []
    for number, pair in enumerate(one.pairs):
        alike = known.get(_bytes(pair.image), [])
        if pair.image in alike or (alike and of_file(pair.image) in map(of_file, alike)):
            found.append(number)
    return found


def _bytes(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (Path is slower)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
