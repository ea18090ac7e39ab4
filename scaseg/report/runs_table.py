"""A table of any runs: a row for each configuration, a column for each config key in which they differ."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from scaseg.errors import UserError
from scaseg.report.measured import CHANGE, Figures, Measured, measured
from scaseg.report.runs import BOOKKEEPING, CHOICES, Run, by_seed, differing
from scaseg.report.samples import BESIDE
from scaseg.report.table import MISSING, Cell, Column, Table
from scaseg.report.table_notes import STATISTICS

# key -> keys that follow from it and say nothing new beside it
IMPLIED = {
    "backbone.name": ("backbone", "decoder.embed_channels"),
    "decoder.name": ("decoder",),
    "dataset.name": ("dataset", "augment", "protocol", "decoder.query_pool"),
    "lpm": ("decoder.lpm",),
}
# key -> what it is called in the sentence on what all runs have in common
ASKED = {
    "dataset.name": "dataset",
    "backbone.name": "backbone",
    "decoder.name": "decoder",
    "training.max_steps": "steps",
    "training.batch_size": "images a step",
    "training.lr": "learning rate",
}
SCASEG_ASKED = {"decoder.attn": "attention", "lpm": "lpm"}


def runs_table(
    runs: Sequence[Run], problems: Sequence[str] = (), baseline: str | None = None, groups: str | None = None
) -> Table:
    """Runs that differ only in the seed share a row. baseline: a row's number or its values; groups: see `measured`.

    Raises UserError for a baseline that is not there, and where two runs have one configuration and one seed.
    """
    names = columns_of(runs)
    labels, rows = configurations(runs)
    seeds = [by_seed(group, " ".join(label)) for group, label in zip(rows, labels, strict=True)]
    base = None if baseline is None else _base(labels, baseline)
    found, figures = _measured(seeds, base, groups)
    beside = [name for name in BESIDE if all(name in one.beside for one in found)]
    columns = [Column("row"), *(Column(name, False) for name in names), Column("params, M", names=("params",))]
    columns.append(Column("mIoU", names=("mIoU_mean", "mIoU_std", "mIoU_n"), kept=True))
    known = any(one.known for one in found)
    columns += [Column("95 %", names=("mIoU_low", "mIoU_high"))] * known
    columns += [Column(BESIDE[name], names=(f"mIoU_{name}",)) for name in beside]
    if base is not None:
        columns.append(Column("Δ baseline", names=CHANGE))
    table = Table("Runs", columns, above=alike(runs, names))
    best = max(one.summary.mean for one in figures) if len(found) == 1 and len(rows) > 1 else None
    for number, (group, label, one) in enumerate(zip(rows, labels, figures, strict=True)):
        params = group[0].params
        cells = [Cell(str(number + 1), numbers=(number + 1,)), *map(Cell, label)]
        cells += [MISSING if params is None else Cell(f"{params / 1e6:.3f}", numbers=(params,))]
        cells += [Cell(one.summary.text(), one.summary.mean == best, one.summary.numbers)]
        cells += [one.interval] * known
        cells += [Cell(f"{one.beside[name]:.2f}", numbers=(one.beside[name],)) for name in beside]
        if base is not None:
            cells += [Cell("baseline") if base == number else one.difference]
        table.rows.append(cells)
    table.notes = [STATISTICS, *(note for one in found if (note := one.note()))]
    table.notes += [f"Not used: {problem}." for problem in problems]
    return table


def _measured(
    seeds: Sequence[Mapping[int, Run]], base: int | None, groups: str | None
) -> tuple[list[Measured], list[Figures]]:
    """By dataset, as images of two are not the same; and of each row. base: the baseline's number, None: none."""
    datasets = [next(iter(row.values())).dataset for row in seeds]
    found: list[Measured] = []
    figures: dict[int, Figures] = {}
    for dataset in dict.fromkeys(datasets):
        mine = [i for i, name in enumerate(datasets) if name == dataset]
        bases = {i: mine.index(base) for i in range(len(mine))} if base in mine else {}
        found.append(measured(dataset, [seeds[i] for i in mine], bases, groups))
        figures |= dict(zip(mine, found[-1].rows, strict=True))
    return found, [figures[i] for i in range(len(seeds))]


def alike(runs: Sequence[Run], names: Sequence[str]) -> str:
    """What all runs have in common, of what people ask first, as a sentence; names: what is in columns."""
    shown = {**ASKED, **(SCASEG_ASKED if {run.decoder for run in runs} == {"scaseg"} else {})}
    values = {key: {_text(run.keys.get(key)) for run in runs} for key in shown if key not in names}
    parts = [f"{shown[key]} {value.pop()}" for key, value in values.items() if len(value) == 1]
    seeds = sorted({run.seed for run in runs})
    return f"All: {', '.join(parts)}; seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}."


def configurations(runs: Sequence[Run]) -> tuple[list[list[str]], list[list[Run]]]:
    """The table's rows: runs that differ in the seed alone, and for each row its values of `columns_of`."""
    names, hidden = columns_of(runs), _hidden(runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_configuration(run, hidden), []).append(run)
    rows = sorted(groups.values(), key=lambda group: [_sortable(group[0].keys.get(name)) for name in names])
    return [[_text(group[0].keys.get(name)) for name in names] for group in rows], rows


def columns_of(runs: Sequence[Run]) -> list[str]:
    """The config keys that tell the runs apart, without bookkeeping and those that follow from others."""
    names = differing(runs, _hidden(runs))
    implied = {name for key, roots in IMPLIED.items() if key in names for name in names if _under(name, roots, key)}
    implied |= {name for key in CHOICES if key in names for name in names if _of_choice(name, key, runs)}
    return [name for name in names if name not in implied] or [
        "dataset.name",
        "backbone.name",
        "decoder.name",
    ]


def _of_choice(name: str, key: str, runs: Sequence[Run]) -> bool:
    """Whether an option of a choice of this group says no more than that it was chosen: all that have it agree."""
    values = {json.dumps(run.keys[name], sort_keys=True) for run in runs if name in run.keys}
    return name.startswith(f"{key}.") and len(values) == 1


def _hidden(runs: Sequence[Run]) -> tuple[str, ...]:
    """Bookkeeping keys, unless two runs of one seed differ in them alone: nothing else would tell their rows apart."""
    apart = {(run.seed, _configuration(run, BOOKKEEPING)) for run in runs}
    return BOOKKEEPING if len(apart) == len(runs) else ()


def _configuration(run: Run, hidden: Sequence[str]) -> str:
    return json.dumps({key: run.keys[key] for key in run.keys if key not in ("seed", *hidden)}, sort_keys=True)


def _under(name: str, roots: Sequence[str], key: str) -> bool:
    return name != key and any(name == root or name.startswith(f"{root}.") for root in roots)


def _base(labels: Sequence[Sequence[str]], baseline: str) -> int:
    for number, label in enumerate(labels):
        if baseline in (str(number + 1), " ".join(label)):
            return number
    known = "; ".join(f"{number}: {' '.join(label)}" for number, label in enumerate(labels, 1))
    raise UserError(f"baseline={baseline}: no such row; the rows are {known}")


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | bool) or value is None else str(value)


def _sortable(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, _text(value))
