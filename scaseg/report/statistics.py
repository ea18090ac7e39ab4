"""Mean and deviation over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Summary:
    """Of n values; std is the sample standard deviation (n - 1), None for one value."""

    mean: float
    std: float | None
    n: int

    @property
    def numbers(self) -> tuple[float, float | None, int]:
        """Mean, deviation, n."""
        return self.mean, self.std, self.n

    def text(self) -> str:
        """`41.60 ± 0.25 (n = 3)`."""
        deviation = "" if self.std is None else f" ± {self.std:.2f}"
        return f"{self.mean:.2f}{deviation} (n = {self.n})"


def summarise(values: Sequence[float]) -> Summary:
    """Of at least one value."""
    return Summary(fmean(values), stdev(values) if len(values) > 1 else None, len(values))
