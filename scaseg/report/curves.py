"""Loss and mIoU over the steps, one curve a run, from metrics.csv."""

import csv
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg.errors import UserError
from scaseg.files import output_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = (".png", ".svg", ".pdf")
COLUMNS = ("train/loss", "val/mIoU")
LEGEND = 130  # characters of a row of the legend


def draw(folders: Sequence[Path], file: Path) -> None:
    """Write the picture, its kind by the suffix. Raises UserError where no run has logged a step."""
    check_kind("curves", file)
    curves = {folder: [series(folder / "metrics.csv", column) for column in COLUMNS] for folder in folders}
    begun = {folder: both for folder, both in curves.items() if any(steps for steps, _ in both)}
    if not begun:
        raise UserError(f"curves={file}: none of the {len(folders)} runs has logged a step yet")
    for folder in curves.keys() - begun.keys():
        print(f"not drawn: {folder} has logged no step yet", file=sys.stderr)
    unique = len({folder.name for folder in begun}) == len(begun)
    figure = drawn({folder.name if unique else str(folder): both for folder, both in begun.items()})
    save("curves", figure, file, 120)


def drawn(curves: dict[str, list[tuple[list[int], list[float]]]]) -> "Figure":
    """The picture of each run's loss and mIoU, (steps, values) each, by the runs' names."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    labels, common = short_names(list(curves))
    columns = max(1, min(len(labels), LEGEND // (max(map(len, labels)) + 8)))
    rows = -(-len(labels) // columns)
    figure = Figure(figsize=(10, 4 + 0.2 * rows), layout="constrained")
    axes = figure.subplots(1, 2)
    last = max(max(steps, default=0) for both in curves.values() for steps, _ in both)
    for number, (label, both) in enumerate(zip(labels, curves.values(), strict=True)):
        for one, (steps, values) in zip(axes, both, strict=True):
            style = {"color": f"C{number % 10}", "linestyle": ("-", "--", ":", "-.")[number // 10 % 4]}
            mark = "o" if len(steps) < 30 else None
            one.plot(steps, values, marker=mark, markersize=4, label=label, **style)
    for one, what in zip(axes, ("training loss", "validation mIoU, %"), strict=True):
        one.set(xlabel="step", ylabel=what, xlim=(0, 1.03 * last))
        one.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        one.grid(alpha=0.3)
        if not any(len(line.get_xdata()) for line in one.lines):
            one.text(0.5, 0.5, f"no {what.split(',')[0]} yet", transform=one.transAxes, ha="center", color="grey")
            one.set_yticks([])
        elif one is axes[0]:
            one.set_yscale("log")
            for axis_format in (one.yaxis.set_major_formatter, one.yaxis.set_minor_formatter):
                axis_format(StrMethodFormatter("{x:.4g}"))
        else:
            one.set_ylim(0, 1.05 * max(1.0, one.get_ylim()[1]))
    figure.legend(handles=axes[0].lines, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    if common:
        figure.suptitle(common, fontsize=9)
    return figure


def short_names(names: Sequence[str]) -> tuple[list[str], str]:
    """The names without the parts between hyphens that all begin with, and these; at least one part is left."""
    parts = [name.split("-") for name in names]
    most = min(map(len, parts)) - 1 if len(parts) > 1 else 0
    alike = list(takewhile(lambda column: len(set(column)) == 1, zip(*(part[:most] for part in parts), strict=True)))
    common = "-".join(column[0] for column in alike)
    return ["-".join(part[len(alike) :]) for part in parts], common


def series(path: Path, column: str) -> tuple[list[int], list[float]]:
    """Steps and values of one column, rows without it left out; nothing where the run has not begun to log."""
    if not path.is_file():
        return [], []
    with path.open(newline="", encoding="utf-8") as rows:
        pairs = [(int(row["step"]), float(row[column])) for row in csv.DictReader(rows) if row.get(column)]
    return [step for step, _ in pairs], [value for _, value in pairs]


def check_kind(option: str, file: Path) -> None:
    """UserError for a picture's name whose suffix says no kind that can be written."""
    if file.suffix.lower() not in KINDS:
        raise UserError(f"{option}={file}: the name must end in {', '.join(KINDS)}")


def save(option: str, figure: "Figure", file: Path, dpi: int) -> None:
    """Write a picture whole or not at all; UserError where the place cannot be written to."""
    with output_file(option, file) as beside:
        figure.savefig(beside, dpi=dpi)
