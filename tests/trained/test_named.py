"""Importing runs code, and configurations come in files: nothing is imported but our own rooms and what was named."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import scaseg
from scaseg.data.build import build_source, dataset_class
from scaseg.errors import UserError
from scaseg.models.build import build_module
from scaseg.named import allowing, targets
from scaseg.parts import DatasetPart, Decoder
from tests.commands import main_of
from tests.trained.conftest import write_checkpoint

EVIL = """
import sys
from pathlib import Path
from torch import nn

Path(__file__).with_name("ran").touch()


class Evil(nn.Conv2d):
    channels = (8, 16, 24, 32)

    def __init__(self, in_channels=(3,), num_classes=1):
        super().__init__(in_channels[0], num_classes, 1)


class Photos:
    def read(self, i): ...
"""
PLACES = ("scaseg_evil", "scasegevil", "evil")


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules on Python's path, as `python -m` has the folder that it is called in."""
    for name in PLACES:
        (tmp_path / f"{name}.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in PLACES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "target",
    [
        *(f"{name}.Evil" for name in PLACES),
        *(
            "scaseg.models.decoders..evil.Evil",
            "scaseg.../../evil.Evil",
            "scaseg/../evil.Evil",
            ".evil.Evil",
            "Evil",
            "",
        ),
        *("scaseg.models.decoders_evil.Evil", "scaseg.models.decoders", "scaseg.models.decoders.segformer"),
        *(
            "scaseg.models.build.build_module",
            "scaseg.models.build.nn.Module",
            "scaseg.losses.segmentation.SegmentationLoss",
        ),
        *("scaseg.models.decoders.segformer.nn", "scaseg.models.decoders.segformer.Tensor", "os.system", "torch.load"),
        *("torch.nn.Conv2d", "torch.hub.load", "timm.create_model", "scaseg.data.archives.unpack"),
    ],
)
def test_what_is_not_ours_is_neither_imported_nor_built(target: str, beside: Path) -> None:
    for build in (
        lambda: build_module(Decoder({"_target_": target}), "decoder", in_channels=(8,), num_classes=2),
        lambda: build_source(DatasetPart({"_target_": target.replace("Evil", "Photos"), "name": "x"}), None, "train"),
    ):
        with pytest.raises(UserError, match=r"^(decoder|dataset)\._target_"):
            build()
    assert not (beside / "ran").exists()


def test_what_was_named_is_built(beside: Path) -> None:
    config = {"_target_": "evil.Evil"}
    for name in ("evil", "evil.Evil"):
        with allowing([name]):
            assert build_module(Decoder(config), "decoder", in_channels=(8,), num_classes=2).weight.shape == (
                2,
                8,
                1,
                1,
            )
    with allowing(["evil"]):
        assert dataset_class(DatasetPart({"_target_": "evil.Photos"})).__name__ == "Photos"
        with pytest.raises(UserError, match="is not a dataset"):
            dataset_class(DatasetPart(config))
    with allowing(["scaseg"]), pytest.raises(UserError, match="is no class of ours that a model"):
        build_module(Decoder({"_target_": "scaseg.losses.segmentation.SegmentationLoss"}), "decoder")
    for name in ("evi", "evil.Evi", "scaseg"):
        with allowing([name]), pytest.raises(UserError, match=r"allow=\[evil\], or scaseg.load"):
            build_module(Decoder(config), "decoder", in_channels=(8,), num_classes=2)
    for name in ("", "a b", "../evil", "evil."):
        with pytest.raises(UserError, match="allow="), allowing([name]):
            pass


def test_targets_of_a_configuration() -> None:
    config = {"decoder": {"_target_": "mine.A", "parts": [{"_target_": "mine.B"}]}, "dataset": {"_target_": "???"}}
    assert list(targets(config)) == ["mine.A", "mine.B"]


@pytest.fixture
def run(tmp_path: Path, beside: Path) -> Path:
    """A run whose checkpoint names a class of `evil` as its decoder."""
    path = write_checkpoint(tmp_path / "run/checkpoints/last.ckpt")
    saved = torch.load(path, weights_only=True)
    saved["scaseg"]["config"]["decoder"] = {"_target_": "evil.Evil", "name": "evil"}
    state = {key: tensor for key, tensor in saved["state_dict"].items() if "decoder" not in key}
    state["model.decoder.weight"], state["model.decoder.bias"] = torch.zeros(8, 8, 1, 1), torch.zeros(8)
    torch.save({**saved, "state_dict": state}, path)
    return tmp_path / "run"


def test_a_loaded_model_is_made_of_what_was_allowed(run: Path, beside: Path, tmp_path: Path) -> None:
    ckpt = run / "checkpoints/last.ckpt"
    for path in (ckpt, run):
        with pytest.raises(UserError, match=r"ckpt=.*last\.ckpt: evil\.Evil is no class of this package's"):
            scaseg.load(path)
    assert not (beside / "ran").exists()
    assert type(scaseg.load(ckpt, allow=("evil",)).segmentor.decoder).__name__ == "Evil"
    assert (beside / "ran").exists()
    with pytest.raises(UserError, match="is no class of"):  # what was allowed holds for the one call
        scaseg.load(ckpt)


def test_a_saved_folder_is_held_to_the_same(checkpoint: Path, beside: Path, tmp_path: Path) -> None:
    folder = scaseg.save_pretrained(checkpoint, tmp_path / "saved")
    config = json.loads((folder / "config.json").read_text())
    config["model"]["backbone"]["_target_"] = "evil.Evil"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"config\.json: evil\.Evil is no class"):
        scaseg.load(folder)
    assert not (beside / "ran").exists()


@pytest.mark.parametrize(
    ("module", "part"),
    [
        *((module, "decoder") for module in ("predict", "export", "demo", "evaluate", "compare", "figures", "audit")),
        *((module, "dataset") for module in ("evaluate", "compare", "figures", "audit")),  # the others read none
    ],
)
def test_every_command_that_reads_a_checkpoint_refuses(
    module: str, part: str, run: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, photo: Any
) -> None:
    ckpt = run / "checkpoints/last.ckpt"
    if part == "dataset":
        saved = torch.load(write_checkpoint(ckpt), weights_only=True)
        saved["scaseg"]["config"]["dataset"]["_target_"] = "evil.Photos"
        torch.save(saved, ckpt)
    monkeypatch.chdir(beside)
    Image.fromarray(photo).save("photo.png")
    arguments = {
        "predict": [f"ckpt={ckpt}", "input=photo.png", "output=out", "device=cpu"],
        "compare": [f"a={ckpt}", f"b={ckpt}", "hardware.accelerator=cpu"],
        "figures": [f"a={ckpt}", "figure=6", "hardware.accelerator=cpu"],
        "evaluate": [f"ckpt={ckpt}", "hardware.accelerator=cpu"],
    }.get(module, [f"ckpt={ckpt}"])
    monkeypatch.setattr(sys, "argv", [f"scaseg.{module}", *arguments])
    with pytest.raises(SystemExit) as stop:
        main_of(module)()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and f"{ckpt}: evil." in said and "allow=[evil]" in said
    assert not (beside / "ran").exists()
