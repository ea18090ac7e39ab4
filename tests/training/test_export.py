"""Evaluation of splits without masks, exports, several scales: through the command's own functions."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import pytest
import torch

from scaseg.config import compose, run_config, typed
from scaseg.data.ade20k import ADE20K
from scaseg.errors import UserError
from scaseg.evaluation.metrics import scores
from scaseg.evaluation.protocol import Mode, Protocol
from scaseg.evaluation.submission import check
from scaseg.schema import EvaluateConfig
from scaseg.training.evaluate import evaluate
from tests.data.layouts import write
from tests.training.tiny import QUIET, TINY, config, folder_of, run

pytestmark = QUIET


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint of three steps on a tiny ADE20K, and its data."""
    folder = tmp_path_factory.mktemp("ade")
    data = write("ade20k", folder / "data", count=3)
    cfg = run_config(
        compose(
            "train",
            [
                "dataset=ade20k",
                f"data_dir={data}",
                f"output_dir={folder}/runs",
                *(option for option in TINY if not option.startswith("dataset.")),
                "training.max_steps=1",
                "training.val_every=1",
                "augment.resize_box=[64,48]",
                "protocol.box=[64,48]",
                "hardware.cache=ram",
            ],
        )
    )
    run(cfg)
    return folder_of(cfg) / "checkpoints" / "last.ckpt", data


def evaluated(ckpt: Path, *options: str) -> dict[str, Any]:
    return evaluate(typed(compose("evaluate", [f"ckpt={ckpt}", "hardware.accelerator=cpu", *options]), EvaluateConfig))


def test_a_split_without_masks_is_exported_and_has_no_figures(trained: tuple[Path, Path], tmp_path: Path) -> None:
    ckpt, data = trained
    with pytest.raises(UserError, match=r"split=test has no masks to compare with: submission=FOLDER"):
        evaluated(ckpt, "split=test")
    result = evaluated(ckpt, "split=test", f"submission={tmp_path}/out", "hardware.num_workers=0")
    assert result["mIoU"] is None
    assert result["per_class"] is None
    assert result["images"] == 3
    assert result["submission"] == str(tmp_path / "out/test_submission.zip")
    assert Path(result["submission"]).is_file()
    assert check(tmp_path / "out", ADE20K(data, "test")).sum() == 0
    saved = json.loads(next((ckpt.parents[1] / "evaluation").glob("test-*/result.json")).read_text())
    assert saved["mIoU"] is None
    with pytest.raises(UserError, match="is there already"):
        evaluated(ckpt, "split=test", f"submission={tmp_path}/out")


def test_an_export_of_a_split_with_masks_gives_its_figures(trained: tuple[Path, Path], tmp_path: Path) -> None:
    ckpt, data = trained
    result = evaluated(ckpt, f"submission={tmp_path}/out", f"output={tmp_path}/result", "hardware.num_workers=0")
    again = scores(check(tmp_path / "out", ADE20K(data, "val")))
    assert again.mean_iou == result["mIoU"]
    assert again.pixel_accuracy == result["pixel_accuracy"]


@pytest.mark.parametrize("batch", [1, 2])
def test_scales_and_flip_are_an_evaluation_option(trained: tuple[Path, Path], batch: int, tmp_path: Path) -> None:
    ckpt, _ = trained
    views = ["protocol.scales=[0.5,1.0,1.5]", "protocol.flip=true", f"output={tmp_path}"]
    workers = ["hardware.num_workers=0", f"hardware.eval_batch_size={batch}"]
    result = evaluated(ckpt, *views, *workers)
    assert result["protocol"]["scales"] == [0.5, 1.0, 1.5]
    assert result["protocol"]["flip"] is True
    assert sum(c["pixels"] for c in result["per_class"].values()) > 0


def test_views_of_one_size_and_of_several(tmp_path: Path) -> None:
    """A batch of images of one size, and one of several, have the same predictions."""
    from scaseg.data.datasets import EvalSamples, collate_eval
    from scaseg.data.shapes import Shapes
    from scaseg.training.task import SegmentationTask, _same_size

    protocol = Protocol(box=[64, 48], scales=[1.0, 0.75])
    items = [EvalSamples(Shapes(size=size, length=2), protocol)[0] for size in ((48, 64), (48, 64), (40, 64))]
    batch = collate_eval(items[:2])
    ((views, masks),) = _same_size(batch)
    assert [tuple(view.shape) for view in views] == [(2, 3, 48, 64), (2, 3, 36, 48)]
    assert masks.shape == (2, 48, 64)
    mixed = _same_size(collate_eval(items[1:]))
    assert [tuple(view.shape) for view in mixed[0][0]] == [(1, 3, 48, 64), (1, 3, 36, 48)]
    assert torch.equal(mixed[0][0][1], views[1][1:])
    cfg = config(tmp_path, "protocol.scales=[1.0,0.75]", "protocol.flip=true")
    task = SegmentationTask(cfg, Shapes.labels).eval()
    with torch.inference_mode():
        together = task.validation_step(batch, 0)
        alone = [task.validation_step(collate_eval([item]), 0)[0] for item in items[:2]]
    agree = [(a == b).double().mean() for a, b in zip(together, alone, strict=True)]
    assert min(agree) > 0.99


@pytest.mark.parametrize("key", ["train_split", "val_split"])
def test_training_wants_masks(
    key: str,
    trained: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from scaseg.train import main

    monkeypatch.chdir(tmp_path)
    arguments = ["dataset=ade20k", f"data_dir={trained[1]}", f"dataset.{key}=test"]
    monkeypatch.setattr(sys, "argv", ["scaseg.train", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err == f"error: dataset.{key}=test has no masks: choose another split of ade20k\n"
    assert list(tmp_path.iterdir()) == []


def test_protocols_in_words() -> None:
    protocol = run_config(compose("train", ["dataset=cityscapes"])).protocol
    assert protocol.in_words == "windows [1024, 1024], stride [768, 768], in a box of [2048, 1024]"
    words = replace(protocol, mode=Mode.whole, scales=[0.5, 1.0], flip=True).in_words
    assert words == "whole image in a box of [2048, 1024], scales [0.5, 1.0], flipped too"


@pytest.mark.parametrize("scales", ["[]", "[0.0,1.0]"])
def test_scales_that_are_none(scales: str) -> None:
    with pytest.raises(UserError, match="at least one factor above 0"):
        compose("train", [f"protocol.scales={scales}"])
