"""The paper's figures, and since.csv's of what people compare with since, as printed."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from scaseg.typed import Plain

SINCE = 2026  # the number of the table of other papers' figures
DATASETS = ("ade20k", "cityscapes", "coco_stuff164k")
# Why counts differ, where one reason has several rows; the first word names it in since.csv.
REASONS = {
    "modules": "printed by a counter of hooks on modules, which sees no product of attention: see modules alone",
    "small": "SegMAN-S and -B, counted alike, meet theirs; what else the figure of T counts is not said",
    "pooled": "the public code halves the map by max pooling before the classifier, which the paper does not say",
}


@dataclass(frozen=True)
class Row:
    """One row of one of the paper's tables; mIoU in percent, GFLOPs and mIoU by dataset.

    overrides: config keys that make this row here, None for a method that is not part of this framework.
    counted_as: with how many classes the paper's `params` and 512 x 512 `gflops` come out.
    notes: column (`params`, `gflops`, `cityscapes`) -> why our count differs by more than the printed digits allow.
    source: where another paper's figures stand.
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
    source: str = ""

    @property
    def ours(self) -> bool:
        """A row of the paper's own method or ablations."""
        return 5 <= self.table <= 8 or self.method.startswith("SCASeg")


@cache
def published() -> tuple[Row, ...]:
    """Every row of Tables I-VIII."""
    text = Path(__file__).with_name("published.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(Row(**entry) for entry in yaml.load(text, loader))


@cache
def since() -> tuple[Row, ...]:
    """Every row of since.csv."""
    with Path(__file__).with_name("since.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_since(number, entry) for number, entry in enumerate(csv.DictReader(file), 1))


def rows_of(table: int, ours: bool = True) -> list[Row]:
    """The rows of one table; `ours` leaves out other people's methods in Tables I-IV."""
    if table == SINCE:
        return list(since())
    return [row for row in published() if row.table == table and (row.ours or not ours)]


def _since(number: int, entry: Mapping[str, str]) -> Row:
    def figures(kind: str) -> dict[str, float]:
        return {name: float(entry[key]) for name in DATASETS if entry.get(key := f"{kind}_{name}")}

    given = (option.split("=", 1) for option in entry["overrides"].split())
    made = {key: yaml.safe_load(value) for key, value in given}
    notes = {key: REASONS.get(why, why) for key in ("params", "gflops", "cityscapes") if (why := entry[f"note_{key}"])}
    return Row(
        table=SINCE,
        row=number,
        method=entry["method"],
        backbone=entry["backbone"],
        year=int(entry["year"]),
        params_m=float(entry["params_m"]) if entry["params_m"] else None,
        gflops=figures("gflops"),
        miou=figures("miou"),
        overrides=made or None,
        counted_as={"params": 150, "gflops": 150} if made else None,
        notes=notes,
        source=f"{entry['source']}, {entry['table']}: {entry['place']}",
    )
