"""What the report says of what must be reached, and of where strip attention turns to its spline."""

from pathlib import Path

import pytest

from experiments.gpu import crossings, train
from experiments.gpu.goals import GOALS, Goal
from experiments.gpu.parts import PARTS, camvid, loader, table5, training
from experiments.gpu.parts.strip import Measured, crossing
from experiments.gpu.section import Section, Setting, SkippedError
from scaseg.benchmark.measurement import Row
from scaseg.complexity.latency import Spread
from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.layers.strip_crossings import Crossing, read_crossings, write_crossing


def test_recipes_that_no_rehearsal_takes_are_sound(tmp_path: Path) -> None:
    """A rehearsal shortens them: here they are composed and checked as they are."""
    weights = ["backbone.weights=a.pth", f"data_dir={tmp_path}"]
    shapes = ["dataset=shapes", *training.RECIPE]
    asked = [[*shapes, *(one.format(half=8) for one in options)] for options in training.VARIANTS.values()]
    asked += [["experiment=camvid_pretrained", *weights, *camvid.FULL], [*loader.RECIPE, "data_dir=a"]]
    asked += [["experiment=camvid_whole", "data_dir=a", "weights=a.ckpt", *camvid.FULL]]
    asked += [[*table5.RECIPE, "decoder.attn=sa", "lpm=none", "seed=2", *weights, *table5.LENGTH]]
    runs = [run_config(compose("train", [*given, "hardware.accelerator=cuda"])) for given in asked]
    steps = [run.training.max_steps for run in runs]
    assert steps == [*[300] * len(training.VARIANTS), 4200, loader.STEPS, 3000, 1500]
    assert [run.training.accumulation(1) for run in runs[:4]] == [(16, 1), (16, 1), (16, 1), (8, 2)]


def test_without_camvid_a_part_says_what_makes_it(tmp_path: Path) -> None:
    for carried, where in ((None, "without carry=FOLDER"), (tmp_path, f"in carry={tmp_path}")):
        with pytest.raises(SkippedError, match=rf"no CamVid or no .*{where}: python -m experiments.gpu.carry"):
            train.camvid(Setting(False, tmp_path, tmp_path, 0.0, carried))
    (tmp_path / "CamVid").mkdir()
    (tmp_path / "efficientnet-lite0-57934424.pth").touch()
    data, weights = train.camvid(Setting(False, tmp_path, tmp_path, 0.0, tmp_path))
    assert (data, weights) == (
        f"data_dir={tmp_path}/CamVid",
        f"backbone.weights={tmp_path}/efficientnet-lite0-57934424.pth",
    )


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
    written.add("an error", "", float("nan"))
    written.add("a ratio", "x", Spread(1.0, 0.5, float("inf"), 5))
    assert Section.load(tmp_path / "a.json").failures[1:] == [
        "an error:\nnan, quartiles nan .. nan",
        "a ratio:\n1.0, quartiles 0.5 .. inf",
    ]
    assert len(written.rows) == 1
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
