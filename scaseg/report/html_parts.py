"""What a page of runs consists of: a report's tables, charts, pictures as data in the text."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from scaseg.pages import data_table, unbroken
from scaseg.report.chart import Series, chart, colour
from scaseg.report.curves import series
from scaseg.report.figure import run_points
from scaseg.report.runs import Run
from scaseg.report.table import Table

STATES = {"done": "done", "running": "dim", "pending": "pending", "cut off": "cut", "failed": "failed"}  # CSS classes
WIDTH = 900  # of a picture, pixels
SHOWN = 24  # pictures at most: a page is to be sent around


def html_table(table: Table) -> str:
    """A table of a report with its notes."""
    classes = [" ".join(["number"] * column.numeric + ["kept"] * column.kept) for column in table.columns]
    rows = [
        [
            (f"<b>{unbroken(cell.text)}</b>" if cell.bold else unbroken(cell.text), f'class="{kind}"' if kind else "")
            for cell, kind in zip(row, classes, strict=True)
        ]
        for row in table.rows
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    heads = [(column.heading, kind) for column, kind in zip(table.columns, classes, strict=True)]
    above = f"<p class=dim>{escape(table.above)}</p>" if table.above else ""
    return above + data_table(heads, rows) + (f"<ul class=notes>{notes}</ul>" if notes else "")


def charts(names: Sequence[str], groups: Sequence[Sequence[Run]]) -> str:
    """Loss and mIoU over the steps, a colour a configuration and a line a seed; mIoU over GFLOPs."""
    drawn: dict[str, list[Series]] = {"train/loss": [], "val/mIoU": []}
    for number, (name, group) in enumerate(zip(names, groups, strict=True)):
        for run in group:
            for column, lines in drawn.items():
                steps, values = series(run.folder / "metrics.csv", column)
                lines.append(Series(f"{name}, seed {run.seed}", number, steps, values))
    points = []
    for number, (name, group) in enumerate(zip(names, groups, strict=True)):
        for point in run_points(group):
            spreads = [point.std] if point.std else []
            label = f"{name}: {point.miou:.2f} at {point.gflops:.3f} GFLOPs"
            points.append(Series(label, number, [point.gflops], [point.miou], False, spreads))
    pictures = [
        chart(drawn["val/mIoU"], "step", "validation mIoU, %", steps=True),
        chart(drawn["train/loss"], "step", "training loss", log_y=True, steps=True),
        chart(points, "GFLOPs (multiply-adds, the paper's counter)", "mIoU, %"),
    ]
    legend = "".join(
        f'<span><i style="background:{colour(i)}"></i>{escape(name)}</span>' for i, name in enumerate(names)
    )
    figures = "".join(f"<figure>{picture}</figure>" for picture in pictures if picture)
    return f"<div class=legend>{legend}</div><div class=charts>{figures}</div>"


def pictures(names: Sequence[str], groups: Sequence[Sequence[Run]]) -> str:
    """The last sheet of one run of each configuration."""
    figures = []
    for name, group in list(zip(names, groups, strict=True))[:SHOWN]:
        for run in group:
            if sheets := sorted((run.folder / "pictures").glob("step_*.png")):
                text = escape(f"{name}, seed {run.seed}, {sheets[-1].stem.replace('_', ' ')}: mIoU {run.miou:.2f}")
                source = _inline(sheets[-1])
                figures.append(
                    f'<figure><img loading="lazy" alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>'
                )
                break
    left = f"<p class=dim>{len(groups) - SHOWN} more configurations are not shown.</p>" if len(groups) > SHOWN else ""
    return f"<div class=pictures>{''.join(figures)}</div>{left}" if figures else "<p class=dim>none were written</p>"


def _inline(path: object) -> str:
    with Image.open(str(path)) as opened:
        image = opened.convert("RGB")
    image.thumbnail((WIDTH, 10 * WIDTH))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
