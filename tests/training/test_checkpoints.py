"""Checkpoints are whole on disk or not there, and the last whole one is what a run goes on from."""

import errno
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch

from scaseg import files
from scaseg.errors import UserError
from tests.conftest import ROOT
from tests.training.test_resume import assert_equal_runs
from tests.training.tiny import QUIET, command, config, execute, folder_of, rows, run

pytestmark = QUIET


def test_tmpdir_has_no_part_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there stands for one that is full or on another disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    cfg = config(tmp_path / "runs", "training.max_steps=2", "training.val_every=2")
    assert run(cfg)["step"] == 2
    assert {path.name for path in (folder_of(cfg) / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_on_a_full_disk_the_last_whole_checkpoint_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = config(tmp_path / "runs")
    folder, replace = folder_of(cfg), Path.replace

    def full(path: Path, target: Path) -> Path:
        if target.name == "last.ckpt" and target.exists() and target.stat().st_mtime_ns > 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match=r"last\.ckpt: no space left on its disk \(.* MB free, \d\.\d MB needed\)"):
        run(cfg)
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 3
    monkeypatch.setattr(Path, "replace", replace)
    run(cfg)
    whole = config(tmp_path / "whole")
    run(whole)
    assert_equal_runs(folder, folder_of(whole))


def test_a_full_disk_before_the_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: Any, **__: Any) -> None:
        raise files.no_space(path, 100)

    monkeypatch.setattr("scaseg.runs.store.write_json", full)
    with pytest.raises(UserError, match=r"status\.json: no space left"):
        run(config(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"output_dir=.*file: the run's folder shapes-.* cannot be written there \(Not a"
    ):
        run(config(tmp_path / "file"))


@pytest.mark.slow
def test_killed_while_saving_and_the_same_command(tmp_path: Path) -> None:
    """A checkpoint at every step: a kill at any moment falls into a save now and then."""
    options = ["training.max_steps=40", "training.val_every=20", "training.checkpoint_every=1"]
    started, folder = command(tmp_path / "cut", *options), folder_of(config(tmp_path / "cut", *options))
    for row in (4, 12, 22, 30):
        process = subprocess.Popen(started, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (folder / "metrics.csv").exists() or int(rows(folder)[-1]["step"] if rows(folder) else 0) < row:
            assert process.poll() is None
            time.sleep(0.003)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] >= row - 2
    assert execute(started).returncode == 0
    whole = config(tmp_path / "whole", *options)
    run(whole)
    assert_equal_runs(folder, folder_of(whole))
