"""hydra/sweeper=optuna: trials are jobs, and a search that was killed goes on with the same command."""

import csv
from pathlib import Path

import pytest

from scaseg.runs import store
from tests.sweep.test_launcher import start, sweep, traced

pytest.importorskip("optuna")
SPACE = ["hydra/sweeper=optuna", "training.lr=tag(log,interval(1e-4,1e-2))", "decoder.embed_channels=choice(16,32)"]


def trials(output: Path) -> list[dict[str, str]]:
    with (output / "search.optuna" / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    output, go = tmp_path / "runs", {"FAKE_GO": str(tmp_path / "go")}
    program = [*SPACE, "hydra.sweeper.trials=2", "seed=8", "hydra.launcher.max_parallel=2"]
    first = start(output, *program, **go)
    while len(traced(output)) < 2:
        assert first.poll() is None
    first.kill()
    first.communicate()
    (tmp_path / "go").touch()
    again = start(output, *program, **go)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert "2 of 2 trials finished" in out
    assert "best mIoU 48.00" in out
    assert sorted(traced(output).values()) == [1, 1]  # the jobs of the first search, and no others
    found = trials(output)
    assert [trial["state"] for trial in found] == ["complete", "complete"]
    assert all(1e-4 < float(trial["training.lr"]) < 1e-2 for trial in found)
    assert all(trial["decoder.embed_channels"] in ("16", "32") for trial in found)
    assert all(store.read(folder)["status"] == "done" for folder in output.glob("shapes*"))


def test_mistakes_of_a_search_are_named(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    status, said = sweep(output, "hydra/sweeper=optuna", "seed=0")
    assert status == 2
    assert "error: nothing to search" in said
    status, said = sweep(output, "hydra/sweeper=optuna", "training.lr=tag(log,interval(0,1))")
    assert status == 2
    assert "error: training.lr=tag(log,interval(0,1)): the lower end first" in said
