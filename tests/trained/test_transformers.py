"""A saved folder opens with transformers too, offline, and gives the same logits."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import scaseg
from scaseg.data.shapes import Shapes
from tests.conftest import ROOT
from tests.models.peers import transformers
from tests.trained.conftest import write_checkpoint

Open = Callable[..., Any]
OTHERS = {  # models with constants that no file holds, and with timm's encoder, which nothing downloads here
    "segnext": ["decoder=segnext", "backbone=mscan_t", "decoder.rank=4", "decoder.embed_channels=32"],
    "timm": ["backbone=timm", "backbone.name=resnet18", "decoder=segformer"],
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Open:
    """AutoModelForSemanticSegmentation.from_pretrained of a folder, without a network, its code in tmp_path."""
    library = transformers()
    from huggingface_hub import constants
    from transformers import dynamic_module_utils

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        monkeypatch.delitem(sys.modules, name)
    auto = library.AutoModelForSemanticSegmentation
    return lambda folder, **options: auto.from_pretrained(folder, trust_remote_code=True, **options)


@pytest.fixture(scope="module")
def saved(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scaseg.save_pretrained(checkpoint, tmp_path_factory.mktemp("hub") / "saved")


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (2, 3, 45, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def logits(folder: Path, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return scaseg.load(folder).segmentor(images)


def used(model: Any, images: Tensor) -> Tensor:
    """As scaseg.load has it: torch multiplies in another order where a weight requires a gradient."""
    with torch.inference_mode():
        found: Tensor = model.requires_grad_(False)(pixel_values=images).logits
    return found


def test_the_same_logits_bit_for_bit(opened: Open, saved: Path, images: Tensor) -> None:
    model = opened(saved)
    assert not model.training and all(one.requires_grad for one in model.parameters())
    found = model(pixel_values=images)
    assert type(found).__name__ == "SemanticSegmenterOutput" and found.loss is None
    torch.testing.assert_close(found.logits, logits(saved, images))
    assert torch.equal(used(model, images), logits(saved, images))
    assert model.config.id2label == dict(enumerate(Shapes.labels.names))
    assert model.config.label2id["pole"] == 7
    assert model.state_dict().keys() == scaseg.load(saved).segmentor.state_dict().keys()


@pytest.mark.parametrize("kind", list(OTHERS))
def test_other_models_too(opened: Open, images: Tensor, tmp_path: Path, kind: str) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", plain=OTHERS[kind])
    folder = scaseg.save_pretrained(path, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "scaseg"  # transformers has a segformer of its own
    if kind == "timm":
        config["model"]["backbone"]["pretrained"] = True
        (folder / "config.json").write_text(json.dumps(config))
    assert torch.equal(used(opened(folder), images), logits(folder, images))


def test_other_channels_too(opened: Open, tmp_path: Path) -> None:
    form = ["+dataset.channels=5", "+dataset.dtype=uint16", "+dataset.mean=[9,9,9,9,9]", "+dataset.std=[4,4,4,4,4]"]
    folder = scaseg.save_pretrained(write_checkpoint(tmp_path / "a.ckpt", form), tmp_path / "model")
    images = torch.rand(2, 5, 45, 70, generator=torch.Generator().manual_seed(1)) * 20
    assert torch.equal(used(opened(folder), images), logits(folder, images))


def test_a_loss_where_there_are_labels(opened: Open, saved: Path, images: Tensor) -> None:
    model = opened(saved).train()
    labels = torch.randint(0, 8, (2, 45, 70))
    labels[:, :9] = 255
    model.eval()
    found = model(images, labels=labels)
    resized = F.interpolate(found.logits, size=(45, 70), mode="bilinear")
    torch.testing.assert_close(found.loss, F.cross_entropy(resized, labels, ignore_index=255))
    found.loss.backward()
    assert all(one.grad is not None for one in model.parameters())
    loss, same = model(images, labels=labels, return_dict=False)
    assert torch.equal(loss, found.loss) and torch.equal(same, found.logits)
    assert model(images, labels=torch.full_like(labels, 255)).loss == 0


def test_saved_by_transformers_it_is_the_same_again(opened: Open, saved: Path, images: Tensor, tmp_path: Path) -> None:
    again = tmp_path / "again"
    opened(saved).save_pretrained(again)
    assert {one.name for one in again.iterdir()} == {"config.json", "model.safetensors", "modeling_scaseg.py"}
    assert (again / "modeling_scaseg.py").read_bytes() == (saved / "modeling_scaseg.py").read_bytes()
    assert torch.equal(used(opened(again), images), logits(saved, images))
    assert torch.equal(logits(again, images), logits(saved, images))
    model = scaseg.load(again)
    assert model.classes == Shapes.labels.names and (model.colours == scaseg.load(saved).colours).all()
    assert "no figures are known" in (scaseg.save_pretrained(model, tmp_path / "own") / "README.md").read_text()


def test_offset_learning_opens_too_and_for_other_classes(opened: Open, images: Tensor, tmp_path: Path) -> None:
    folder = scaseg.save_pretrained(write_checkpoint(tmp_path / "a.ckpt", ["classifier=offset"]), tmp_path / "saved")
    torch.testing.assert_close(opened(folder)(images).logits, logits(folder, images))
    model = opened(folder, ignore_mismatched_sizes=True, num_labels=5)
    classifier = model.decoder.classifier
    assert model(images).logits.isfinite().all() and model(images).logits.shape[1] == 5
    assert (classifier.gain == 1).all() and not classifier.bias.any() and 0.005 < classifier.weight.std() < 0.02


def test_other_classes_as_transformers_asks_for_them(opened: Open, saved: Path, images: Tensor, tmp_path: Path) -> None:
    names = {0: "road", 1: "crack", 2: "sky"}
    options: dict[str, Any] = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    model = opened(saved, ignore_mismatched_sizes=True, **options)
    assert model(images).logits.shape == (2, 3, 12, 18)
    assert 0.005 < model.decoder.classifier.weight.std() < 0.02 and not model.decoder.classifier.bias.any()
    model.save_pretrained(tmp_path / "three")
    loaded = scaseg.load(tmp_path / "three")
    assert loaded.classes == tuple(names.values()) and loaded.colours.shape == (3, 3)
    assert opened(saved, ignore_mismatched_sizes=True, num_labels=5)(images).logits.shape[1] == 5


def test_a_file_that_lacks_weights_is_refused(opened: Open, saved: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(saved, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    lacking = next(key for key in tensors if key.startswith("decoder.fuse") and key.endswith("weight"))
    save_file({key: tensor for key, tensor in tensors.items() if key != lacking}, broken / "model.safetensors")
    with pytest.raises(ValueError, match=f"^the file of weights lacks {lacking}$"):
        opened(broken)


def test_a_folder_of_an_earlier_version_once_it_is_saved_anew(opened: Open, images: Tensor, tmp_path: Path) -> None:
    earlier = Path(__file__).with_name("a09e957") / "saved"
    anew = scaseg.save_pretrained(earlier, tmp_path / "anew")
    assert torch.equal(used(opened(anew), images), logits(earlier, images))


@pytest.mark.parametrize("installed", [True, False])
def test_in_a_process_of_its_own(saved: Path, tmp_path: Path, installed: bool) -> None:
    """As a user has it, offline: no framework comes along, and without scaseg one line says what to install."""
    transformers()
    code = f"""
import sys
import scaseg.torchvision_fix
from transformers import AutoModelForSemanticSegmentation
if not {installed}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "scaseg"]:
        del sys.modules[name]
    sys.modules["scaseg"] = None
model = AutoModelForSemanticSegmentation.from_pretrained({str(saved)!r}, trust_remote_code=True)
print(type(model).__name__, [name for name in ("lightning", "hydra", "omegaconf") if name in sys.modules])
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    if installed:
        assert done.stdout.strip() == "SCASegForSemanticSegmentation []", done.stderr
    else:
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError: this model is one of the package scaseg") and "pip install ." in last
