"""A run whose record lies in `records` is done, here and in a sweep; what is left holds no path of this machine."""

import json
from pathlib import Path

import pytest

from scaseg.errors import UserError
from scaseg.report.runs import collect
from scaseg.runs import store
from scaseg.runs.counts import read_counts
from scaseg.runs.records import leave, take
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, TINY, command, execute

__all__ = ["cli"]
pytestmark = QUIET


def test_what_one_machine_ran_another_does_not(cli: Cli, tmp_path: Path) -> None:
    status, out, err = cli("train", *TINY, "records=kept", f"output_dir={tmp_path}/here")
    assert status == 0, err
    (record,) = Path("kept").iterdir()
    assert f"record:   {record}" in out
    (run,) = Path("here").glob("shapes*")
    assert {path.name for path in record.iterdir()} == {"result.json", "metrics.csv", "counts.npz"}
    assert (record / "metrics.csv").read_text() == (run / "metrics.csv").read_text()
    assert str(tmp_path) not in (record / "result.json").read_text()

    status, out, _ = cli("train", *TINY, "records=kept", "output_dir=there")
    assert status == 0
    assert "has its result from kept" in out and "is done: mIoU" in out
    there = Path("there", run.name)
    assert not (there / "checkpoints").exists()
    assert read_counts(there).names == read_counts(run).names
    (found,), problems = collect("there")
    assert (found.miou, problems) == (json.loads((run / "result.json").read_text())["mIoU"], [])
    status, out, _ = cli("train", *TINY, "records=kept", "output_dir=there", "fresh=true")
    assert status == 0 and "starting" not in out and (there / "checkpoints").exists()


def test_a_sweep_skips_what_has_a_record(tmp_path: Path) -> None:
    records = f"records={tmp_path}/kept"
    assert execute(command(tmp_path / "here", records, "seed=1")).returncode == 0
    done = execute(command(tmp_path / "there", records, "seed=1,2", "--multirun"))
    assert done.returncode == 0, done.stderr
    assert "2 of 2 jobs done" in done.stdout + done.stderr
    trained = [path for path in (tmp_path / "there").glob("shapes*") if (path / "checkpoints").exists()]
    assert len(trained) == 1 and "-s2-" in trained[0].name
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_what_is_no_record_or_no_place_for_one_is_said_before_training(cli: Cli, tmp_path: Path) -> None:
    status, _, err = cli("train", *TINY, "records=/proc/kept")
    assert status == 2 and "error: records=/proc/kept: /proc cannot be written to" in err
    Path("file").touch()
    status, _, err = cli("train", *TINY, "records=file")
    assert status == 2 and "error: records=file is a file: name a folder" in err
    assert not Path("runs").exists()
    status, _, err = cli("train", *TINY, "records=kept", "output_dir=here")
    assert status == 0, err
    (record,) = Path("kept").iterdir()
    result = json.loads((record / "result.json").read_text())
    for content in ("{", "[]", "{}", json.dumps({**result, "config": {**result["config"], "seed": 9}})):
        (record / "result.json").write_text(content)
        for more in ([], ["--multirun", "seed=0"]):
            status, _, err = cli("train", *TINY, "records=kept", "output_dir=there", *more)
            assert status == 2 and f"error: records=kept: {record.name} is no record of this run (" in err
    assert not list(Path("there").glob("shapes*"))


def test_a_folder_in_which_a_run_is_trained_takes_no_record(tmp_path: Path) -> None:
    (tmp_path / "kept" / "name").mkdir(parents=True)
    (tmp_path / "kept" / "name" / "result.json").write_text("{}")
    (tmp_path / "run").mkdir()
    with store.held(tmp_path / "run"):
        assert not take("name", tmp_path / "run", str(tmp_path / "kept"))


def test_what_is_unfinished_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match=r"result.json can't be read"):
        leave(tmp_path / "run", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    (tmp_path / "kept" / "name").mkdir(parents=True)
    assert not take("name", tmp_path / "run", str(tmp_path / "kept"))
    assert not take("name", tmp_path / "run", None)
