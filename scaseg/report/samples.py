"""From rows of runs to what statistics take: each row's mIoU by seed and, where its runs kept counts, by image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scaseg.data.build import groups_of
from scaseg.errors import UserError
from scaseg.evaluation.regions import WORST, class_iou, image_terms, mean_over_images
from scaseg.report.runs import Run
from scaseg.runs.counts import COUNTS, ImageCounts, has_counts, read_counts
from scaseg.statistics.crossed import Floats, Measure, Sample, grouped, sample, summed

BESIDE = {"image": "mIoU an image", "worst": f"worst {WORST:.0%} of images"}  # figures beside the set's
Seeds = Mapping[int, Run]  # one row's runs of one dataset


@dataclass(frozen=True)
class Samples:
    """Of rows of one dataset, mIoU of each and, where `counted`, its figures of BESIDE; of so many images, in groups
    of those that depend on each other.
    """

    miou: Sequence[Sample]
    beside: Sequence[Mapping[str, Sample]]
    images: int
    groups: int

    @property
    def counted(self) -> bool:
        """Whether there are counts of each image."""
        return self.images > 0

    @property
    def over_images(self) -> bool:
        """Whether anything is known of other images: not of one group, nor where a class is in one group alone."""
        return self.groups > 1 and not any(np.isnan(one.terms).any() for one in self.miou)


def samples(rows: Sequence[Seeds], pattern: str | None = None) -> Samples:
    """Of rows with at least one run each. pattern: of dependent images, instead of the dataset's own.

    Raises UserError where counts are not those of the result beside them.
    """
    counts = _counts_of(rows)
    if counts is None:
        return Samples([_of_results(row) for row in rows], [{} for _ in rows], 0, 0)
    names = next(iter(counts.values())).names
    groups = grouped(names, pattern or groups_of(next(iter(rows[0].values())).config.dataset))
    found = [_of_counts(row, counts, groups) for row in rows]
    return Samples([one.pop("mIoU") for one in found], found, len(names), int(groups.max()) + 1)


def _counts_of(rows: Sequence[Seeds]) -> dict[Path, ImageCounts] | None:
    """By folder; None unless all have them, of the same images."""
    folders = [run.folder for row in rows for run in row.values()]
    if not folders or not all(map(has_counts, folders)):
        return None
    counts = {folder: read_counts(folder) for folder in folders}
    return counts if len({one.names for one in counts.values()}) == 1 else None


def _of_results(row: Seeds) -> Sample:
    return Sample(np.array([run.miou for run in row.values()]), np.empty((len(row), 0)))


def _of_counts(row: Seeds, counts: Mapping[Path, ImageCounts], groups: npt.NDArray[np.int64]) -> dict[str, Sample]:
    def miou(sums: Mapping[str, Floats]) -> Floats:
        return class_iou(sums["region"], mean_over)

    def beside(name: str) -> Measure:
        return lambda sums: mean_over_images(sums[name])

    mean_over = next(iter(row.values())).config.protocol.mean_over
    sums = []
    for run in row.values():
        region = counts[run.folder].region
        sums.append(summed({"region": region, **image_terms(region)}, groups))
    found = {"mIoU": sample(sums, miou), **{name: sample(sums, beside(name)) for name in BESIDE}}
    for run, value in zip(row.values(), found["mIoU"].values, strict=True):
        if abs(value - run.miou) > 1e-6:
            raise UserError(
                f"{run.folder / COUNTS} gives an mIoU of {value:.4f}, the result beside it {run.miou:.4f}: they are not"
                " of one run; move the counts away"
            )
    return found
