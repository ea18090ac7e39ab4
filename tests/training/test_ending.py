"""Trainings that end before their last step, by callbacks or by time, and those that are measured in passes."""

from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.runs.asked import asked, name_of
from tests.test_cli import Cli, cli
from tests.training.test_resume import Cut, CutOffError
from tests.training.tiny import QUIET, TINY, config, folder_of, rows, run

__all__ = ["cli"]
pytestmark = QUIET
STOPPING = [
    *("callbacks=early_stopping", "callbacks.early_stopping.patience=2", "callbacks.early_stopping.min_delta=100"),
    *("training.val_every=2", "training.max_steps=12"),
]


def test_early_stopping_ends_with_a_result_and_resumes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It never comes 100 points above its first figure: the two validations after it are its patience."""
    whole, parts = (config(tmp_path / name, *STOPPING) for name in ("whole", "parts"))
    with caplog.at_level("INFO"):
        result = run(whole)
    assert result["step"] == 6
    assert "early_stopping ended training at step 6 of 12" in caplog.text
    assert [row["step"] for row in rows(folder_of(whole)) if row["val/mIoU"]] == ["2", "4", "6"]
    with pytest.raises(CutOffError):
        run(parts, Cut("on_train_batch_start", 5))
    again = run(parts)
    assert (again["step"], again["mIoU"]) == (6, result["mIoU"])
    one, other = (torch.load(folder_of(cfg) / "checkpoints/last.ckpt", weights_only=True) for cfg in (whole, parts))
    assert all(torch.equal(value, other["state_dict"][key]) for key, value in one["state_dict"].items())


def test_time_ends_with_a_validation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cfg = config(tmp_path, "training.max_time=00:00:00:01", "training.max_steps=4000", "training.val_every=4000")
    with caplog.at_level("INFO"):
        result = run(cfg)
    assert 0 < result["step"] < 4000
    assert f"training.max_time ended training at step {result['step']} of 4000" in caplog.text
    assert result["mIoU"] is not None
    assert rows(folder_of(cfg))[-1]["val/mIoU"]
    assert (folder_of(cfg) / "checkpoints/last.ckpt").exists()


def test_passes_over_the_data(tmp_path: Path) -> None:
    """11 images by 4 are 3 steps a pass."""
    passes = [one for one in TINY if not one.startswith(("training.max_steps", "training.val_every"))]
    cfg = run_config(compose("train", [*passes, f"output_dir={tmp_path}", "training.max_epochs=6"]))
    found = asked(cfg).config.training
    assert (found.max_steps, found.val_every) == (18, 18)
    fewer = run_config(compose("train", [*passes, "training.max_epochs=6", "training.val_every=10"]))
    assert (asked(fewer).config.training.max_steps, asked(fewer).config.training.val_every) == (18, 9)
    least = run_config(compose("train", [*passes, "training.max_epochs=5", "training.val_every=2"]))
    assert asked(least).config.training.val_every == 3
    assert asked(cfg).config.name == name_of(cfg, {}) != asked(config(tmp_path)).config.name
    two = run_config(compose("train", [*passes, f"output_dir={tmp_path}", "training.max_epochs=2"]))
    assert run(two)["step"] == 6


def test_a_callback_of_ones_own(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_too.py").write_text(
        "import pathlib\n\nfrom lightning.pytorch import Callback\n\n\n"
        "class Says(Callback):\n"
        "    def __init__(self, word):\n"
        "        self.word = word\n\n"
        "    def on_fit_end(self, trainer, pl_module):\n"
        "        pathlib.Path('said').write_text(f'{self.word} {trainer.global_step}')\n"
    )
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "conf/callbacks/says.yaml").write_text(
        "# @package callbacks.says\n_target_: mine_too.Says\nword: hello\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    status, _, err = cli(
        "train", f"hydra.searchpath=[file://{tmp_path}/conf]", *TINY, "callbacks=[early_stopping,says]"
    )
    assert status == 0, err
    assert Path("said").read_text() == "hello 8"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["callbacks=early_stoping"], "callbacks=early_stoping: no such choice; did you mean early_stopping?"),
        (
            ["callbacks=early_stopping", "callbacks.early_stopping.monitor=x"],
            "monitor=x: choose one of val/mIoU, ",
        ),
        (["callbacks=early_stopping", "+callbacks.early_stopping.x=1"], "has no option x; it has monitor"),
        (["training.max_time=90"], "training.max_time=90: days, hours, minutes, seconds, such as 00:01:30:00"),
        (["training.max_epochs=0"], "training.max_epochs=0 must be at least 1"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, options: list[str], message: str) -> None:
    status, _, err = cli("train", *TINY, *options)
    assert status == 2
    assert message in err
    assert not Path("runs").exists()


def test_at_what_they_are_without_them_names_stay() -> None:
    plain = run_config(compose("train")).name
    assert (
        run_config(compose("train", ["callbacks=[]", "training.max_time=null", "training.max_epochs=null"])).name
        == plain
    )
    assert run_config(compose("train", ["callbacks=early_stopping"])).name != plain
    with pytest.raises(UserError):
        run_config(compose("train", ["training.max_time=1:2:3"]))
