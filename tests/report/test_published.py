"""The printed figures, and every SCASeg cell of Tables I-VIII held to our count."""

import csv
import math
from pathlib import Path

import pytest

from scaseg.report.own_counts import count_row, missing_part
from scaseg.report.published import Row, published, rows_of

CELLS = [row for row in published() if row.ours and row.overrides]
OTHERS = [row for row in published() if row.table <= 4 and not row.ours and row.overrides]
QUICK = ("mit_b0", "mscan_t")  # encoders that are counted in no time


@pytest.mark.parametrize("row", CELLS, ids=[f"table{row.table}-row{row.row}" for row in CELLS])
def test_every_cell_is_met_or_explained(row: Row) -> None:
    assert missing_part(row) is None
    counted = count_row(row)
    assert row.params_m is not None
    params_met = abs(counted.published_m - row.params_m) <= 0.1
    gflops_met = all(abs(counted.gflops[name] / printed - 1) <= 0.015 for name, printed in row.gflops.items())
    assert params_met is ("params" not in row.notes), counted
    assert gflops_met is ("gflops" not in row.notes), counted


def met(count: float, printed: float, whole: bool = False) -> bool:
    """Whether the count gives the printed figure by rounding or by cutting, to one decimal or, if allowed, to none."""
    to_one = printed in (round(count, 1), math.floor(count * 10 + 1e-9) / 10)
    return to_one or (whole and printed in (round(count), math.floor(count)))


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            row,
            id=f"table{row.table}-row{row.row}",
            marks=[] if row.table == 4 and row.overrides["backbone"] in QUICK else [pytest.mark.slow],  # type: ignore[index]
        )
        for row in OTHERS
    ],
)
def test_other_decoders_give_the_printed_digits_or_say_why_not(row: Row) -> None:
    assert missing_part(row) is None
    counted = count_row(row)
    assert row.params_m is not None
    unmet = set() if met(counted.published_m, row.params_m) else {"params"}
    for dataset, printed in row.gflops.items():
        city = dataset == "cityscapes"
        if not met(counted.gflops[dataset], printed, whole=city):
            unmet.add("cityscapes" if city else "gflops")
    assert unmet == set(row.notes), counted


def test_what_is_explained_is_what_was_expected() -> None:
    explained = {(row.table, row.row): set(row.notes) for row in published() if row.notes and row.table > 4}
    both = {"params", "gflops"}
    counted = {"gflops"}
    assert explained == {
        (5, 2): both,
        (5, 7): counted,
        (5, 8): both,
        (5, 10): counted,
        (7, 2): counted,
        (7, 4): counted,
    }


def test_every_table_and_row_is_there() -> None:
    numbers = [len(rows_of(table, ours=False)) for table in range(1, 9)]
    assert numbers == [33, 33, 30, 36, 12, 10, 4, 8]
    assert [len(rows_of(table)) for table in range(1, 9)] == [3, 3, 4, 6, 12, 10, 4, 8]
    for table in range(1, 9):
        assert [row.row for row in rows_of(table, ours=False)] == list(range(1, numbers[table - 1] + 1))


@pytest.mark.parametrize("table", range(1, 9))
def test_figures_are_those_of_the_paper(table: int, shared: Path) -> None:
    with (shared / "paper" / f"table{table}.csv").open(newline="") as file:
        entries = list(csv.DictReader(file))
    for row, entry in zip(rows_of(table, ours=False), entries, strict=True):
        printed = [value for key, value in entry.items() if value and key.endswith(("_m", "gflops", "miou", "fps"))]
        ours = [row.params_m, *row.gflops.values(), *row.miou.values(), row.fps]
        assert sorted(map(float, printed)) == sorted(value for value in ours if value is not None)
        assert row.backbone == entry["backbone"]
        assert row.method == entry.get("method", "SCASeg (Ours)")
