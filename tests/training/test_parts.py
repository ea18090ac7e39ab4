"""A step's batch in parts, one after the other or on several processes, learns what the whole batch would."""

import sys
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from scaseg.losses.cross_entropy import IGNORE_INDEX, CrossEntropy
from scaseg.losses.dice import Dice
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.training.trainer import process_rank
from tests.training.tiny import QUIET, config, execute, on_own, own, rows, run

pytestmark = QUIET
SHARES = (0.19, 0.79, 0.30, 0.22, 0.0, 1.0)  # of each image's pixels that are labelled
SAME = ["decoder.drop_path=0", "decoder.dropout=0", "backbone.drop_path=0", "training.warmup_steps=0"]


class Gradients(Callback):
    """Freezes BatchNorm and keeps the gradients of the first step, and the loss that it was told."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.global_step == 1 and not self.found:
            self.found = {name: p.grad.clone() for name, p in pl_module.named_parameters()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images to train on, of which unlike shares are labelled."""
    root = own(tmp_path_factory.mktemp("data") / "own")
    for n, share in enumerate(SHARES):
        path = str(root / f"masks/{n}.png")
        mask = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        mask[:, int(64 * share) :] = IGNORE_INDEX
        cv2.imwrite(path, mask)
    return root


def options(data: Path) -> list[str]:
    return [
        *(*on_own(data), *SAME, "augment.cat_max_ratio=1", "augment.scale=[1,1]", "training.batch_size=6"),
        *("training.log_every=1", "training.max_steps=1", "training.val_every=1"),
    ]


def gradients(output: Path, *overrides: str) -> tuple[dict[str, torch.Tensor], float]:
    seen, cfg = Gradients(), config(output, *overrides)
    folder = Path(cfg.output_dir) / run(cfg, seen)["run"]
    return seen.found, float(rows(folder)[0]["train/loss"])


def difference(found: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    """Relative, over all parameters together."""
    return float(
        torch.cat([(found[k] - right[k]).flatten() for k in right]).norm()
        / torch.cat([x.flatten() for x in right.values()]).norm()
    )


@pytest.mark.parametrize(
    "loss",
    [
        [],
        ["loss.cross_entropy.class_weights=[0.5,1,4]"],
        ["loss.cross_entropy.average=all"],
        ["loss.cross_entropy.ohem=true", "loss.cross_entropy.ohem_min_kept=1"],
    ],
    ids=["mean", "weighted", "all", "hard"],
)
def test_accumulated_gradients_are_the_whole_batchs(loss: list[str], data: Path, tmp_path: Path) -> None:
    whole, whole_loss = gradients(tmp_path / "whole", *options(data), *loss)
    for size in (1, 3):
        parts, loss_of_parts = gradients(
            tmp_path / f"parts{size}", *options(data), *loss, f"training.batch_size_per_device={size}"
        )
        assert difference(parts, whole) < 1e-5
        assert loss_of_parts == pytest.approx(whole_loss, rel=1e-5)


def test_dice_and_cross_entropy_are_weighed_by_what_is_labelled() -> None:
    """Dice is no mean over pixels: in parts it is each part's, by the same weights."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    target = torch.randint(0, 3, (2, 8, 8), generator=generator)
    target[0, :6] = IGNORE_INDEX
    loss = SegmentationLoss({"cross_entropy": CrossEntropy(), "dice": Dice()})
    parts = [loss.weighed(logits[i : i + 1], target[i : i + 1]) for i in (0, 1)]
    assert [float(weight) for _, weight in parts] == [16, 64]
    plain = SegmentationLoss({"cross_entropy": CrossEntropy()})
    whole, weight = plain.weighed(logits, target)
    together = sum(x * w for x, w in (plain.weighed(logits[i : i + 1], target[i : i + 1]) for i in (0, 1))) / weight
    torch.testing.assert_close(together, whole)


@pytest.mark.slow
def test_gradients_of_two_processes_are_the_whole_batchs(data: Path, tmp_path: Path) -> None:
    whole, _ = gradients(tmp_path / "whole", *options(data))
    program = [sys.executable, "-m", "tests.training.test_parts", str(tmp_path), *options(data)]
    for name, overrides in (("two", []), ("two and three", ["training.batch_size_per_device=1"])):
        done = execute([*program, "hardware.devices=2", f"output_dir={tmp_path / name}", *overrides])
        assert done.returncode == 0, done.stderr
        assert "training.sync_batchnorm=true does nothing on CPUs" in done.stderr
        assert difference(torch.load(tmp_path / "gradients.pt"), whole) < 1e-5


if __name__ == "__main__":
    found = gradients(Path(sys.argv[1]), *sys.argv[2:])[0]
    if process_rank() == 0:
        torch.save(found, Path(sys.argv[1]) / "gradients.pt")
