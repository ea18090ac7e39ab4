"""Optimizers by schedules, losses, loggers, callbacks, transforms: ten steps, cut off and resumed, and an export."""

from itertools import product
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix

import pytest
import torch
from safetensors.torch import load_file

import scaseg
from scaseg.config import CONF_DIR, compose, run_config
from scaseg.schema import Run
from tests.training.test_resume import Cut, CutOffError, assert_equal_runs
from tests.training.tiny import QUIET, config, folder_of, run

pytestmark = QUIET
STEPS = ["training.max_steps=10", "training.val_every=5", "training.checkpoint_every=3", "pictures=0"]


def shipped(group: str) -> list[str]:
    return sorted(path.stem for path in Path(CONF_DIR, group).glob("*.yaml"))


TURN = "{_target_: albumentations.OneOf, p: 0.7, transforms: [{_target_: albumentations.Rotate}]}"
CHOICES = [
    *([f"optimizer={one}", f"schedule={other}"] for one, other in product(shipped("optimizer"), shipped("schedule"))),
    *([f"{group}=[{one}]"] for group in ("loss", "logger", "callbacks") for one in shipped(group)),
    [
        f"augment.before=[{TURN},{{_target_: albumentations.RandomCrop, height: 24, width: 40}}]",
        f"augment.transforms=[{TURN}]",
    ],
]


def checkpoint(cfg: Run) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(folder_of(cfg) / "checkpoints" / "last.ckpt", weights_only=True)
    return loaded


@pytest.mark.parametrize("choice", CHOICES, ids="-".join)
def test_ten_steps_resume_bit_for_bit_and_export(
    choice: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    whole, parts = (config(tmp_path / name, *STEPS, *choice) for name in ("whole", "parts"))
    result = run(whole)
    with pytest.raises(CutOffError):
        run(parts, Cut("on_train_batch_start", 5))
    assert run(parts)["per_class"] == result["per_class"]
    assert_equal_runs(folder_of(parts), folder_of(whole))
    one = checkpoint(whole)
    assert any(not torch.equal(one["state_dict"][key], value) for key, value in first_weights(whole).items())
    scaseg.save_pretrained(folder_of(whole), tmp_path / "saved")
    assert load_file(tmp_path / "saved" / "model.safetensors")


def first_weights(cfg: Run) -> dict[str, torch.Tensor]:
    """Before the first step."""
    from scaseg.data.shapes import Shapes
    from scaseg.training.task import SegmentationTask

    torch.manual_seed(cfg.seed)
    return {
        key: value for key, value in SegmentationTask(cfg, Shapes.labels).state_dict().items() if key.endswith("weight")
    }


def test_the_papers_recipe_is_what_is_there_without_a_choice() -> None:
    """AdamW, linear decay of the rate, cross-entropy: spelled out it is the same run."""
    spelled = ["loss=[cross_entropy]", "optimizer=adamw", "schedule=poly", "logger=[csv]"]
    assert run_config(compose("train", spelled)).name == run_config(compose("train")).name
