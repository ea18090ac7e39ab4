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


def test_csv_has_each_number_in_a_column_of_its_own() -> None:
    columns = [Column("name", False), Column("row"), Column("mIoU, %", names=("mean", "std", "n"))]
    rows = [
        [Cell("a|b_c"), Cell("1", numbers=(1,)), Cell("41.60 ± 0.20", True, (41.6000001, 0.2, 3))],
        [Cell("d\ne*"), MISSING, Cell("not run")],
        [MISSING, MISSING, Cell("40.00 (n = 1)", numbers=(40.0, None, 1))],
    ]
    assert list(csv.reader(io.StringIO(comma_separated(Table("t", columns, rows, above="all alike"))))) == [
        ["name", "row", "mean", "std", "n"],
        ["a|b_c", "1", "41.6000001", "0.2", "3"],
        ["d\ne*", "", "", "", ""],
        ["", "", "40.0", "", "1"],
    ]


def test_what_is_alike_stands_above() -> None:
    one = Table("t", [Column("a")], above="All: x_i.")
    assert markdown(one).startswith("**t**\n\nAll: x_i.\n\n| a |")
    assert r"\caption{t. All: x\_i.}" in latex(one)
    assert "All" not in comma_separated(one)


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
    made = Table("t", [Column("a", False), Column("b", False)], rows)
    for line in markdown(made).splitlines()[2:]:
        assert line.replace("\\\\", "").replace("\\|", "").count("|") == 3
    source = [[cell.text for cell in row] for row in rows]
    if not any("\r" in text or "\0" in text for row in source for text in row):
        assert list(csv.reader(io.StringIO(comma_separated(made), newline="")))[1:] == source
    assert latex(made).count(r"\textbf{") >= len(rows)


def test_an_empty_table_renders() -> None:
    for render in RENDERERS.values():
        assert render(Table("none", [Column("a")])).endswith("\n")
