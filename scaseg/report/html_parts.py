"""The pieces of the page: tables that sort, charts, pictures as data in the text."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from scaseg.report.chart import Series, chart, colour
from scaseg.report.curves import series
from scaseg.report.figure import run_points
from scaseg.report.runs import Run
from scaseg.report.table import Table

STATES = {"done": "done", "running": "dim", "pending": "pending", "cut off": "cut", "failed": "failed"}  # CSS classes
WIDTH = 900  # of a picture, pixels
SHOWN = 24  # pictures at most: a page is to be sent around


def data_table(heads: Sequence[tuple[str, bool]], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """heads: text, and whether numbers are under it. Cells: markup, and attributes of the cell."""
    head = "".join(
        f"<th{' class=number' if numeric else ''}><button>{escape(text)}</button></th>" for text, numeric in heads
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{' ' + attributes if attributes else ''}>{text}</td>" for text, attributes in row)
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"


def html_table(table: Table) -> str:
    """A table of a report with its notes."""
    rows = [
        [
            (
                f"<b>{escape(cell.text)}</b>" if cell.bold else escape(cell.text),
                "class=number" if column.numeric else "",
            )
            for cell, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    heads = [(column.heading, column.numeric) for column in table.columns]
    return data_table(heads, rows) + (f"<ul class=notes>{notes}</ul>" if notes else "")


def charts(names: Sequence[str], groups: Sequence[Sequence[Run]]) -> str:
    """Loss and mIoU over the steps, a colour a configuration and a line a seed; mIoU over GFLOPs."""
    drawn: dict[str, list[Series]] = {"train/loss": [], "val/mIoU": []}
    for number, (name, group) in enumerate(zip(names, groups, strict=True)):
        for run in group:
            for column, lines in drawn.items():
                if (run.folder / "metrics.csv").is_file():
                    steps, values = series(run.folder / "metrics.csv", column)
                    lines.append(Series(f"{name}, seed {run.seed}", number, steps, values))
    points = []
    for number, (name, group) in enumerate(zip(names, groups, strict=True)):
        for point in run_points(group):
            spreads = [point.std] if point.std else []
            label = f"{name}: {point.miou:.2f} at {point.gflops:.3f} GFLOPs"
            points.append(Series(label, number, [point.gflops], [point.miou], False, spreads))
    pictures = [
        chart(drawn["val/mIoU"], "step", "validation mIoU, %"),
        chart(drawn["train/loss"], "step", "training loss", log_y=True),
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
