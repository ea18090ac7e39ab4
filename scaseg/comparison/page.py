"""A comparison as text for the terminal and as one HTML page beside its pictures."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.better { color: #0a6b2d; font-weight: 600 } .worse { color: #a32020; font-weight: 600 }
small { color: #666 } img { max-width: 100%; display: block; margin: .5rem 0 1.5rem }
"""


def file_name(image: str) -> str:
    """Of an image's picture; names of some datasets hold folders."""
    return re.sub(r"[^\w.-]", "_", image) + ".png"


def rows(result: Mapping[str, Any], kind: str) -> list[list[str]]:
    """A row a measure: its name, every model's value, and the difference of each from the first, with its interval."""
    first, *others = result["models"]
    table = []
    for name, entry in result[kind].items():
        row = [name]
        for letter in result["models"]:
            one = entry["models"][letter]
            seeds = "" if one["std_over_seeds"] is None else f" ± {one['std_over_seeds']:.2f}"
            row.append(_number(one["value"]) + seeds)
        for letter in others:
            change = entry["differences"][f"{letter} - {first}"]
            row.append(
                f"{_number(change['value'], '+')} [{_number(change['low'], '+')}, {_number(change['high'], '+')}]"
            )
        table.append(row)
    return table


def headings(result: Mapping[str, Any]) -> list[str]:
    """Of the columns of `rows`."""
    first, *others = result["models"]
    return [
        "percent",
        *(f"{letter}: {model['label']}" for letter, model in result["models"].items()),
        *(f"{letter} - {first}" for letter in others),
    ]


def text(result: Mapping[str, Any]) -> str:
    """Aligned tables for a terminal."""
    parts = []
    for kind in ("measures", "per_class_iou"):
        table = [headings(result), *rows(result, kind)]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = [
            "  ".join(cell.ljust(widths[i]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(row)).rstrip()
            for row in table
        ]
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, note(result)])


def note(result: Mapping[str, Any]) -> str:
    """What the intervals are."""
    settings = result["settings"]
    several = any(len(model["seeds"]) > 1 for model in result["models"].values())
    seeds = (
        " ± is the standard deviation over seeds; the intervals are of the mean over these very seeds and leave"
        " out what other seeds would give."
        if several
        else " One run each: the intervals leave out what other seeds would give."
    )
    return (
        f"{result['dataset']} {result['split']}, {result['images']} images. [ ]: {100 * settings['level']:g} % interval"
        f" from {settings['resamples']} resamples of the images, the same for all models; as if the images were"
        f" independent, which frames of one video are not.{seeds}"
    )


def page(result: Mapping[str, Any], shown: Sequence[str]) -> str:
    """HTML; pictures are expected beside it under `file_name`."""
    title = f"{result['dataset']} {result['split']}: {' / '.join(m['label'] for m in result['models'].values())}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(note(result))}</p>"]
    for kind, heading in (("measures", "Measures"), ("per_class_iou", "IoU of each class")):
        parts += [f"<h2>{heading}</h2>", _table(result, kind)]
    if shown:
        parts.append("<h2>Images on which they differ most</h2>")
        for item in result["most_different"]:
            values = ", ".join(f"{letter} {_number(value)}" for letter, value in item["mIoU"].items())
            name = escape(item["image"])
            parts.append(
                f'<h3>{name} <small>mIoU {values}</small></h3><img src="{file_name(item["image"])}" alt="{name}">'
            )
    rows_of_runs = "".join(
        f"<li>{letter}: {escape(model['label'])}, {model['params'] / 1e6:.3f} M parameters, seeds"
        f" {', '.join(map(str, model['seeds']))}: {escape(', '.join(model['checkpoints']))}</li>"
        for letter, model in result["models"].items()
    )
    parts.append(f"<h2>Runs</h2><ul>{rows_of_runs}</ul>")
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><body>\n{body}\n</body></html>\n"
    )


def _table(result: Mapping[str, Any], kind: str) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in headings(result))
    first, *others = result["models"]
    lines = []
    for entry, row in zip(result[kind].values(), rows(result, kind), strict=True):
        cells = [f"<td>{escape(cell)}</td>" for cell in row[: 1 + len(result["models"])]]
        for letter, cell in zip(others, row[1 + len(result["models"]) :], strict=True):
            change = entry["differences"][f"{letter} - {first}"]
            kind_of = ""
            if change["excludes_zero"]:
                kind_of = ' class="better"' if (change["value"] > 0) == entry["more_is_better"] else ' class="worse"'
            cells.append(f"<td{kind_of}>{escape(cell)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None or value != value else f"{value:{sign}.2f}"
