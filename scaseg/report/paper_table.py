"""The paper's tables with our counts and our runs beside the printed figures."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from scaseg.errors import UserError
from scaseg.report.runs import Run
from scaseg.report.statistics import difference, summarise
from scaseg.report.table import MISSING, Cell, Column, Table
from scaseg.report.table_notes import conventions, explanations, remarks
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
) -> Table:
    """Table `number` (1 to 8); `ours` leaves other people's methods out of Tables I-IV.

    baseline: a row's number or its variant, for the difference column. Raises UserError for a baseline that
    is not in the table, and where two runs claim one cell.
    """
    lines = lines_of(number, runs, ours)
    groups = groups_of(lines, number >= 5 or not ours)
    columns = _labels(number, ours) + _counts(lines) + _measured(lines, groups, baseline)
    return Table(
        f"Table {ROMAN[number - 1]}: {SUBJECTS[number]}",
        [column for column, _ in columns],
        [[make(line) for _, make in columns] for line in lines],
        {lines.index(group[0]) for group in groups},
        [*conventions(number), *explanations(lines), *remarks(number, lines, runs, problems)],
    )


def _labels(number: int, ours: bool) -> Columns:
    columns: Columns = [(Column("row"), partial(_number, lambda line: line.row.row or None, 0))]
    if number <= 4 and not ours:
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


def _measured(lines: Sequence[Line], groups: Sequence[Sequence[Line]], baseline: str | None) -> Columns:
    printed = list(dict.fromkeys(dataset for line in lines for dataset in line.row.miou))
    measured = list(dict.fromkeys(dataset for line in lines for dataset in line.runs))
    bases = None if baseline is None else _bases(groups, baseline)
    columns: Columns = []
    for dataset in dict.fromkeys([*printed, *measured]):
        name, short = f"mIoU, {NAMES.get(dataset, dataset)}", f"mIoU_{dataset}"
        if dataset in printed:
            best = _best(groups, partial(_printed_miou, dataset))
            columns.append((Column(f"{name}: paper", names=(f"{short}_paper",)), partial(_published, dataset, best)))
        if dataset in measured or not measured:
            best = _best(groups, partial(_mean, dataset))
            names = tuple(f"{short}_{part}" for part in ("mean", "std", "n"))
            kept = len(measured) == 1  # of several only one could stay in sight
            columns.append((Column(f"{name}: ours", names=names, kept=kept), partial(_ours, dataset, best)))
        if dataset in measured and bases is not None:
            names = tuple(f"{short}_difference{part}" for part in ("", "_low", "_high"))
            columns.append((Column("Δ baseline", names=names), partial(_against, dataset, bases)))
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
    digits = 2 if line.row.table >= 4 else 1
    return MISSING if value is None else Cell(f"{value:.{digits}f}", id(line) in best, (value,))


def _ours(dataset: str, best: set[int], line: Line) -> Cell:
    if not (values := line.values(dataset)):
        return Cell(line.missing or "not run")
    summary = summarise(list(values.values()))
    return Cell(summary.text(), id(line) in best, summary.numbers)


def _against(dataset: str, bases: dict[int, Line], line: Line) -> Cell:
    base = bases.get(id(line))
    if base is None or not line.values(dataset) or not base.values(dataset):
        return MISSING
    if base is line:
        return Cell("baseline")
    found = difference(line.values(dataset), base.values(dataset))
    return Cell(found.text(), numbers=found.numbers)


def _best(groups: Iterable[Sequence[Line]], value: Value) -> set[int]:
    best: set[int] = set()
    for group in groups:
        values = {id(line): found for line in group if (found := value(line)) is not None}
        if len(values) > 1:
            best |= {line for line, found in values.items() if found == max(values.values())}
    return best


def _mean(dataset: str, line: Line) -> float | None:
    values = line.values(dataset)
    return summarise(list(values.values())).mean if values else None


def _printed_miou(dataset: str, line: Line) -> float | None:
    return line.row.miou.get(dataset)


def _printed_gflops(dataset: str, line: Line) -> float | None:
    return line.row.gflops.get(dataset)


def _gflops(dataset: str, line: Line) -> float | None:
    return line.counted.gflops.get(dataset) if line.counted else None


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
