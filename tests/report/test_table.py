import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.report.table import MISSING, RENDERERS, Cell, Column, Table, comma_separated, latex, markdown


def table(*rows: list[Cell]) -> Table:
    columns = [Column("name", False), Column("mIoU, %")]
    return Table("50% & more_", columns, list(rows), {1}, ["a note: x_i < 3"])


ROWS = ([Cell("a|b_c"), Cell("41.60 ± 0.20", True)], [Cell("d\ne*"), MISSING])


def test_markdown() -> None:
    assert markdown(table(*ROWS)) == (
        "**50% & more\\_**\n\n"
        "| name | mIoU, % |\n| --- | --: |\n"
        "| a\\|b_c | **41.60 ± 0.20** |\n"
        "|  |  |\n"
        "| d e\\* | – |\n\n"
        "- a note: x_i \\< 3\n"
    )


def test_csv_is_figures_alone() -> None:
    assert list(csv.reader(io.StringIO(comma_separated(table(*ROWS))))) == [
        ["name", "mIoU, %"],
        ["a|b_c", "41.60 ± 0.20"],
        ["d\ne*", "–"],
    ]


def test_latex() -> None:
    text = latex(table(*ROWS))
    assert r"\caption{50\% \& more\_}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"a|b\_c & \textbf{41.60 $\pm$ 0.20} \\" in text
    assert r"\par\footnotesize a note: x\_i < 3" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert text.count(r"\midrule") == 2


@pytest.mark.parametrize("character", list("\\&%$#_{}~^"))
def test_latex_escapes_every_special_character(character: str) -> None:
    assert f"x{character}y" not in latex(table([Cell(f"x{character}y"), Cell()]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=4))
def test_any_text_keeps_the_shape(texts: list[tuple[str, str]]) -> None:
    rows = [[Cell(a), Cell(b, True)] for a, b in texts]
    made = Table("t", [Column("a"), Column("b")], rows)
    for line in markdown(made).splitlines()[2:]:
        assert line.replace("\\\\", "").replace("\\|", "").count("|") == 3
    source = [[cell.text for cell in row] for row in rows]
    if not any("\r" in text or "\0" in text for row in source for text in row):
        assert list(csv.reader(io.StringIO(comma_separated(made), newline="")))[1:] == source
    assert latex(made).count(r"\textbf{") >= len(rows)


def test_an_empty_table_renders() -> None:
    for render in RENDERERS.values():
        assert render(Table("none", [Column("a")])).endswith("\n")
