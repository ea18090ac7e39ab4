"""A table of any runs: a row for each configuration, a column for each config key in which they differ."""

import json
from collections.abc import Sequence
from typing import Any

from scaseg.errors import UserError
from scaseg.report.runs import BOOKKEEPING, Run, by_seed, differing
from scaseg.report.statistics import difference, summarise
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


def runs_table(runs: Sequence[Run], problems: Sequence[str] = (), baseline: str | None = None) -> Table:
    """Runs that differ only in the seed share a row. baseline: a row's number or its values.

    Raises UserError for a baseline that is not there, and where two runs have one configuration and one seed.
    """
    names = columns_of(runs)
    labels, rows = configurations(runs)
    values = [
        {seed: run.miou for seed, run in by_seed(group, " ".join(label)).items()}
        for group, label in zip(rows, labels, strict=True)
    ]
    base = None if baseline is None else _base(labels, baseline)
    columns = [Column("row"), *(Column(name, False) for name in names), Column("params, M", names=("params",))]
    columns.append(Column("mIoU", names=("mIoU_mean", "mIoU_std", "mIoU_n"), kept=True))
    if base is not None:
        columns.append(Column("Δ baseline", names=("difference", "difference_low", "difference_high")))
    table = Table("Runs", columns, above=alike(runs, names))
    datasets = {group[0].dataset for group in rows}
    means = [summarise(list(seeds.values())) for seeds in values]
    best = max((mean.mean for mean in means), default=None) if len(datasets) == 1 and len(rows) > 1 else None
    for number, (group, label, seeds, mean) in enumerate(zip(rows, labels, values, means, strict=True)):
        params = group[0].params
        cells = [Cell(str(number + 1), numbers=(number + 1,)), *map(Cell, label)]
        cells += [MISSING if params is None else Cell(f"{params / 1e6:.3f}", numbers=(params,))]
        cells += [Cell(mean.text(), mean.mean == best, mean.numbers)]
        if base is not None:
            found = difference(seeds, values[base])
            cells += [Cell("baseline") if base == number else Cell(found.text(), numbers=found.numbers)]
        table.rows.append(cells)
    table.notes = [STATISTICS]
    table.notes += [f"Not used: {problem}." for problem in problems]
    return table


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
    return [name for name in names if name not in implied] or [
        "dataset.name",
        "backbone.name",
        "decoder.name",
    ]


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
