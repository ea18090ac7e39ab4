"""A run that starts from another run's weights: all of them, or all but a classifier of other classes."""

import json
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix

import pytest
import torch

import scaseg
from scaseg.data.shapes import Shapes
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, TINY, camvid, config, folder_of, on_camvid, run

pytestmark = QUIET
__all__ = ["cli"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run with an average of its weights."""
    cfg = config(tmp_path_factory.mktemp("first"), "training.ema_decay=0.5", "training.lr=0.003")
    return folder_of(cfg), run(cfg)


def evaluated(out: Path) -> dict[str, Any]:
    (path,) = out.glob("runs/*/result.json")
    result: dict[str, Any] = json.loads(path.read_text())
    return result


@pytest.mark.parametrize("form", ["checkpoint", "saved folder"])
def test_the_model_goes_on_as_it_was(cli: Cli, tmp_path: Path, done: tuple[Path, dict[str, Any]], form: str) -> None:
    folder, result = done
    source = folder / "checkpoints" / "last.ckpt"
    if form == "saved folder":
        source = scaseg.save_pretrained(source, tmp_path / "saved") / "model.safetensors"
    status, _, err = cli("train", *TINY, "training.max_steps=0", f"weights={source}")
    assert status == 0, err
    again = evaluated(tmp_path)
    assert (again["step"], again["mIoU"], again["per_class"]) == (0, result["mIoU"], result["per_class"])


def test_other_classes_get_a_new_classifier(
    cli: Cli, tmp_path: Path, done: tuple[Path, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "scaseg")
    source = done[0] / "checkpoints" / "last.ckpt"
    options = [*on_camvid(camvid(tmp_path / "CamVid")), f"weights={source}"]
    status, _, err = cli("train", *options, "training.max_steps=0")
    assert status == 2
    assert f"knows {Shapes.labels.num_classes} classes, the dataset has 11" in err
    assert not (tmp_path / "runs").exists()

    status, _, err = cli("train", *options, "training.lr=1e-12", "training.weight_decay=0")
    assert status == 0, err
    assert "dropped=('decoder.classifier.weight', 'decoder.classifier.bias')" in caplog.text
    (last,) = tmp_path.glob("runs/*/checkpoints/last.ckpt")
    loaded = scaseg.load(last)
    saved = scaseg.save_pretrained(loaded, tmp_path / "saved")
    assert f"start: the whole model's weights from `{done[0].name}/last.ckpt`" in (saved / "README.md").read_text()
    assert str(done[0].parent) not in (saved / "config.json").read_text()
    before, after = (torch.load(path, weights_only=True)["state_dict"] for path in (source, last))
    assert before.keys() == after.keys()
    parameters = dict(loaded.segmentor.named_parameters(prefix="model"))
    for key, tensor in before.items():
        if "classifier" in key:
            assert after[key].shape[0] == 11
        elif key in parameters:  # statistics of norms move on
            torch.testing.assert_close(after[key], tensor, rtol=0, atol=1e-8)


def test_another_model_is_named(cli: Cli, tmp_path: Path, done: tuple[Path, dict[str, Any]]) -> None:
    source = done[0] / "checkpoints" / "last.ckpt"
    status, _, err = cli("train", *TINY, "decoder.embed_channels=24", f"weights={source}")
    assert status == 2
    assert "does not fit backbone=mit_b0 decoder=scaseg" in err
    assert "of another shape: decoder." in err
    assert not (tmp_path / "runs").exists()
