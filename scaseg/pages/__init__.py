"""What pages share: the document with style and script, tables that sort, names that break well, masks on images."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent
OF_MASKS = ("masks.css", "masks.js")  # what a page of `masks_page` loads beside its own script


def document(title: str, body: str) -> str:
    """A page complete in itself but for the pictures that the body names: style and script are in it."""
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "sort.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n<body>\n'
        f"{body}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def masks_page(title: str, script: str, where: str, policy: str = "", choices: str = "") -> str:
    """A page that lays masks over dropped images. script: its own; where: what computes, the end of a sentence.

    policy: markup of its head; choices: of its controls.
    """
    page = Template((FOLDER / "masks.html").read_text(encoding="utf-8"))
    return page.substitute(title=title, script=script, where=where, policy=policy, choices=choices)


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


def unbroken(text: str) -> str:
    """Markup of a cell's text; what belongs together, as (n = 3), stays on one line."""
    return re.sub(r"(?<=[±=,]) | (?==)", "\u00a0", escape(text))
