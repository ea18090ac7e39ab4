"""The pieces of a page: the document, tables that sort, charts, pictures as data in the text."""

import base64
import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from scaseg.report.chart import Series, chart, colour
from scaseg.report.curves import series
from scaseg.report.figure import run_points
from scaseg.report.runs import Run
from scaseg.report.table import Table

STATES = {"done": "done", "running": "dim", "pending": "pending", "cut off": "cut", "failed": "failed"}  # CSS classes
WIDTH = 900  # of a picture, pixels
SHOWN = 24  # pictures at most: a page is to be sent around


def document(title: str, body: str) -> str:
    """A page complete in itself but for the pictures that the body names: style and script are in it."""
    here = Path(__file__).with_name("page")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("style.css", "sort.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n<body>\n'
        f"{body}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def breakable(name: str) -> str:
    """Markup of a long name that breaks after its hyphens and slashes, and within its parts only if it must."""
    return re.sub(r"([-/])", r"\1<wbr>", escape(name))


def data_table(heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """heads: text and classes, `number` over numbers, `kept` of a column that a narrow page keeps in sight.

    Cells: markup, and attributes of the cell.
    """
    head = "".join(f'<th class="{classes}"><button>{escape(text)}</button></th>' for text, classes in heads)
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{' ' + attributes if attributes else ''}>{text}</td>" for text, attributes in row)
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"


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


def unbroken(text: str) -> str:
    """Markup of a cell's text; what belongs together, as (n = 3), stays on one line."""
    return re.sub(r"(?<=[±=,]) | (?==)", "\u00a0", escape(text))


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
