"""A published model through a run of no steps: evaluated, and then a run as any other."""

import json
import shutil
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix

import numpy as np
import pytest
import torch
import yaml

import scaseg
from scaseg.data.shapes import Shapes
from tests.models.peers import randomise, transformers
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, TINY, camvid, on_camvid

pytestmark = QUIET
__all__ = ["cli"]
OPTIONS = ["decoder=segformer", "training.max_steps=0", "+backbone.eps=1e-5"]  # transformers' eps; NVIDIA's is 1e-6


def published(folder: Path, classes: int) -> Any:
    """SegFormer of TINY's widths as transformers saves it."""
    library = transformers()
    config = library.SegformerConfig(
        num_labels=classes, hidden_sizes=[8, 16, 40, 32], depths=[1, 1, 1, 1], decoder_hidden_size=16
    )
    peer = randomise(library.SegformerForSemanticSegmentation(config)).eval()
    peer.save_pretrained(folder)
    return peer


def asked(weights: Path, options: list[str]) -> list[str]:
    kept = [option for option in options if not option.startswith("training.max_steps")]
    return [*kept, *OPTIONS, f"weights={weights}"]


def test_the_run_is_the_published_model(cli: Cli, tmp_path: Path) -> None:
    peer = published(tmp_path / "hub", Shapes.labels.num_classes)
    status, out, err = cli("train", *asked(tmp_path / "hub" / "model.safetensors", TINY))
    assert status == 0, err
    (run,) = (tmp_path / "runs").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert (result["status"], result["step"], result["best"]["step"]) == ("done", 0, 0)
    assert json.loads((run / "status.json").read_text())["status"] == "done"
    assert f"{result['mIoU']:.2f}" in out

    model = scaseg.load(run)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        normalised = (images - model.segmentor.mean) / model.segmentor.std
        expected = peer(normalised).logits
        torch.testing.assert_close(model.segmentor(images), expected, rtol=1e-5, atol=1e-5)
        full = torch.nn.functional.interpolate(expected, size=(64, 96), mode="bilinear", align_corners=False)
        labels = model.predict(images[0].permute(1, 2, 0).numpy())
        assert (labels == full[0].argmax(0).numpy()).mean() > 0.999  # ties

    status, out, err = cli("evaluate", f"ckpt={run / 'checkpoints' / 'best.ckpt'}", "hardware.accelerator=cpu")
    assert status == 0, err
    (again,) = run.glob("evaluation/*/result.json")
    assert json.loads(again.read_text())["mIoU"] == pytest.approx(result["mIoU"], abs=1e-9)

    saved = scaseg.save_pretrained(model, tmp_path / "saved")
    np.testing.assert_array_equal(scaseg.load(saved).predict(images[0].permute(1, 2, 0).numpy()), labels)
    card = (saved / "README.md").read_text()
    assert "Not trained here: the whole model's weights from `model.safetensors`" in card
    assert yaml.safe_load(card.split("---")[1])["model-index"][0]["results"][0]["metrics"][0]["value"] == round(
        result["mIoU"], 2
    )
    assert str(tmp_path) not in (saved / "config.json").read_text()

    _, out, _ = cli("train", *asked(tmp_path / "hub" / "model.safetensors", TINY))
    assert "done before" in out or "fresh=true" in out


def test_the_split_that_is_evaluated_is_enough(cli: Cli, tmp_path: Path) -> None:
    published(tmp_path / "hub", 11)
    root = camvid(tmp_path / "CamVid")
    for folder in ("train", "trainannot"):
        shutil.rmtree(root / folder)
    options = [*asked(tmp_path / "hub" / "model.safetensors", on_camvid(root)), "training.ema_decay=0.9"]
    status, _, err = cli("train", *options)
    assert status == 0, err


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("none", "error: training.max_steps=0 evaluates a published model as it is: give weights=FILE"),
        ("missing", "nowhere.safetensors"),
        ("encoder", "holds no decoder (no key starts with decode_head.)"),
        ("classes", "knows 5 classes, the dataset has 8"),
    ],
)
def test_what_cannot_be_evaluated_leaves_nothing(weights: str, message: str, cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "nowhere.safetensors"
    if weights == "classes":
        published(tmp_path / "hub", 5)
        source = tmp_path / "hub" / "model.safetensors"
    elif weights == "encoder":
        source = tmp_path / "encoder.pth"
        torch.save({"patch_embed1.proj.weight": torch.zeros(1)}, source)
    options = asked(source, TINY)
    status, out, err = cli("train", *(options[:-1] if weights == "none" else options))
    assert status == 2
    assert message in err
    assert out == ""
    assert not list(tmp_path.glob("runs/*"))
