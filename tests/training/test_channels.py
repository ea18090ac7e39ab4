"""Seven channels of 16 bits, one of which tells the classes: from files to a trained model, predictions and ONNX."""

import json
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
from PIL import Image

import scaseg
from scaseg.data.draw import as_shown, overlay
from scaseg.trained.model import TrainedModel
from tests.data.channels import CHANNELS, SIGNAL, pictures
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET

pytestmark = QUIET
__all__ = ["cli"]
FORM = [f"dataset.channels={CHANNELS}", "dataset.dtype=uint16"]
RECIPE = [
    *("dataset=folder", *FORM, "augment.resize_box=null", "protocol.box=null", "augment.crop_size=[64,64]"),
    *("augment.scale=[1,1]", "training.batch_size=8", "training.lr=0.001", "training.decoder_lr_mult=1"),
    *("training.warmup_steps=20", "hardware.accelerator=cpu", "hardware.num_workers=0", "hardware.threads=1"),
]
TINY = ["backbone.channels=[8,16,40,32]", "backbone.depths=[1,1,1,1]", "decoder.embed_channels=16"]
STEPS = ["training.max_steps=4", "training.val_every=2", "pictures=2"]


def succeeded(status: int, _: str, err: str) -> None:
    assert status == 0, err


def result(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


def blocks(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Means over 8 x 8 pixels."""
    return picture.reshape(8, 8, 8, 8, 3).mean((1, 3))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("data"), 12)


def trained(cli: Cli, data: Path, *options: str) -> Path:
    succeeded(*cli("prepare", "dataset=folder", *FORM, f"data_dir={data}", "workers=0"))
    succeeded(*cli("train", *RECIPE, f"data_dir={data}", *options))
    (folder,) = Path("runs").glob("folder-*")
    return folder


def test_every_command_follows(cli: Cli, data: Path, tmp_path: Path) -> None:
    shown = "dataset.show_channels=[5,1,0]"
    folder = trained(cli, data, *TINY, *STEPS, shown, "hardware.cache=cache")
    sheet = np.asarray(Image.open(folder / "pictures" / "step_000004.png"))
    assert sheet.shape[2] == 3
    status, _, err = cli("evaluate", f"ckpt={folder}", "hardware.num_workers=0", "hardware.accelerator=cpu")
    assert status == 0, err
    (evaluated,) = folder.glob("evaluation/*")
    assert result(evaluated)["mIoU"] == result(folder)["mIoU"]

    one = data / "images/p1.tif"
    rgb = tmp_path / "photo.png"
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(rgb)
    status, out, _ = cli("predict", f"ckpt={folder}", f"input={one}", "output=out", "hardware.accelerator=cpu")
    assert status == 0 and "1 predicted" in out
    model = scaseg.load(folder)
    labels = model.predict(one)
    np.testing.assert_array_equal(np.asarray(Image.open("out/masks/p1.png")), labels)
    picture = as_shown(tifffile.imread(one).transpose(1, 2, 0).astype(np.float32), model.form)
    drawn = np.asarray(Image.open("out/overlays/p1.jpg"))
    wanted = overlay(picture, labels, model.labels)
    assert np.abs(blocks(drawn) - blocks(wanted)).max() < 6  # JPEG blurs the colours of noise
    status, out, _ = cli("predict", f"ckpt={folder}", f"input={rgb}", "output=other", "hardware.accelerator=cpu")
    assert status == 1 and f"{rgb}: 3 channels of uint8, and what is asked for is 7 channels" in out

    succeeded(*cli("browse", "dataset=folder", *FORM, shown, f"data_dir={data}", "samples=2", "output=browse"))
    assert np.asarray(Image.open("browse/folder_train_samples.png")).shape[2] == 3
    status, _, err = cli("train", *RECIPE, *TINY, f"data_dir={data}", "dataset.channels=5", *STEPS)
    assert status == 2 and "normalisation.json is of 7 channels of uint16, and the dataset of 5 channels" in err
    given = ["dataset.channels=5", "dataset.mean=[1,1,1,1,1]", "dataset.std=[1,1,1,1,1]"]
    status, _, err = cli("train", *RECIPE, *TINY, f"data_dir={data}", *given, *STEPS)
    assert status == 2 and ".tif: 7 channels of uint16" in err and "dataset.channels=7" in err


def test_in_python_arrays_files_and_a_saved_folder_are_one(cli: Cli, data: Path, tmp_path: Path) -> None:
    folder = trained(cli, data, *TINY, *STEPS)
    model = scaseg.load(folder)
    stored = np.ascontiguousarray(tifffile.imread(data / "images/p0.tif"))
    wanted = model.predict(data / "images/p0.tif")
    for same in (stored, stored.astype(np.float32)):
        np.testing.assert_array_equal(model.predict(same), wanted)
    saved = scaseg.save_pretrained(model, tmp_path / "saved")
    np.testing.assert_array_equal(scaseg.load(saved).predict(stored), wanted)
    card = (saved / "README.md").read_text()
    assert "images (B, 7, H, W) are 7 channels of uint16 as files store them" in card
    for wrong in (stored[..., :3], stored.astype(np.uint8), stored[..., 0], "photo"):
        with pytest.raises(scaseg.errors.UserError):
            model.predict(wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_one_channel_that_tells_is_learned_and_onnx_gives_the_same_labels(cli: Cli, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    data = pictures(tmp_path / "data", 64)
    depths, steps = "backbone.depths=[1,1,1,1]", ["training.max_steps=150", "training.val_every=75"]
    folder = trained(cli, data, depths, *steps)
    assert result(folder)["mIoU"] > 95
    model = scaseg.load(folder)
    assert (
        _iou_without(model, data, SIGNAL)
        < 60
        < 95
        < min(_iou_without(model, data, channel) for channel in range(CHANNELS) if channel != SIGNAL)
    )
    succeeded(*cli("export", f"ckpt={folder}", "file=model.onnx", "sizes=[[64,64],[97,131]]", "strip=exact"))
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["input"])
    assert about["layout"] == "batch, 7, height, width" and about["range"] == "uint16 as files store them"
    for n in range(0, 64, 7):
        stored = tifffile.imread(data / f"images/p{n}.tif")
        image = stored if stored.shape[0] == CHANNELS else stored.transpose(2, 0, 1)
        (logits,) = session.run(None, {"images": image[None].astype(np.float32)})
        labels = F.interpolate(torch.from_numpy(logits), size=(64, 64), mode="bilinear").argmax(1)[0].numpy()
        np.testing.assert_array_equal(labels, model.predict(data / f"images/p{n}.tif"))


def _iou_without(model: TrainedModel, data: Path, channel: int) -> float:
    """mIoU in percent over some images whose `channel` is another image's: what the model has of that one."""
    both = np.zeros((2, 2))
    for n in range(0, 60, 6):
        image, other = (tifffile.imread(data / f"images/p{k}.tif") for k in (n, n + 3))
        image[..., channel] = other[..., channel]
        truth = np.asarray(Image.open(data / f"masks/p{n}.png"))
        both += np.histogram2d(truth.ravel(), model.predict(image).ravel(), bins=2, range=[[0, 1], [0, 1]])[0]
    hits = np.diag(both)
    return float(100 * np.mean(hits / (both.sum(0) + both.sum(1) - hits)))
