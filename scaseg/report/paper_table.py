"""The paper's tables with our counts and our runs beside the printed figures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from scaseg.errors import UserError
from scaseg.report.measured import CHANGE, Figures, Measured, measured
from scaseg.report.published import SINCE
from scaseg.report.runs import Run
from scaseg.report.table import MISSING, Cell, Column, Table
from scaseg.report.table_notes import behind, conventions, explanations, remarks
from scaseg.report.table_rows import Line, groups_of, lines_of

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
SUBJECTS = {
    1: "light encoders",
    2: "middle encoders",
    3: "large encoders",
    4: "decoders compared",
    5: "attention and local perception module",
    6: "channel attention of the local perception module",
    7: "query and key channels",
    8: "stages with a cross-layer block",
    SINCE: "what people compare with since",
}
VARIANT = {5: "variant", 6: "channel attention", 7: "Q/K channels", 8: "CLB stages"}
NAMES = {"ade20k": "ADE20K", "cityscapes": "Cityscapes", "coco_stuff164k": "COCO-Stuff", "voc": "VOC 2012"}

Maker = Callable[[Line], Cell]
Columns = list[tuple[Column, Maker]]
Value = Callable[[Line], float | None]


def paper_table(
    number: int,
    runs: Sequence[Run] = (),
    problems: Sequence[str] = (),
    baseline: str | None = None,
    ours: bool = True,
    pattern: str | None = None,
) -> Table:
    """Table `number` (1 to 8, or 2026); `ours` leaves other people's methods out of Tables I-IV.

    baseline: a row's number or its variant, for the difference column; pattern: see `measured`. Raises UserError for a
    baseline that is not in the table, and where two runs claim one cell.
    """
    lines = lines_of(number, runs, ours)
    groups = groups_of(lines, number in VARIANT or not ours)
    bases = None if baseline is None else _bases(groups, baseline)
    found = _found(lines, bases, pattern)
    columns = _labels(number, ours) + _counts(lines) + _measured(lines, groups, found, bases)
    since = behind(lines, NAMES) if number == SINCE else []
    notes = [*since, *conventions(number), *explanations(lines), *remarks(number, lines, runs, problems)]
    return Table(
        f"Table {number if number == SINCE else ROMAN[number - 1]}: {SUBJECTS[number]}",
        [column for column, _ in columns],
        [[make(line) for _, make in columns] for line in lines],
        {lines.index(group[0]) for group in groups},
        notes + [note for one, _ in found.values() if (note := one.note())],
    )


def _labels(number: int, ours: bool) -> Columns:
    columns: Columns = [(Column("row"), partial(_number, lambda line: line.row.row or None, 0))]
    if number == SINCE:
        columns.append((Column("source", False), lambda line: Cell(line.row.source)))
    if number == SINCE or (number <= 4 and not ours):
        columns.append((Column("method", False), lambda line: Cell(line.row.method)))
    columns.append((Column("backbone", False), lambda line: Cell(line.row.backbone)))
    if number in VARIANT:
        columns.append((Column(VARIANT[number], False), lambda line: Cell(line.row.variant or "")))
    return columns


def _counts(lines: Sequence[Line]) -> Columns:
    def built(line: Line) -> float | None:
        return line.counted.params_m if line.counted else None

    def published(line: Line) -> float | None:
        return line.counted.published_m if line.counted else None

    def paper(line: Line) -> float | None:
        return line.row.params_m

    def classes(line: Line) -> Cell:
        counted = line.row.counted_as
        if not (counted and line.counted):
            return MISSING
        return Cell(f"{counted['params']}, {counted['gflops']}", numbers=(counted["params"], counted["gflops"]))

    def named(heading: str, name: str) -> Column:
        return Column(heading, names=(name,))

    columns: Columns = [
        (named("params, M: model", "params_M"), partial(_number, built, 3)),
        (named("as published", "params_M_as_published"), partial(_number, published, 3)),
        (named("paper", "params_M_paper"), partial(_number, paper, 1)),
        (named("Δ", "params_M_difference"), lambda line: _change(published(line), line.row.params_m)),
    ]
    for datasets in _counted_alike(lines):
        name, short = ", ".join(NAMES.get(dataset, dataset) for dataset in datasets), "+".join(datasets)
        columns += [
            (named(f"GFLOPs, {name}", f"GFLOPs_{short}"), partial(_number, partial(_gflops, datasets[0]), 3)),
            (named("paper", f"GFLOPs_{short}_paper"), partial(_number, partial(_printed_gflops, datasets[0]), 1)),
            (named("Δ %", f"GFLOPs_{short}_difference_percent"), partial(_gflops_change, datasets[0])),
        ]
    if any(line.row.table == SINCE for line in lines):
        columns.append((named("modules alone", "GFLOPs_modules"), partial(_number, _modules, 3)))
    columns.append((Column("classes", names=("classes_params", "classes_GFLOPs")), classes))
    if any(line.row.fps for line in lines):
        columns.append((named("FPS, paper", "FPS_paper"), partial(_number, lambda line: line.row.fps, 2)))
    return columns


def _counted_alike(lines: Sequence[Line]) -> list[list[str]]:
    """The datasets of the GFLOPs columns; Table IV prints one count for both of its datasets."""
    datasets = list(dict.fromkeys(dataset for line in lines for dataset in line.row.gflops))
    alike: list[list[str]] = []
    for dataset in datasets:
        columns = [[_printed_gflops(name, line) for line in lines] for name in (dataset, *(a[0] for a in alike))]
        if columns[0] in columns[1:]:
            alike[columns[1:].index(columns[0])].append(dataset)
        else:
            alike.append([dataset])
    return alike


def _found(
    lines: Sequence[Line], bases: Mapping[int, Line] | None, pattern: str | None
) -> dict[str, tuple[Measured, dict[int, Figures]]]:
    """By dataset: of the lines that have runs on it, and of each by its id."""
    found = {}
    for dataset in dict.fromkeys(dataset for line in lines for dataset in line.runs):
        mine = [line for line in lines if line.runs.get(dataset)]
        places = {id(line): i for i, line in enumerate(mine)}
        near = {i: places.get(id((bases or {}).get(id(line)))) for i, line in enumerate(mine)}
        known = {i: base for i, base in near.items() if base is not None}
        rows = measured(dataset, [line.runs[dataset] for line in mine], known, pattern)
        found[dataset] = rows, dict(zip(places, rows.rows, strict=True))
    return found


def _measured(
    lines: Sequence[Line],
    groups: Sequence[Sequence[Line]],
    found: Mapping[str, tuple[Measured, Mapping[int, Figures]]],
    bases: Mapping[int, Line] | None,
) -> Columns:
    printed = list(dict.fromkeys(dataset for line in lines for dataset in line.row.miou))
    measured = list(found)
    columns: Columns = []
    for dataset in dict.fromkeys([*printed, *measured]):
        name, short = f"mIoU, {NAMES.get(dataset, dataset)}", f"mIoU_{dataset}"
        if dataset in printed:
            best = _best(groups, partial(_printed_miou, dataset))
            columns.append((Column(f"{name}: paper", names=(f"{short}_paper",)), partial(_published, dataset, best)))
        if dataset in measured or not measured:
            figures = found[dataset][1] if dataset in measured else {}
            best = _best(groups, partial(_mean, figures))
            names = tuple(f"{short}_{part}" for part in ("mean", "std", "n"))
            kept = len(measured) == 1  # of several only one could stay in sight
            columns.append((Column(f"{name}: ours", names=names, kept=kept), partial(_ours, figures, best)))
        if dataset in measured and found[dataset][0].known:
            names = (f"{short}_low", f"{short}_high")
            columns.append((Column("95 %", names=names), partial(_interval, figures)))
        if dataset in measured and bases is not None:
            names = tuple(f"{short}_{part}" for part in CHANGE)
            columns.append((Column("Δ baseline", names=names), partial(_against, figures, bases)))
    return columns


def _bases(groups: Sequence[Sequence[Line]], baseline: str) -> dict[int, Line]:
    """Line -> its baseline: the named row, for other groups their row of the same variant, if they have one."""
    lines = [line for group in groups for line in group]
    named = next((line for line in lines if str(line.row.row) == baseline and line.row.row), None)
    name = baseline_name((named.row.variant or named.row.method) if named else baseline)
    bases: dict[int, Line] = {}
    for group in groups:
        alike = [line for line in group if baseline_name(line.row.variant or line.row.method) == name]
        if named in group:
            alike = [named] if named else []
        if alike:
            bases |= {id(line): alike[0] for line in group}
    if not bases:
        known = ", ".join(f"{line.row.row} ({line.row.variant or line.row.backbone})" for line in lines)
        raise UserError(f"baseline={baseline}: no such row; the rows are {known}")
    return bases


def baseline_name(label: str) -> str:
    """`+ SCA + LPM` and `sca+lpm` name the same row."""
    return "".join(label.lower().split()).removeprefix("+")


def _published(dataset: str, best: set[int], line: Line) -> Cell:
    value = _printed_miou(dataset, line)
    digits = 2 if 4 <= line.row.table <= 8 else 1
    return MISSING if value is None else Cell(f"{value:.{digits}f}", id(line) in best, (value,))


def _ours(figures: Mapping[int, Figures], best: set[int], line: Line) -> Cell:
    if id(line) not in figures:
        return Cell(line.missing or "not run")
    summary = figures[id(line)].summary
    return Cell(summary.text(), id(line) in best, summary.numbers)


def _interval(figures: Mapping[int, Figures], line: Line) -> Cell:
    return figures[id(line)].interval if id(line) in figures else MISSING


def _against(figures: Mapping[int, Figures], bases: Mapping[int, Line], line: Line) -> Cell:
    if id(line) not in figures:
        return MISSING
    return Cell("baseline") if bases.get(id(line)) is line else figures[id(line)].difference


def _best(groups: Iterable[Sequence[Line]], value: Value) -> set[int]:
    best: set[int] = set()
    for group in groups:
        values = {id(line): found for line in group if (found := value(line)) is not None}
        if len(values) > 1:
            best |= {line for line, found in values.items() if found == max(values.values())}
    return best


def _mean(figures: Mapping[int, Figures], line: Line) -> float | None:
    return figures[id(line)].summary.mean if id(line) in figures else None


def _printed_miou(dataset: str, line: Line) -> float | None:
    return line.row.miou.get(dataset)


def _printed_gflops(dataset: str, line: Line) -> float | None:
    return line.row.gflops.get(dataset)


def _gflops(dataset: str, line: Line) -> float | None:
    return line.counted.gflops.get(dataset) if line.counted else None


def _modules(line: Line) -> float | None:
    return line.counted.modules or None if line.counted else None


def _gflops_change(dataset: str, line: Line) -> Cell:
    ours, paper = _gflops(dataset, line), _printed_gflops(dataset, line)
    return _signed(None if ours is None or paper is None else 100 * (ours / paper - 1), 2)


def _change(ours: float | None, paper: float | None) -> Cell:
    return _signed(None if ours is None or paper is None else ours - paper, 3)


def _signed(value: float | None, digits: int) -> Cell:
    return MISSING if value is None else Cell(f"{value:+.{digits}f}", numbers=(value,))


def _number(value: Value, digits: int, line: Line) -> Cell:
    found = value(line)
    return MISSING if found is None else Cell(f"{found:.{digits}f}", numbers=(found,))
