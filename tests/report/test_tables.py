import csv
import io
from pathlib import Path

import pytest

from scaseg.errors import UserError
from scaseg.report.paper_table import paper_table
from scaseg.report.runs import collect
from scaseg.report.runs_table import runs_table
from scaseg.report.table import Table, comma_separated
from tests.report.folders import run_folder

SCA, CA, SA = ("decoder.attn=sca",), ("decoder.attn=ca", "lpm=none"), ("decoder.attn=sa",)


def column(table: Table, heading: str) -> list[str]:
    number = next(i for i, column in enumerate(table.columns) if column.heading == heading)
    return [("*" if row[number].bold else "") + row[number].text for row in table.rows]


def test_table_without_runs_says_so() -> None:
    table = paper_table(5)
    assert column(table, "paper")[:3] == ["3.8", "4.3", "6.0"]
    assert column(table, "mIoU, VOC 2012: paper")[5] == "*72.39"
    ours = column(table, "mIoU, VOC 2012: ours")
    assert set(ours[:12]) == {"not run"}
    params = column(table, "as published")
    assert (params[0], params[6]) == ("3.772", "4.263")  # the baselines: SegFormer's head and SegNeXt's
    assert any("another one" in note and "row 2 (params, GFLOPs), row 8" in note for note in table.notes)
    assert table.rules == {0, 6}


def test_runs_beside_printed_figures(tmp_path: Path) -> None:
    run_folder(tmp_path, "head", 20.0, "decoder=segformer")
    for seed, (sca, ca) in enumerate([(42.0, 41.0), (44.0, 42.0), (43.0, 41.5)]):
        run_folder(tmp_path, f"sca{seed}", sca, *SCA, f"seed={seed}")
        run_folder(tmp_path, f"ca{seed}", ca, *CA, f"seed={seed}")
    run_folder(tmp_path, "sa", 30.0, *SA)
    run_folder(tmp_path, "other", 30.0, "decoder.qk_channels=2")
    runs, problems = collect(str(tmp_path))
    table = paper_table(5, runs, [*problems, "runs/x: unfinished"], baseline="ca")
    measured = dict(zip(column(table, "variant"), column(table, "mIoU, shapes: ours"), strict=True))
    change = dict(zip(column(table, "variant"), column(table, "Δ baseline"), strict=True))
    assert measured["+ SCA + LPM"] == "not run"  # MSCAN-T's, the last of that name
    rows = list(
        zip(column(table, "variant"), column(table, "mIoU, shapes: ours"), column(table, "Δ baseline"), strict=True)
    )
    assert rows[0] == ("baseline (SegFormer head)", "20.00 (n = 1)", "-21.50")
    assert rows[2] == ("+ CA", "41.50 ± 0.50 (n = 3)", "baseline")
    assert rows[4] == ("+ SCA", "not run", "–")
    assert rows[5][:2] == ("+ SCA + LPM", "*43.00 ± 1.00 (n = 3)")
    assert rows[5][2].startswith("+1.50 [")
    assert rows[6][:2] == ("+ SA + LPM", "30.00 (n = 1)")
    assert column(table, "row")[6] == "–"
    assert change["+ SA + LPM"] == "-11.50"
    assert table.notes[-2] == "Not used: runs/x: unfinished."
    assert table.notes[-1].endswith("to the baseline, corrected after Holm, none holds, on these images.")
    assert any(note.startswith("Not a row of this table: mit_b0 scaseg") for note in table.notes)


def test_runs_of_another_budget_are_pointed_out(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 42.0, *SCA)
    run_folder(tmp_path, "b", 42.0, *CA, "training.lr=0.1", "backbone=mscan_t")
    notes = paper_table(5, collect(str(tmp_path))[0]).notes
    assert "The runs on shapes also differ in training.lr: compare with care." in notes


def test_two_claims_to_one_cell(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 42.0, *SCA)
    run_folder(tmp_path, "b", 42.0, *SCA, "training.lr=0.1")
    with pytest.raises(UserError, match=r"/a and .*/b claim the same cell, MiT-B0 \+ SCA \+ LPM on shapes"):
        paper_table(5, collect(str(tmp_path))[0])


def test_baseline_by_number_and_by_mistake(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 42.0, *SCA)
    run_folder(tmp_path, "b", 40.0, *CA, "backbone=mscan_t")
    run_folder(tmp_path, "c", 41.0, *SCA, "backbone=mscan_t")
    runs, _ = collect(str(tmp_path))
    for baseline in ("6", "12", "sca+lpm", "+ SCA + LPM"):
        changes = column(paper_table(5, runs, baseline=baseline), "Δ baseline")
        assert [changes[row - 1] for row in (6, 9, 12)] == ["baseline", "-1.00", "baseline"]
    with pytest.raises(UserError, match=r"baseline=nonsense: no such row; the rows are 1 \(baseline"):
        paper_table(5, runs, baseline="nonsense")


def test_rows_that_the_paper_does_not_have(tmp_path: Path) -> None:
    """Table VII is of MSCAN-T alone; Table VIII's runs may have the local perception module."""
    run_folder(tmp_path, "a", 42.0, "decoder.qk_channels=2")
    run_folder(tmp_path, "b", 40.0, "decoder.clb_stages=[4,3]", "seed=3")
    runs, _ = collect(str(tmp_path))
    seven, eight = paper_table(7, runs), paper_table(8, runs)
    assert column(seven, "backbone") == ["MSCAN-T"] * 4 + ["MiT-B0"]
    assert column(seven, "Q/K channels")[-1] == "2"
    assert column(seven, "mIoU, shapes: ours")[-1] == "42.00 (n = 1)"
    assert column(seven, "paper")[-1] == "–"
    assert column(eight, "mIoU, shapes: ours")[1] == "40.00 (n = 1)"
    assert "Our runs on shapes have lpm=se in every row." in eight.notes


def test_other_peoples_rows_on_request() -> None:
    table = paper_table(4, ours=False)
    assert len(table.rows) == 36
    assert column(table, "method")[0] == "SegFormer"
    assert len(table.rules) == 6


def test_bookkeeping_makes_no_rows_and_no_columns(tmp_path: Path) -> None:
    often = ["training.log_every=1", "training.checkpoint_every=10", "training.val_every=100"]
    run_folder(tmp_path, "a", 40.0, "seed=0")
    run_folder(tmp_path, "b", 42.0, "seed=1", *often)
    run_folder(tmp_path, "c", 44.0, "seed=1", "decoder.attn=ca", *often)
    table = runs_table(collect(str(tmp_path))[0])
    assert [c.heading for c in table.columns] == ["row", "decoder.attn", "params, M", "mIoU", "95 %"]
    assert [row[3].text for row in table.rows] == ["44.00 (n = 1)", "41.00 ± 1.41 (n = 2)"]
    # of one seed nothing else tells them apart
    run_folder(tmp_path, "d", 43.0, "seed=0", "training.log_every=1")
    assert "training.log_every" in [c.heading for c in runs_table(collect(str(tmp_path))[0]).columns]


def test_a_choice_is_one_column_and_its_options_stand_there_where_they_tell_runs_apart(tmp_path: Path) -> None:
    run_folder(tmp_path, "a", 40.0)
    run_folder(tmp_path, "b", 41.0, "optimizer=sgd", "training.lr=0.01")
    run_folder(tmp_path, "c", 42.0, "optimizer=sgd", "training.lr=0.01", "optimizer.sgd.momentum=0.8")
    run_folder(tmp_path, "d", 43.0, "loss=[cross_entropy,dice]", "schedule=cosine")
    table = runs_table(collect(str(tmp_path))[0])
    names = [c.heading for c in table.columns][1:-2]
    assert names == ["loss", "optimizer", "schedule", "training.lr", "optimizer.sgd.momentum"]
    assert sorted(tuple(cell.text for cell in row[1:6]) for row in table.rows) == [
        ("cross_entropy", "adamw", "poly", "0.001", "null"),
        ("cross_entropy", "sgd", "poly", "0.01", "0.8"),
        ("cross_entropy", "sgd", "poly", "0.01", "0.9"),
        ("cross_entropy+dice", "adamw", "cosine", "0.001", "null"),
    ]


def test_every_number_of_the_papers_tables_is_one_in_csv() -> None:
    for number in (1, 4, 5):
        table = paper_table(number, ours=False)
        header, *rows = csv.reader(io.StringIO(comma_separated(table)))
        assert len(set(header)) == len(header)
        words = {column.heading for column in table.columns if not column.numeric}
        for row in rows:
            for name, cell in zip(header, row, strict=True):
                assert name in words or cell == "" or float(cell) == float(cell), (name, cell)


def test_any_runs(tmp_path: Path) -> None:
    for seed, miou in ((0, 40.0), (1, 42.0)):
        run_folder(tmp_path, f"one{seed}", miou, f"seed={seed}")
        run_folder(tmp_path, f"two{seed}", miou + 1, f"seed={seed}", "backbone=mscan_t", "training.lr=0.5")
    runs, _ = collect(str(tmp_path))
    table = runs_table(runs, ["x: unfinished"], baseline="1")
    assert [c.heading for c in table.columns] == [
        "row", "backbone.name", "training.lr", "params, M", "mIoU", "95 %", "Δ baseline",
    ]  # fmt: skip
    lr = str(runs[0].value("training.lr"))
    assert [[c.text for c in row] for row in table.rows] == [
        ["1", "mit_b0", lr, "4.000", "41.00 ± 1.41 (n = 2)", "28.29 to 53.71", "baseline"],
        ["2", "mscan_t", "0.5", "4.000", "42.00 ± 1.41 (n = 2)", "29.29 to 54.71", "+1.00 [-5.08, +7.08] P 0.72"],
    ]
    assert [row[4].bold for row in table.rows] == [False, True]
    assert table.notes[-1] == "Not used: x: unfinished."
    assert table.notes[1].endswith("to the baseline, corrected after Holm, none holds, on these images.")
    assert table.above == (
        "All: dataset shapes, decoder scaseg, steps 600, images a step 16, attention sca, lpm se; seeds 0, 1."
    )
    read = list(csv.DictReader(io.StringIO(comma_separated(table))))
    assert [(row["mIoU_mean"], row["mIoU_n"], row["params"]) for row in read] == [
        ("41.0", "2", "4000000"),
        ("42.0", "2", "4000000"),
    ]
    assert float(read[0]["mIoU_std"]) == 2**0.5
    assert [row["difference_low"][:6] for row in read] == ["", "-5.084"]
    assert [c.text for c in runs_table(runs[:1]).rows[0]][:4] == ["1", "shapes", "mit_b0", "scaseg"]
    with pytest.raises(UserError, match=r"baseline=7: no such row; the rows are 1: mit_b0"):
        runs_table(runs, baseline="7")
    run_folder(tmp_path, "again", 1.0)
    with pytest.raises(UserError, match="same seed 0"):
        runs_table(collect(str(tmp_path))[0])
