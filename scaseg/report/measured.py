"""What runs measured, and what their differences support: figures of rows of seeds, with intervals over seeds and
images together where the runs kept counts of each image, else over the seeds alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scaseg.data.build import groups_of
from scaseg.errors import UserError
from scaseg.evaluation.regions import WORST, class_iou, image_terms, mean_over_images
from scaseg.report.runs import Run
from scaseg.report.statistics import Summary, summarise
from scaseg.report.table import MISSING, Cell
from scaseg.runs.counts import COUNTS, ImageCounts, has_counts, read_counts
from scaseg.statistics.crossed import Estimate, Floats, Measure, Sample, estimate, grouped, holm, sample, summed

LEVEL = 0.95
BESIDE = {"image": "mIoU an image", "worst": f"worst {WORST:.0%} of images"}  # figures beside the set's
Seeds = Mapping[int, Run]  # one row's runs of one dataset
Groups = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    """Of one row: mIoU over the set, the figures beside it (those of BESIDE, or none), and its difference to a baseline
    with the p-value after Holm; None without a baseline, or of the baseline itself.
    """

    summary: Summary
    miou: Estimate
    beside: Mapping[str, float]
    change: Estimate | None = None
    p_holm: float | None = None

    @property
    def interval(self) -> Cell:
        """Of mIoU."""
        if isnan(self.miou.low):
            return MISSING
        return Cell(f"{self.miou.low:.2f} to {self.miou.high:.2f}", numbers=(self.miou.low, self.miou.high))

    @property
    def difference(self) -> Cell:
        """To the baseline: `+1.20 [+0.30, +2.10] P 0.99`."""
        if self.change is None:
            return MISSING
        value, low, high, better = self.change.value, self.change.low, self.change.high, self.change.better
        if isnan(low):
            return Cell(f"{value:+.2f}", numbers=(value, None, None, None, None))
        text = f"{value:+.2f} [{low:+.2f}, {high:+.2f}] P {better:.2f}"
        return Cell(text, numbers=(value, low, high, better, self.p_holm))


CHANGE = ("difference", "difference_low", "difference_high", "difference_P", "difference_p_holm")  # in CSV


@dataclass(frozen=True)
class Measured:
    """Rows of one dataset. images: whether their intervals are over images too; groups: of how many, 0 if unknown."""

    dataset: str
    rows: Sequence[Figures]
    images: bool
    groups: int

    @property
    def beside(self) -> list[str]:
        """Of BESIDE, what every row has."""
        return [name for name in BESIDE if all(name in row.beside for row in self.rows)]

    @property
    def known(self) -> bool:
        """Whether any row has an interval: it takes several seeds."""
        return any(not isnan(row.miou.low) for row in self.rows)

    def note(self) -> str:
        """What the intervals say, and what was claimed; empty where there is none."""
        if not self.known:
            return ""
        on = f"on {self.dataset}"
        if self.images:
            said = f"Intervals {on} are over seeds and images together (95 %, {self.groups} images or groups of them)."
        elif self.groups == 1:
            said = (
                f"Intervals {on} are over the seeds alone, after Welch, as all its images are of one group: what"
                " training again would change on these images, nothing of others."
            )
        else:
            said = (
                f"Intervals {on} are over the seeds alone, after Welch, as not all runs have counts of the same images"
                f" ({COUNTS}): what training again would change on these images."
            )
        compared = [row for row in self.rows if row.p_holm is not None and not isnan(row.p_holm)]
        if not compared:
            return said
        held = sum(row.p_holm is not None and row.p_holm < 1 - LEVEL for row in compared)
        return (
            f"{said} Of {len(compared)} difference{'s' * (len(compared) != 1)} to the baseline, corrected after Holm,"
            f" {held or 'none'} hold{'s' * (held < 2)}{'' if self.images else ', on these images'}."
        )


def measured(
    dataset: str, rows: Sequence[Seeds], bases: Mapping[int, int] | None = None, pattern: str | None = None
) -> Measured:
    """Of one dataset's rows, each with at least one run. bases: number of a row -> that of its baseline.

    pattern: of images that depend on each other, instead of the dataset's own. Raises UserError where counts are not
    those of the result beside them.
    """
    counts = _counts_of(rows)
    if counts is None:
        groups, samples = np.empty(0, np.int64), [{"mIoU": _of_results(row)} for row in rows]
    else:
        config = next(iter(rows[0].values())).config
        groups = grouped(next(iter(counts.values())).names, pattern or groups_of(config.dataset))
        samples = [_of_counts(row, counts, groups) for row in rows]
    number = len(np.unique(groups))
    images = number > 1 and not any(np.isnan(found["mIoU"].deviations).any() for found in samples)
    mious = [found["mIoU"] for found in samples]
    others = {i: base for i, base in (bases or {}).items() if base != i}
    changes = {i: _estimate(images, mious[i], mious[base]) for i, base in others.items()}
    p_values = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
    figures = [
        Figures(
            summarise([run.miou for run in row.values()]),
            _estimate(images, found["mIoU"]),
            {name: found[name].value for name in BESIDE if name in found},
            changes.get(i),
            p_values.get(i),
        )
        for i, (row, found) in enumerate(zip(rows, samples, strict=True))
    ]
    return Measured(dataset, figures, images, number)


def _counts_of(rows: Sequence[Seeds]) -> dict[Path, ImageCounts] | None:
    """By folder; None unless all have them, of the same images."""
    folders = [run.folder for row in rows for run in row.values()]
    if not folders or not all(map(has_counts, folders)):
        return None
    counts = {folder: read_counts(folder) for folder in folders}
    return counts if len({one.names for one in counts.values()}) == 1 else None


def _of_results(row: Seeds) -> Sample:
    return Sample(np.array([run.miou for run in row.values()]), np.empty(0))


def _of_counts(row: Seeds, counts: Mapping[Path, ImageCounts], groups: Groups) -> dict[str, Sample]:
    def miou(sums: Mapping[str, Floats]) -> Floats:
        return class_iou(sums["region"], mean_over)

    def beside(name: str) -> Measure:
        return lambda sums: mean_over_images(sums[name])

    mean_over = next(iter(row.values())).config.protocol.mean_over
    sums = []
    for run in row.values():
        region = counts[run.folder].region
        sums.append(summed({"region": region, **image_terms(region)}, groups))
        if abs(found := float(np.nanmean(miou(sums[-1].total))) - run.miou) > 1e-6:
            raise UserError(
                f"{run.folder / COUNTS} gives an mIoU of {run.miou + found:.4f}, the result beside it {run.miou:.4f}:"
                " they are not of one run; move the counts away"
            )
    return {"mIoU": sample(sums, miou), **{name: sample(sums, beside(name)) for name in BESIDE}}


def _estimate(images: bool, one: Sample, other: Sample | None = None) -> Estimate:
    """Of a single seed the value alone: what training again would give is not known."""
    found = estimate(one, LEVEL, other, images)
    single = min(len(one.values), len(one.values if other is None else other.values)) < 2
    return Estimate(found.value, nan, nan, nan) if single else found
