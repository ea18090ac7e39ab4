"""Loss and mIoU over the steps, one curve a run, from metrics.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path

from scaseg.errors import UserError


def draw(folders: Sequence[Path], file: Path) -> None:
    """Write the picture, its kind by the suffix; UserError where a run has no metrics."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    if file.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"curves={file}: the name must end in .png, .svg or .pdf")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for folder in folders:
        for axes, column in ((left, "train/loss"), (right, "val/mIoU")):
            steps, values = series(folder / "metrics.csv", column)
            axes.plot(steps, values, marker="o" if len(steps) < 30 else None, markersize=4, label=folder.name)
    left.set(xlabel="step", ylabel="training loss", yscale="log")
    right.set(xlabel="step", ylabel="validation mIoU, %", ylim=(0, 1.05 * right.get_ylim()[1]))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    right.legend(fontsize=7, loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def series(path: Path, column: str) -> tuple[list[int], list[float]]:
    """Steps and values of one column, rows without it left out."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; runs must name folders of runs")
    with path.open(newline="") as rows:
        pairs = [(int(row["step"]), float(row[column])) for row in csv.DictReader(rows) if row[column]]
    return [step for step, _ in pairs], [value for _, value in pairs]
