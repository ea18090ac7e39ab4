"""Scores, regions, ranking and folds against second readings of their definitions."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from scaseg.audit.evidence import Evidence, evidence, softmin
from scaseg.audit.findings import Finding, read_findings, write_findings
from scaseg.audit.folds import of_groups, of_images
from scaseg.audit.ranking import LIKE, RARITY, SIZE, ranked
from scaseg.audit.regions import DENIED, EDGE, MISSING, Region, regions_of
from scaseg.data.fingerprint import of_split
from scaseg.data.image_folder import ImageFolder
from scaseg.data.labels import IGNORE
from scaseg.data.shapes import Shapes
from scaseg.data.source import part_of
from scaseg.errors import UserError
from scaseg.evaluation import row_bands
from scaseg.evaluation.row_bands import Held, Resized, Views
from tests.training.tiny import own

SIZE_OF = (60, 80)


def test_evidence_is_the_softmax_at_each_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaseg.audit.evidence.BAND_BYTES", 4 * 5 * 80 * 7)  # seven rows at once
    logits = torch.randn(1, 5, *SIZE_OF, generator=torch.Generator().manual_seed(0))
    mask = np.random.default_rng(0).integers(0, 5, SIZE_OF).astype(np.uint8)
    mask[:9, :9] = IGNORE
    plain = torch.softmax(logits[0].double(), 0).numpy()
    for source in (Held(logits), Views([(Resized(Held(logits), SIZE_OF), False)])):
        found = evidence(source, mask)
        assert (found.seen == plain.argmax(0)).all()
        np.testing.assert_allclose(found.confidence, plain.max(0), atol=1e-6)
        for row, column in ((0, 0), (8, 8), (9, 3), (59, 79), (30, 41)):
            own = 1 if mask[row, column] == IGNORE else plain[mask[row, column], row, column]
            assert found.own[row, column] == pytest.approx(own, abs=1e-6)
    assert row_bands.BAND_BYTES > 4 * 5 * 80 * 60  # bands of the evaluation's own are not those of this test


def test_softmin_is_the_papers() -> None:
    """Lad and Mueller 2023: s . softmax((1 - s) / T), T = 0.1, here as it is written."""
    own = np.random.default_rng(1).uniform(0, 1, SIZE_OF).astype(np.float32)
    known = np.random.default_rng(2).random(SIZE_OF) < 0.8
    values = own[known].astype(np.float64)
    powers = np.exp((1 - values) / 0.1)
    assert softmin(own, known) == pytest.approx(float(values @ (powers / powers.sum())), rel=1e-12)
    assert softmin(own, np.zeros(SIZE_OF, bool)) == 1.0


def said(mask: np.ndarray, seen: np.ndarray, confidence: float = 0.9) -> Evidence:
    own = np.where(seen == mask, confidence, 0.05).astype(np.float32)
    return Evidence(seen, np.full(mask.shape, confidence, np.float32), own)


def test_regions_are_what_was_put_there() -> None:
    mask, seen = np.zeros(SIZE_OF, np.uint8), np.zeros(SIZE_OF, np.uint8)
    mask[5:20, 5:25] = 1  # the model sees nothing of it
    seen[30:45, 50:70] = 2  # the mask lacks it
    mask[30:50, 10:40], seen[30:50, 18:48] = 3, 3  # drawn 8 pixels too far to the left
    mask[55:, :] = IGNORE
    seen[55:, 40:] = 4  # where the mask says nothing
    mask[0, :], seen[0, :] = 5, 6  # thinner than the model can tell
    found = {(one.kind, one.given, one.seen): one for one in regions_of(said(mask, seen), mask, 60)}
    assert found.keys() == {(DENIED, 1, 0), (MISSING, 0, 2), (EDGE, 3, 0), (EDGE, 0, 3)}
    denied, edge = found[DENIED, 1, 0], found[EDGE, 3, 0]
    assert denied.box == [5, 5, 25, 20]
    assert denied.pixels == 15 * 20 - 4  # what a disc cannot reach: the corners
    assert np.ptp(denied.outline[0], axis=0).tolist() == [19, 14]
    assert denied.weight == pytest.approx(296 * 0.85)
    assert edge.width == found[EDGE, 0, 3].width == 7  # of 8, an even number, the odd one below
    assert edge.box == [10, 30, 18, 50]
    names = ("road", "car", "sign", "tree")
    assert denied.reason(names) == "region of 'car' where the model sees 'road' at 0.90"
    assert "'sign' that the model sees at 0.90 and the mask lacks: it has 'road'" in found[MISSING, 0, 2].reason(names)
    assert edge.reason(names) == "'tree' some 7 pixels into what the model sees as 'road' at 0.90"
    assert regions_of(said(mask, seen), mask, 301) == []


def region(given: int, seen: int, pixels: int, sure: float = 0.8) -> Region:
    return Region(DENIED, given, seen, pixels, sure, 0.1, 9, [0, 0, 9, 9], [[[0, 0]]])


def test_ranking_is_the_formula_and_repeated_errors_count_less() -> None:
    rng = np.random.default_rng(3)
    findings = [
        Finding(f"{i}", i % 2, 0.5, [region(*rng.integers(0, 3, 2), int(rng.integers(50, 900))) for _ in range(i % 4)])
        for i in range(15)
    ]
    suspects = ranked(findings)
    for one in suspects:
        total, others = 0.0, [f for f in findings if f.fold == one.finding.fold and f is not one.finding]
        for mine in one.finding.regions:
            rarity = 0.0
            for same in (
                lambda r, m=mine: (r.given, r.seen) == (m.given, m.seen),
                lambda r, m=mine: r.given == m.given,
            ):
                like = sum(any(same(r) and r.weight >= LIKE * mine.weight for r in other.regions) for other in others)
                rarity -= np.log((1 + like) / (len(others) + 1))
            total += (mine.weight**SIZE * rarity**RARITY) ** 2
        assert one.suspicion == pytest.approx(total**0.5, rel=1e-9)
    assert all(a.suspicion >= b.suspicion for a, b in pairwise(suspects))
    # one class swapped once, beside a confusion of the model's own in every image: as large, and not rare
    common = [Finding(f"{i}", 0, 0.5, [region(1, 2, 400)]) for i in range(9)]
    once = Finding("once", 0, 0.5, [region(3, 4, 400)])
    assert ranked([*common, once])[0].finding is once


def test_findings_are_read_as_they_were_written(tmp_path) -> None:
    found = [Finding("a/b", 0, 0.25, [region(0, 1, 70)]), Finding("ü", 0, 1.0, [])]
    write_findings(tmp_path / "f.json", "one", found)
    assert read_findings(tmp_path / "f.json", "one") == found
    assert read_findings(tmp_path / "f.json", "other") is None
    assert read_findings(tmp_path / "none.json", "one") is None


def test_groups_stay_whole_where_they_can() -> None:
    names = [f"{group}_{i:03d}" for group, count in (("a", 7), ("b", 12), ("c", 30), ("d", 3)) for i in range(count)]
    groups = np.array([name[0] for name in names])
    folds = of_groups(names, "^[^_]+", 3)
    assert folds.alone
    assert all(len(set(folds.number[groups == group])) == 1 for group in "abcd")
    assert sorted(np.bincount(folds.number)) == [10, 12, 30]
    fewer = of_groups(names, "^[^_]+", 9)
    assert fewer.count == 4
    assert "4 folds of whole groups, of which there are 4" in fewer.said
    assert "fewer than the 9 asked for" in fewer.said


def test_one_or_two_groups_fall_back_to_stretches() -> None:
    for names in ([f"a_{i:03d}" for i in range(20)], [f"{'ab'[i > 12]}_{i:03d}" for i in range(20)]):
        folds = of_groups(names[::-1], "^[^_]+", 4)
        assert not folds.alone
        assert folds.count == 4
        for group in {name[0] for name in names}:
            of_group = [folds.number[names[::-1].index(name)] for name in names if name[0] == group]
            assert of_group == sorted(of_group)
        assert "for there" in folds.said
    alone = of_groups([str(i) for i in range(10)], None, 4)
    assert sorted(np.bincount(alone.number)) == [2, 2, 3, 3]
    assert of_groups(["a", "b"], None, 4).count == 2
    with pytest.raises(UserError, match="finds nothing in the name"):
        of_groups(["a", "b"], "x", 2)


def test_drawn_images_are_folds_of_one_size_and_say_where_groups_are_cut() -> None:
    names = [f"{'ab'[i > 12]}_{i:03d}" for i in range(22)]
    for pattern, alone in ((None, True), ("^[^_]+", False), (".*", True)):
        folds = of_images(names, pattern, 4)
        assert sorted(np.bincount(folds.number)) == [5, 5, 6, 6]
        assert folds.alone is alone
        assert "4 folds of images drawn at random" in folds.said


def test_parts_of_a_split_are_told_apart_and_read_as_the_whole(tmp_path) -> None:
    """Folds of one size are runs with names of their own, of drawn images too."""
    for source in (Shapes(length=6, size=(32, 32)), ImageFolder(own(tmp_path / "own"), "all")):
        halves = [part_of(source, numbers) for numbers in ([0, 2, 4], [1, 3, 5])]
        assert len({of_split(part) for part in (*halves, source)}) == 3
        assert [part.name(2) for part in halves] == [source.name(4), source.name(5)]
        for mine, whole in zip(halves[1].read(1), source.read(3), strict=True):
            assert (mine == whole).all()
        assert len(source) == len(part_of(source, range(len(source))))
