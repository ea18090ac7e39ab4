"""What the report says of what must be reached, and of where strip attention turns to its spline."""

from pathlib import Path

import pytest

from experiments.gpu import crossings
from experiments.gpu.goals import GOALS, Goal
from experiments.gpu.parts import PARTS
from experiments.gpu.parts.strip import Measured, crossing
from experiments.gpu.section import Section, Setting
from scaseg.benchmark.measurement import Row
from scaseg.complexity.latency import Spread
from scaseg.errors import UserError
from scaseg.models.layers.strip_crossings import Crossing, read_crossings, write_crossing


def section(value: float, state: str = "done") -> dict[str, Section]:
    return {"a": Section("a", state, rows=[Row("speed", "x", Spread(value, value - 1, value + 1, 3))])}


def test_goals_are_reached_not_reached_or_not_run() -> None:
    least, most = Goal("a", "speed", 5), Goal("a", "speed", 5, least=False)
    assert least.line(section(5), False) == "- speed, at least 5: **reached: 5, quartiles 4 .. 6**"
    assert least.line(section(4.9), False) == "- speed, at least 5: **not reached: 4.9, quartiles 3.9 .. 5.9**"
    assert most.line(section(6), False) == "- speed, at most 5: **not reached: 6, quartiles 5 .. 7**"
    assert most.line(section(4), False) == "- speed, at most 5: **reached: 4, quartiles 3 .. 5**"
    assert least.line(section(9), True) == "- speed, at least 5: **not run: a rehearsal measures nothing**"
    assert least.line({}, False) == "- speed, at least 5: **not run: part a is not made yet**"
    cut = {"a": Section("a", "out of time")}
    assert least.line(cut, False) == "- speed, at least 5: **not run: part a is out of time**"
    assert least.line(section(float("nan")), False).count("**not reached: nan")


def test_goals_are_of_parts_that_exist() -> None:
    assert {goal.part for goal in GOALS} <= {part.name for part in PARTS}


def test_a_section_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Section("a", path=tmp_path / "a.json")
    written.add("speed", "x", Spread(2.0, 1.0, 3.0, 5), "at least 1")
    written.note("skipped")
    written.failed("b", "\n".join(map(str, range(40))))
    read = Section.load(tmp_path / "a.json")
    assert read == Section(**{**written.plain(), "rows": written.rows})
    assert read.failures == ["\n".join(["b:", *map(str, range(25, 40))])]
    setting = Setting(True, tmp_path, tmp_path / "work", 3.5)
    assert Setting.read(setting.text()) == setting


def measured(ratios: dict[int, tuple[float, float]], queries: int = 4096, precision: str = "fp32") -> list[Measured]:
    """By keys: how many times longer the fastest other form took, forward and with backward."""
    return [
        Measured((1, queries, keys), backward, precision, ratios={"plain": 100.0, "SDPA flash": ratio})
        for keys, both in ratios.items()
        for backward, ratio in enumerate(both)
    ]


def test_the_crossing_is_where_the_spline_is_fastest_to_the_end() -> None:
    assert crossing(measured({64: (0.5, 0.4), 128: (1.2, 1.3), 256: (2.0, 3.0)})) == 4096 * 128
    assert crossing(measured({64: (1.5, 1.4), 128: (1.2, 0.9), 256: (2.0, 3.0)})) == 4096 * 256  # not there, both ways
    assert crossing(measured({64: (1.5, 1.4), 128: (1.2, 1.2), 256: (2.0, 0.99)})) is None
    assert crossing(measured({128: (1.2, 1.3)})) == 4096 * 128
    assert crossing([]) is None
    # where auto may not take it anyway, nothing is asked: few keys, few queries
    assert crossing(measured({63: (0.1, 0.1), 64: (1.1, 1.1)})) == 4096 * 64
    assert crossing([*measured({2048: (0.1, 0.1)}, 511), *measured({64: (1.1, 1.1)})]) == 4096 * 64


def test_a_line_from_another_machine_comes_into_the_table(tmp_path: Path) -> None:
    brought, table = tmp_path / "brought.json", tmp_path / "table.json"
    write_crossing("Ours", Crossing(3, 4, "then"), table)
    write_crossing("Theirs", Crossing(5, None, "now"), brought)
    crossings.main(brought, table)
    assert read_crossings(table) == {"Ours": Crossing(3, 4, "then"), "Theirs": Crossing(5, None, "now")}
    with pytest.raises(UserError, match="holds no crossing"):
        crossings.main(tmp_path / "none.json", table)
