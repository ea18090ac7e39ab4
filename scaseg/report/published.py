"""The paper's figures, as printed."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from scaseg.typed import Plain


@dataclass(frozen=True)
class Row:
    """One row of one of the paper's tables; mIoU in percent, GFLOPs and mIoU by dataset.

    overrides: config keys that make this row here, None for a method that is not part of this framework.
    counted_as: with how many classes the paper's `params` and 512 x 512 `gflops` come out.
    notes: column (`params`, `gflops`, `cityscapes`) -> why our count differs by more than the printed digits allow.
    """

    table: int
    row: int
    method: str
    backbone: str
    year: int | None = None
    variant: str | None = None
    params_m: float | None = None
    gflops: dict[str, float] = field(default_factory=dict)
    miou: dict[str, float] = field(default_factory=dict)
    fps: float | None = None
    overrides: Plain | None = None
    counted_as: dict[str, int] | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """A row of the paper's own method or ablations."""
        return self.table >= 5 or self.method.startswith("SCASeg")


@cache
def published() -> tuple[Row, ...]:
    """Every row of Tables I-VIII."""
    text = Path(__file__).with_name("published.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(Row(**entry) for entry in yaml.load(text, loader))


def rows_of(table: int, ours: bool = True) -> list[Row]:
    """The rows of one table; `ours` leaves out other people's methods in Tables I-IV."""
    return [row for row in published() if row.table == table and (row.ours or not ours)]
