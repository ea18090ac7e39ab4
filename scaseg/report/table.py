"""One table model, and its three renderings: Markdown, CSV and LaTeX (booktabs)."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field

Number = float | int | None


@dataclass(frozen=True)
class Cell:
    """Plain text, which each renderer escapes; numbers: what the text rounds, one for each of the column's names."""

    text: str = ""
    bold: bool = False
    numbers: tuple[Number, ...] = ()


MISSING = Cell("–")


@dataclass(frozen=True)
class Column:
    """A heading, and how its cells are set. names: of its columns in CSV, one a number of its cells."""

    heading: str
    numeric: bool = True  # set flush right
    names: tuple[str, ...] = ()
    kept: bool = False  # in sight where a narrow page has to scroll the table


@dataclass
class Table:
    """rules: numbers of the rows that a rule stands above. notes: sentences under the table; above: one over it."""

    title: str
    columns: list[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    rules: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    above: str = ""


def markdown(table: Table) -> str:
    """A pipe table; ends in a newline."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def escape(text: str) -> str:
        # an underscore inside a word is an underscore to every reader of Markdown
        return re.sub(r"([\\|*`<\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))

    lines = [f"**{escape(table.title)}**", ""]
    lines += [escape(table.above), ""] if table.above else []
    lines += [line([escape(column.heading) for column in table.columns])]
    lines += [line(["--:" if column.numeric else "---" for column in table.columns])]
    for number, row in enumerate(table.rows):
        if number in table.rules and number:
            lines.append(line([""] * len(table.columns)))
        texts = [escape(cell.text) for cell in row]
        lines.append(line([f"**{text}**" if cell.bold else text for cell, text in zip(row, texts, strict=True)]))
    lines += [""] * bool(table.notes) + [f"- {escape(note)}" for note in table.notes]
    return "\n".join(lines) + "\n"


def comma_separated(table: Table) -> str:
    """The table alone: a header, texts, and each number in a column of its own with all of its digits or nothing."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for column in table.columns for name in column.names or (column.heading,)])
    for row in table.rows:
        cells: list[Number | str] = []
        for cell, column in zip(row, table.columns, strict=True):
            if column.numeric:
                number = len(column.names or (column.heading,))
                cells += cell.numbers or (None,) * number
            else:
                cells.append("" if cell is MISSING else cell.text)
        writer.writerow(cells)
    return file.getvalue()


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": r"$-$",
    "Δ": r"$\Delta$",
    "–": "--",
} | {character: "\\" + character for character in "&%$#_{}"}


def latex(table: Table) -> str:
    """A table environment for the booktabs package."""

    def escape(text: str) -> str:
        return "".join(_LATEX.get(character, character) for character in text)

    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title + (f'. {table.above}' if table.above else ''))}}}",
    ]
    lines += [rf"\begin{{tabular}}{{{''.join('r' if column.numeric else 'l' for column in table.columns)}}}"]
    lines += [
        r"\toprule",
        " & ".join(escape(column.heading) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(table.rows):
        if number in table.rules and number:
            lines.append(r"\midrule")
        texts = [escape(cell.text) for cell in row]
        cells = [rf"\textbf{{{text}}}" if cell.bold else text for cell, text in zip(row, texts, strict=True)]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {escape(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


RENDERERS: dict[str, Callable[[Table], str]] = {"markdown": markdown, "csv": comma_separated, "latex": latex}
