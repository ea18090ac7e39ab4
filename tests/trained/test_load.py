"""A checkpoint alone gives a model whose labels are those that evaluation counts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import scaseg
from scaseg.data.shapes import Shapes
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import MEAN
from scaseg.runs.checkpoint import read_checkpoint
from scaseg.runs.folder import checkpoint_of
from tests.trained.conftest import write_checkpoint

Picture = np.ndarray[Any, Any]


def test_predicts_from_path_image_and_array_alike(checkpoint: Path, photo: Picture, tmp_path: Path) -> None:
    model = scaseg.load(checkpoint)
    file = tmp_path / "photo.png"
    Image.fromarray(photo).save(file)
    labels = model.predict(photo)
    assert labels.shape == photo.shape[:2]
    assert np.issubdtype(labels.dtype, np.integer)
    assert len(np.unique(labels)) > 1
    for same in (file, str(file), Image.open(file)):
        np.testing.assert_array_equal(model.predict(same), labels)
    assert model.classes == Shapes.labels.names
    np.testing.assert_array_equal(model.colours[labels], Shapes.labels.colourise(labels))


def test_computes_what_the_weights_say(checkpoint: Path, photo: Picture) -> None:
    """Against a model that is built and filled in the plain way."""
    saved = read_checkpoint(checkpoint, "ckpt")
    plain = build_segmentor(saved.run.backbone, saved.run.decoder, len(saved.classes)).eval()
    plain.load_state_dict(saved.model_state)
    batch = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None]
    np.testing.assert_array_equal(scaseg.load(checkpoint).predict(photo), plain.predict(batch)[0].numpy())


@pytest.mark.parametrize(
    "protocol",
    [
        ["protocol.box=[320,240]"],
        ["protocol.box=[240,180]", "protocol.scales=[0.75,1.0]", "protocol.flip=true"],
        ["protocol.mode=slide", "protocol.window=[192,192]", "protocol.stride=[128,128]"],
    ],
    ids=["box", "scales and flip", "windows"],
)
def test_labels_are_those_that_evaluation_counts(protocol: list[str], shared: Path, tmp_path: Path) -> None:
    import scaseg.torchvision_fix

    from scaseg.data.camvid import CamVid
    from scaseg.data.datasets import EvalSamples, collate_eval
    from scaseg.training.task import SegmentationTask

    path = write_checkpoint(tmp_path / "camvid.ckpt", protocol)
    saved = read_checkpoint(path, "ckpt")
    task = SegmentationTask(saved.run, Shapes.labels).eval()
    task.load_state_dict(saved.state)
    source = CamVid(shared / "data" / "CamVid", "val")
    samples = EvalSamples(source, saved.run.protocol)
    model = scaseg.load(path)
    for i in (0, 50):
        batch = collate_eval([samples[i]])
        batch["mask"] = torch.full_like(batch["mask"], 255)  # the truth is of another dataset
        with torch.inference_mode():
            (counted,) = task.validation_step(batch, 0)
        np.testing.assert_array_equal(model.predict(source.pairs[i].image), counted.numpy())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_any_precision_compute_in_float32(
    dtype: torch.dtype, checkpoint: Path, photo: Picture, tmp_path: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    found = []
    for final in (dtype, torch.float32):
        rounded = {k: v.to(dtype).to(final) if v.is_floating_point() else v for k, v in content["state_dict"].items()}
        torch.save(content | {"state_dict": rounded}, tmp_path / f"{final}.ckpt")
        found.append(scaseg.load(tmp_path / f"{final}.ckpt").predict(photo))
    assert np.array_equal(*found)


def test_imports_no_framework(checkpoint: Path) -> None:
    heavy = "lightning pytorch_lightning hydra omegaconf wandb albumentations timm torchvision torchmetrics".split()  # noqa: SIM905
    code = (
        "import sys, numpy, scaseg; before = 'torch' in sys.modules;"
        f"scaseg.load({str(checkpoint)!r}).predict(numpy.zeros((40, 50, 3), 'uint8'));"
        f"print(before, [name for name in {heavy} + ['torch._dynamo'] if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False []"


def test_saved_folder_is_the_same_model(checkpoint: Path, photo: Picture, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(checkpoint.parents[1], run)
    result = {
        "status": "done",
        "step": 7,
        "split": "val",
        "protocol": {"mode": "whole", "box": None},
        "mIoU": 61.25,
        "pixel_accuracy": 90.0,
        "mean_accuracy": 70.0,
        "per_class": {name: {"iou": 61.25} for name in Shapes.labels.names},
        "git_commit": "abc",
        "versions": {"torch": "2"},
        "evaluated_images_trained_on": 3,
    }
    (run / "result.json").write_text(json.dumps(result))
    for split, of in (("val", "last.ckpt"), ("test", "last.ckpt"), ("train", "best.ckpt")):
        (run / "evaluation" / split).mkdir(parents=True)
        told = {**result, "split": split, "checkpoint": f"run/checkpoints/{of}", "evaluated_images_trained_on": None}
        (run / "evaluation" / split / "result.json").write_text(json.dumps(told))
    folder = scaseg.save_pretrained(run, tmp_path / "saved" / "model")
    files = {"model.safetensors", "config.json", "README.md", "modeling_scaseg.py"}
    assert {file.name for file in folder.iterdir()} == files
    first, again = scaseg.load(run), scaseg.load(folder)
    np.testing.assert_array_equal(again.predict(photo), first.predict(photo))
    assert (again.classes, again.protocol) == (first.classes, first.protocol)
    (run / "result.json").write_text(json.dumps(result).replace("evaluated_images", "images"))  # its earlier name
    card = (folder / "README.md").read_text()
    assert (scaseg.save_pretrained(run, tmp_path / "earlier") / "README.md").read_text() == card
    assert [line.split("`")[1] for line in card.splitlines() if line.startswith("Split")] == ["val", "test"]
    assert "mIoU 61.25" in card and "| 0 | " + Shapes.labels.names[0] in card and "license: other" in card
    assert card.count("3 of these images were trained on") == 1
    (claimed,) = yaml.safe_load(card.split("---")[1])["model-index"][0]["results"]
    assert claimed["dataset"]["split"] == "test"  # not what was seen
    second = scaseg.save_pretrained(again, tmp_path / "second")  # nothing is lost on the way
    for name in files:
        assert (second / name).read_bytes() == (folder / name).read_bytes(), name
    assert str(tmp_path) not in (folder / "config.json").read_text()
    with pytest.raises(UserError, match="not an empty folder"):
        scaseg.save_pretrained(first, folder)


def test_card_front_matter_is_yaml_with_the_figures(checkpoint: Path, tmp_path: Path) -> None:
    card = (scaseg.save_pretrained(checkpoint, tmp_path / "model") / "README.md").read_text()
    matter = yaml.safe_load(card.split("---")[1])
    assert matter["library_name"] == "scaseg" and matter["license"] == "other"
    assert "no figures are known" in card


def test_normalisation_travels(photo: Picture, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", ["+backbone.mean=[127,127,127]", "+backbone.std=[128,128,128]"])
    model = scaseg.load(scaseg.save_pretrained(path, tmp_path / "m"))
    assert model.segmentor.mean.flatten().tolist() == [127, 127, 127]
    assert json.loads((tmp_path / "m" / "config.json").read_text())["model"]["normalisation"]["std"] == [128, 128, 128]
    other = scaseg.load(write_checkpoint(tmp_path / "b.ckpt"))
    assert other.segmentor.mean.flatten().tolist() == pytest.approx(list(MEAN))
    assert not np.array_equal(other.predict(photo), model.predict(photo))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"not uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "not float32"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (3, "not int"),
        ("nowhere.png", r"^nowhere.png: cannot be read \(No such file or directory\)$"),
        ("/", r"^/: cannot be read \(Is a directory\)$"),
    ],
)
def test_refuses_what_is_no_image(checkpoint: Path, image: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        scaseg.load(checkpoint).predict(image)


def test_a_model_says_in_a_line_what_it_is(checkpoint: Path) -> None:
    model = scaseg.load(checkpoint)
    millions = sum(p.numel() for p in model.segmentor.parameters()) / 1e6
    assert repr(model) == (
        f"<TrainedModel mscan_t + scaseg: 8 classes (sky, water, ground, ... pole), {millions:.2f} M parameters,"
        f" on cpu, from {checkpoint}, step 7>"
    )
    assert repr(model.labels) == "<LabelTable of 8 classes: sky, water, ground, ... pole>"


def test_refuses_what_is_no_model(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        scaseg.load(tmp_path / "none.ckpt")
    with pytest.raises(UserError, match="neither a run's folder"):
        scaseg.load(tmp_path)
    folder = scaseg.save_pretrained(checkpoint, tmp_path / "model")
    weights = folder / "model.safetensors"
    assert scaseg.load(weights).classes == scaseg.load(folder).classes  # the file in it stands for the folder
    for path in (folder, weights):
        with pytest.raises(UserError, match="save_pretrained: ckpt takes a run's folder or a"):
            checkpoint_of(path, "ckpt")
    (tmp_path / "sweep/one/checkpoints").mkdir(parents=True)
    (tmp_path / "sweep/one/checkpoints/last.ckpt").touch()
    with pytest.raises(UserError, match="sweep holds runs and is none: name one, as ckpt=/"):
        scaseg.load(tmp_path / "sweep")
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="not a folder that can be read"):
        scaseg.load(folder)
    weights.write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["decoder"]["embed_channels"] = 24
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="not those of its configuration"):
        scaseg.load(folder)
    with pytest.raises(UserError, match="device=moon"):
        scaseg.load(checkpoint, device="moon")
