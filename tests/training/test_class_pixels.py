"""`class_weights=auto` in a run: counted once, said, and kept with the run, which keeps its name."""

import sys
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import torch
import yaml

from scaseg.data.shapes import Shapes
from scaseg.errors import UserError
from scaseg.losses.class_weights import by_frequency
from scaseg.runs.asked import asked
from scaseg.runs.checkpoint import read_checkpoint
from scaseg.training import class_pixels
from scaseg.training.recipe import build_loss
from scaseg.training.task import SegmentationTask
from tests.training.test_resume import Cut, CutOffError
from tests.training.test_run import evaluated
from tests.training.tiny import QUIET, config, execute, folder_of, on_own, own, run

pytestmark = QUIET
AUTO = "loss.cross_entropy.class_weights=auto"
STRIPES = [6 * 32 * int(n) for n in np.bincount(np.arange(64) * 3 // 64)]  # of tiny.own: six images to train on


def never(*_: object, **__: object) -> None:
    raise AssertionError("counted again")


def test_they_are_counted_once_said_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = own(tmp_path / "data")
    cfg = config(tmp_path / "runs", *on_own(data), AUTO)
    with caplog.at_level("INFO", "scaseg"), pytest.raises(CutOffError):
        run(cfg, Cut("on_train_batch_end", 4))
    folder = folder_of(cfg)
    weights = by_frequency(STRIPES)
    shown = ", ".join(f"{name} {weight:.2f}" for name, weight in zip("abc", weights, strict=True))
    said = "loss.cross_entropy.class_weights=auto: of each class 1 / ln(1.1 + its share of the labelled pixels)"
    assert said in caplog.text and shown in caplog.text
    assert shown in (folder / "log.txt").read_text()
    kept = yaml.safe_load((folder / "config.yaml").read_text())
    assert kept["class_pixels"] == {"train": STRIPES}
    assert kept["loss"]["cross_entropy"]["class_weights"] == "auto"

    monkeypatch.setattr(class_pixels, "survey", never)
    assert run(cfg)["run"] == folder.name
    saved = read_checkpoint(folder / "checkpoints/last.ckpt", "ckpt").run
    assert (saved.name, saved.class_pixels) == (folder.name, {"train": STRIPES})
    assert evaluated(folder)["mIoU"] is not None


def test_they_are_what_such_a_list_is(tmp_path: Path) -> None:
    data, trained = own(tmp_path / "data"), []
    for place, given in (("auto", "auto"), ("list", str(by_frequency(STRIPES)))):
        cfg = config(tmp_path / place, *on_own(data), f"loss.cross_entropy.class_weights={given}")
        run(cfg)
        trained.append(torch.load(folder_of(cfg) / "checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(trained[0][key], trained[1][key]) for key in trained[1])


@pytest.mark.parametrize("rank", ["0", "1"])
def test_each_process_has_those_of_the_whole_split(rank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun starts it, before the first has kept them; the first alone says that it counts."""
    monkeypatch.setenv("RANK", rank)
    said: list[str] = []
    monkeypatch.setattr(class_pixels, "counting", said.append)
    cfg = config(tmp_path / "runs", *on_own(own(tmp_path / "data")), AUTO, "hardware.devices=2")
    assert class_pixels.with_pixels(asked(cfg)).class_pixels == {"train": STRIPES}
    assert said == (["counting the pixels of train"] if rank == "0" else [])


@pytest.mark.slow
def test_two_processes_learn_by_what_such_a_list_says(tmp_path: Path) -> None:
    data, trained = own(tmp_path / "data"), []
    for place, given in (("auto", "auto"), ("list", str(by_frequency(STRIPES)))):
        options = [*on_own(data), f"loss.cross_entropy.class_weights={given}", "hardware.devices=2"]
        done = execute([sys.executable, "-m", "scaseg.train", *options, f"output_dir={tmp_path / place}"])
        assert done.returncode == 0, done.stderr
        (last,) = (tmp_path / place).glob("*/checkpoints/last.ckpt")
        trained.append(torch.load(last, weights_only=True)["state_dict"])
    assert all(torch.equal(trained[0][key], trained[1][key]) for key in trained[1])


def test_other_sources_and_terms_are_counted_too(tmp_path: Path) -> None:
    found = run(config(tmp_path, "loss=[focal,lovasz]", "loss.focal.class_weights=auto"))
    drawn = Shapes(size=[32, 64], length=11)
    pixels = sum(np.bincount(drawn.truth(i).ravel(), minlength=8) for i in range(11))
    assert found["config"]["class_pixels"] == {"train": pixels.tolist()}  # type: ignore[union-attr]


def test_a_run_of_no_steps_has_nothing_to_weigh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_pixels, "survey", never)
    weights = tmp_path / "published.pth"
    weights.write_bytes(b"")
    untrained = asked(config(tmp_path, AUTO, "training.max_steps=0", f"weights={weights}"))
    cfg = class_pixels.with_pixels(untrained)
    assert cfg.class_pixels == {"train": [0] * 8}
    assert list(class_pixels.sentences(cfg, Shapes.labels)) == []
    SegmentationTask(cfg, Shapes.labels)


def test_a_loss_without_the_count_is_an_error(tmp_path: Path) -> None:
    cfg = config(tmp_path, AUTO)
    with pytest.raises(UserError, match="class_weights=auto: the pixels of the training split were not counted"):
        SegmentationTask(cfg, Shapes.labels)
    loss = build_loss(cfg.loss, "shapes", Shapes.labels, [0] * 8)
    assert loss.terms["cross_entropy"].class_weights.tolist() == [1] * 8  # type: ignore[union-attr, operator]
