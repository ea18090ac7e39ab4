"""Table 2026: printed figures of other papers, our counts of the same models, and where SCASeg is behind."""

import pytest

from scaseg.config import compose
from scaseg.report.own_counts import count_row, missing_part
from scaseg.report.published import REASONS, SINCE, Row, rows_of, since
from scaseg.report.table_notes import behind
from scaseg.report.table_rows import Line, row_keys
from tests.report.test_experiments import jobs

BUILT = [row for row in since() if row.overrides and missing_part(row) is None]
LARGE = ("s2", "_l", "mscan_s", "mscan_b", "segman", "edaformer_b")


def costly(row: Row) -> bool:
    return any(name in str(row.overrides) for name in LARGE)


@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=[pytest.mark.slow] if costly(row) else [], id=row.source) for row in BUILT]
)
def test_every_cell_is_met_or_explained(row: Row) -> None:
    counted = count_row(row)
    unmet = set()
    if row.params_m is not None and abs(counted.published_m - row.params_m) > 0.1:
        unmet.add("params")
    for dataset, printed in row.gflops.items():
        if abs(counted.gflops[dataset] / printed - 1) > 0.015:
            unmet.add("cityscapes" if dataset == "cityscapes" else "gflops")
    assert unmet == set(row.notes), counted
    if row.notes.get("gflops") == REASONS["modules"]:
        assert counted.modules == pytest.approx(row.gflops["ade20k"], rel=0.0155)  # 7.714 of 7.6


def test_ours_and_what_the_paper_itself_compares_with_are_as_in_its_tables() -> None:
    paper = {(row.backbone, row.method.removesuffix(" (Ours)").lower()): row for row in rows_of(1, ours=False)}
    found = [(row, paper.get((row.backbone, row.method.lower()))) for row in since()]
    both = [(row, other) for row, other in found if other is not None]
    assert {row.method for row, _ in both} >= {"SCASeg", "CCASeg"}
    for row, other in both:
        assert (row.params_m, row.gflops) == (other.params_m, other.gflops)
        assert {name: row.miou[name] for name in other.miou} == other.miou


def test_every_row_says_where_it_stands() -> None:
    assert [row.row for row in rows_of(SINCE)] == list(range(1, len(since()) + 1))
    assert len({row.source for row in since()}) == len(since())
    assert all(row.gflops and row.miou for row in since())
    frontier = {"CGRSeg": 43.6, "CCASeg": 42.6, "EDAFormer": 42.3, "CSAP": 42.9, "OffSeg": 44.2, "EfficientViT": 42.8}
    assert all(
        any(row.miou.get("ade20k") == miou for row in since() if row.method == name) for name, miou in frontier.items()
    )


def line(method: str, backbone: str, gflops: float, miou: float) -> Line:
    return Line(Row(SINCE, 1, method, backbone, gflops={"x": gflops}, miou={"x": miou}), None, None)


def test_who_is_ahead_is_told_by_hand() -> None:
    ours = [line("SCASeg", "A", 5.0, 40.0), line("SCASeg", "B", 9.0, 50.0)]
    others = [
        line("P", "A", 6.0, 41.0),
        line("Q", "Q-T", 5.0, 40.5),
        line("R", "C", 4.0, 40.0),
        line("S", "C", 7.0, 45.0),
    ]
    assert behind([*ours, *others], {"x": "X"}) == [
        "By printed figures SCASeg A on X (40.0 at 5 G) is behind Q-T (40.5 at 5) for no more GFLOPs,"
        " and P A (41.0 at 6) on the same encoder for more.",
        "By printed figures no row here is ahead of SCASeg B on X (50.0 at 9 G) for no more GFLOPs.",
    ]


def test_the_sweep_composes_and_a_row_can_be_asked_for() -> None:
    batch = jobs(SINCE)
    assert len(batch) == 28
    made = {(cfg.decoder.name, cfg.decoder.classifier) for cfg in (compose("train", job) for job in batch)}
    assert {(name, end) for name in ("scaseg", "cgrseg") for end in ("conv", "offset")} <= made
    own = ["backbone=timm", "backbone.name=efficientformerv2_s1", "decoder=cgrseg", "classifier=conv"]
    (job,) = jobs(SINCE, *own)
    cfg = compose("train", job)
    (row,) = (row for row in since() if row.source.endswith("CGRSeg-T"))
    assert row_keys(row) == {"classifier": "conv", "backbone": cfg.backbone.name, "decoder": cfg.decoder.name}
