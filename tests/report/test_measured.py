"""What a report says of differences: over seeds and images where runs kept counts, else over the seeds; after scipy."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scaseg.errors import UserError
from scaseg.evaluation.regions import class_iou
from scaseg.report.measured import Measured, measured
from scaseg.report.paper_table import paper_table
from scaseg.report.runs import Run, by_seed, collect
from scaseg.report.runs_table import runs_table
from scaseg.statistics.crossed import estimate, grouped, sample, summed
from scaseg.typed import to_plain
from tests.report.folders import run_folder, with_counts
from tests.statistics.simulated import World

WORLD = World(1, False)


def rows_of(root: Path, *groups: str) -> list[dict[int, Run]]:
    """The runs of folders whose names begin so."""
    runs, problems = collect(str(root))
    assert problems == []
    return [by_seed([run for run in runs if run.folder.name.startswith(name)], name) for name in groups]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    (better, worse), _ = WORLD.models(np.random.default_rng(1), 2, 3, 50)
    with_counts(tmp_path, "sca", better, "decoder.attn=sca")
    with_counts(tmp_path, "ca", worse, "decoder.attn=ca", "lpm=none")
    return tmp_path


@pytest.mark.parametrize("pattern", [None, "^[a-z]"])
def test_with_counts_intervals_are_those_of_seeds_and_images(sweep: Path, pattern: str | None) -> None:
    rows = rows_of(sweep, "sca", "ca")
    found = measured("shapes", rows, {0: 1, 1: 1}, pattern)
    names = [f"{'abcde'[i // 10]}_{i}" for i in range(50)]
    (a, b), _ = WORLD.models(np.random.default_rng(1), 2, 3, 50)
    samples = [
        sample(
            [summed({"region": np.round(one["region"])}, grouped(names, pattern)) for one in runs],
            lambda sums: class_iou(sums["region"]),
        )
        for runs in (a, b)
    ]
    expected = estimate(samples[0], 0.95, samples[1])
    change = found.rows[0].change
    assert change is not None
    assert (change.value, change.low, change.high, change.better) == pytest.approx(
        (expected.value, expected.low, expected.high, expected.better)
    )
    assert found.rows[0].p_holm == pytest.approx(expected.p_value)
    assert found.rows[1].change is None
    assert (found.images, found.groups) == (True, 5 if pattern else 50)
    assert found.note().startswith("Intervals on shapes are over seeds and images together (95 %, ")
    assert 0 < found.rows[0].beside["worst"] < found.rows[0].beside["image"] < 100


def test_tables_have_the_interval_the_worst_images_and_what_holds(sweep: Path) -> None:
    runs, _ = collect(str(sweep))
    table = runs_table(runs, baseline="1")
    headings = [column.heading for column in table.columns]
    assert headings[-5:] == ["mIoU", "95 %", "mIoU an image", "worst 10% of images", "Δ baseline"]
    assert " to " in table.rows[1][headings.index("95 %")].text
    assert " P 0." in table.rows[1][-1].text
    of_paper = paper_table(5, runs, baseline="+ CA")
    assert any("over seeds and images together" in note for note in of_paper.notes)


def test_one_group_of_images_leaves_the_seeds(sweep: Path) -> None:
    rows = rows_of(sweep, "sca", "ca")
    found = measured("shapes", rows, {0: 1}, "_")
    assert (found.images, found.groups) == (False, 1)
    assert "nothing of others" in found.note()
    values = [[run.miou for run in row.values()] for row in rows]
    expected = stats.ttest_ind(*values, equal_var=False).confidence_interval(0.95)
    change = found.rows[0].change
    assert change is not None
    assert (change.low, change.high) == pytest.approx(tuple(expected))


def test_groups_of_the_runs_own_dataset(sweep: Path) -> None:
    for folder in sweep.iterdir():
        text = (folder / "result.json").read_text()
        (folder / "result.json").write_text(text.replace('"train_split"', '"groups": "^[a-z]", "train_split"'))
    rows = rows_of(sweep, "sca", "ca")
    assert measured("shapes", rows).groups == 5
    config = rows[0][0].config
    assert config.dataset.groups == "^[a-z]"
    plain = config.identity()
    assert "groups" not in plain["dataset"]
    assert "groups" in to_plain(config)["dataset"]


def test_counts_of_another_run_are_refused(sweep: Path) -> None:
    text = (sweep / "sca0" / "counts.npz").read_bytes()
    (sweep / "ca0" / "counts.npz").write_bytes(text)
    with pytest.raises(UserError, match=r"ca0/counts.npz gives an mIoU of .* they are not of one run"):
        measured("shapes", rows_of(sweep, "sca", "ca"))


def of_values(*groups: Sequence[float]) -> Measured:
    rows = []
    for number, values in enumerate(groups):
        config = DEFAULT[0].config
        runs = [
            Run(Path(f"{number}-{seed}"), "shapes", "", "", seed, v, 8, 0, config, {}) for seed, v in enumerate(values)
        ]
        rows.append({run.seed: run for run in runs})
    return measured("shapes", rows, {1: 0})


@pytest.fixture(scope="module", autouse=True)
def _default(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("run")
    run_folder(root, "one", 1.0)
    DEFAULT[:] = collect(str(root))[0]


DEFAULT: list[Run] = []
VALUES = st.lists(st.integers(0, 1000), min_size=2, max_size=6, unique=True)


@settings(max_examples=30, deadline=None)
@given(VALUES, VALUES)
def test_without_counts_the_seeds_are_welchs(first: list[int], second: list[int]) -> None:
    a, b = ([value / 10 for value in values] for values in (first, second))
    change = of_values(b, a).rows[1].change
    assert change is not None
    test = stats.ttest_ind(a, b, equal_var=False)
    expected = test.confidence_interval(0.95)
    assert (change.low, change.high) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)
    assert change.p_value == pytest.approx(test.pvalue, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [([1.0], [2.0]), ([1.0], [2.0, 3.0]), ([2.0, 3.0], [1.0])])
def test_one_seed_bounds_nothing(a: list[float], b: list[float]) -> None:
    row = of_values(a, b).rows[1]
    assert row.change is not None
    assert np.isnan(row.change.low)
    assert "[" not in row.difference.text


def test_constant_groups() -> None:
    change = of_values([1.0, 1.0, 1.0], [2.0, 2.0]).rows[1].change
    assert change is not None
    assert (change.value, change.low, change.high) == (1.0, 1.0, 1.0)
