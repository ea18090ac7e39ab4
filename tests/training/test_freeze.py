"""Parts of the encoder that do not learn, rates by stage and by layer, blocks computed again: in whole trainings."""

from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch

from scaseg.config import compose, run_config
from scaseg.data.shapes import Shapes
from scaseg.errors import UserError
from scaseg.training.checks import say_ignored
from scaseg.training.task import SegmentationTask
from tests.training.test_resume import Cut, CutOffError
from tests.training.tiny import QUIET, TINY, config, folder_of, run

pytestmark = QUIET
MSCAN = ["backbone=mscan_t"]


def state(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return loaded


@pytest.mark.parametrize(
    ("freeze", "stays", "moves"),
    [
        ("all", ["model.encoder."], ["model.decoder."]),
        ("[1,2]", ["model.encoder.block1.", "model.encoder.patch_embed2."], ["model.encoder.block3."]),
        (
            "norm",
            ["model.encoder.block1.0.norm1.", "model.encoder.patch_embed1.proj.1."],
            ["model.encoder.block1.0.attn"],
        ),
    ],
)
def test_what_is_frozen_stays_with_its_statistics(
    freeze: str, stays: list[str], moves: list[str], tmp_path: Path
) -> None:
    cfg = config(tmp_path / "whole", *MSCAN, f"backbone.freeze={freeze}")
    run(cfg)
    after = state(folder_of(cfg))
    for prefix in stays:
        mine = [key for key in after if key.startswith(prefix)]
        assert any("running_mean" in key for key in mine)
        changed = [key for key in mine if not torch.equal(after[key], FIRST[0][key])]
        assert changed == []
    for prefix in moves:
        assert any(not torch.equal(after[key], FIRST[0][key]) for key in after if key.startswith(prefix))
    parts = config(tmp_path / "parts", *MSCAN, f"backbone.freeze={freeze}")
    with pytest.raises(CutOffError):
        run(parts, Cut("on_train_batch_start", 5))
    run(parts)
    assert all(torch.equal(value, after[key]) for key, value in state(folder_of(parts)).items())


FIRST: list[dict[str, Any]] = []


@pytest.fixture(scope="module", autouse=True)
def _first(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Weights as they are drawn by a training: those of a run whose rate is 0."""
    still = ["training.lr=0", "training.max_steps=1", "training.val_every=1", "training.warmup_steps=0"]
    cfg = config(tmp_path_factory.mktemp("first"), *MSCAN, *still, "backbone.freeze=norm")
    run(cfg)
    FIRST[:] = [state(folder_of(cfg))]


def test_rates_by_stage() -> None:
    task = SegmentationTask(run_config(compose("train", [*TINY, "training.encoder_lr_decay=0.5"])), Shapes.labels)
    lr = task.config.training.lr
    rates = {name: group["lr"] / lr for group in task.parameter_groups() for name in group["names"]}
    assert rates["encoder.block1.0.attn.q.weight"] == 0.125
    assert rates["encoder.norm3.weight"] == 0.5
    assert rates["encoder.block4.0.attn.q.weight"] == 1
    assert {rate for name, rate in rates.items() if name.startswith("decoder.")} == {
        task.config.training.decoder_lr_mult
    }
    decayed = {name for group in task.parameter_groups() for name in group["names"] if group["weight_decay"]}
    plain = SegmentationTask(run_config(compose("train", TINY)), Shapes.labels)
    assert decayed == {name for group in plain.parameter_groups() for name in group["names"] if group["weight_decay"]}
    assert len(plain.parameter_groups()) < len(task.parameter_groups())


def test_rates_by_layer_are_resumed(tmp_path: Path) -> None:
    by_layer = ["training.encoder_lr_decay=0.5", "training.encoder_lr_decay_by=layer"]
    whole, parts = (config(tmp_path / name, *by_layer) for name in ("whole", "parts"))
    run(whole)
    with pytest.raises(CutOffError):
        run(parts, Cut("on_train_batch_start", 5))
    run(parts)
    after = state(folder_of(whole))
    assert all(torch.equal(value, after[key]) for key, value in state(folder_of(parts)).items())
    assert config(tmp_path, "training.encoder_lr_decay_by=stage").name == config(tmp_path).name
    assert config(tmp_path, *by_layer[:1]).name != whole.name
    (last,) = (tmp_path / "whole").glob("*/checkpoints/last.ckpt")
    with pytest.raises(UserError, match=r"arranged for .*encoder_lr_decay=0.5 by layer, and .*=0.5 by stage is asked"):
        run(config(tmp_path / "second", *by_layer[:1], f"ckpt_path={last}"))


def test_a_decay_of_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    say_ignored(config(tmp_path, "training.encoder_lr_decay_by=layer"), Shapes())
    assert "encoder_lr_decay_by=layer does nothing with training.encoder_lr_decay=1" in caplog.text


def test_recomputing_changes_no_figure_and_no_name(tmp_path: Path) -> None:
    one, other = (
        config(tmp_path / str(again), *MSCAN, f"hardware.recompute_encoder={again}") for again in (True, False)
    )
    assert one.name == other.name
    assert run(one)["per_class"] == run(other)["per_class"]
    first, second = state(folder_of(one)), state(folder_of(other))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    for value in ("some", "[0]", "[5]", "[]", "1"):
        with pytest.raises(UserError, match=r"backbone.freeze=.*: all, norm, or stages from 1 to 4 such as \[1,2\]"):
            config(tmp_path, f"backbone.freeze={value}")
    with pytest.raises(UserError, match=r"backbone.freeze=norm: this encoder has no BatchNorm"):
        run(config(tmp_path, "backbone.freeze=norm"))
    run(config(tmp_path / "first"))
    (last,) = (tmp_path / "first").glob("*/checkpoints/last.ckpt")
    with pytest.raises(
        UserError, match=r"arranged for training.decay=published, and .* backbone.freeze=\[1\] is asked"
    ):
        run(config(tmp_path / "second", "backbone.freeze=[1]", f"ckpt_path={last}"))
