"""What runs measured, and what their differences support: figures of rows of seeds, with intervals over seeds and
images together where the runs kept counts of each image, else over the seeds alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

from scaseg.report.samples import BESIDE, Samples, Seeds, samples
from scaseg.report.statistics import Summary, summarise
from scaseg.report.table import MISSING, Cell
from scaseg.runs.counts import COUNTS
from scaseg.statistics.crossed import Estimate, estimate, holm

LEVEL = 0.95


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
    """Of one dataset's rows. bases: number of a row -> that of its baseline; rows and pattern: see `samples`."""
    found = samples(rows, pattern)
    others = {i: base for i, base in (bases or {}).items() if base != i}
    changes = {i: _estimate(found, i, base) for i, base in others.items()}
    p_values = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
    figures = [
        Figures(
            summarise([run.miou for run in row.values()]),
            _estimate(found, i),
            {name: one.value for name, one in found.beside[i].items()},
            changes.get(i),
            p_values.get(i),
        )
        for i, row in enumerate(rows)
    ]
    return Measured(dataset, figures, found.over_images, found.groups)


def _estimate(found: Samples, row: int, base: int | None = None) -> Estimate:
    """Of a single seed the value alone: what training again would give is not known."""
    one, other = found.miou[row], None if base is None else found.miou[base]
    told = estimate(one, LEVEL, other, found.over_images)
    single = min(len(sample.values) for sample in (one, other or one)) < 2
    return Estimate(told.value, nan, nan, nan) if single else told
