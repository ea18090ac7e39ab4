"""A model of task=binary in use: exported files decide as the checkpoint does, at the threshold that it brings."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import scaseg
from scaseg.config import compose, run_config
from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.export.options import ExportConfig
from scaseg.export.run import export, metadata_of
from scaseg.exported.graph import Exported
from scaseg.exported.metadata import read_metadata
from scaseg.exported.model import ExportedModel
from scaseg.exported.sessions import Session
from scaseg.models.build import build_segmentor
from scaseg.runs.checkpoint import write_model
from scaseg.trained.model import TrainedModel
from scaseg.trained.predictor import Predictor
from tests.trained.conftest import TINY

THRESHOLD = 97 / 256
LABELS = LabelTable(("other", "skin"), ((0, 0, 0), (250, 160, 120)), {0: 0, 1: 1})


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose probabilities lie around the threshold."""
    small = [option for option in TINY if option != "dataset=shapes"]
    options = [
        *small,
        "dataset=folder",
        "task=binary",
        "protocol.box=null",
        "decoder.clb_stages=[4]",
        "decoder.query_pool=2",
    ]
    config = run_config(compose("train", options))
    torch.manual_seed(0)
    segmentor = build_segmentor(config.backbone, config.decoder, 1)
    with torch.no_grad():
        segmentor.decoder.classifier.weight.normal_(0, 0.3)  # type: ignore[union-attr, operator]
        segmentor.decoder.classifier.bias.fill_(float(np.log(THRESHOLD / (1 - THRESHOLD))))  # type: ignore[union-attr, operator]
    path = tmp_path_factory.mktemp("binary") / "model.ckpt"
    write_model(path, config, LABELS, segmentor.state_dict(), 7, (THRESHOLD,))
    return path


@pytest.fixture(scope="module")
def picture() -> np.ndarray[Any, Any]:
    coarse = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (190, 140), interpolation=cv2.INTER_CUBIC))


def plain(path: Path, picture: np.ndarray[Any, Any], threshold: float) -> np.ndarray[Any, Any]:
    model = scaseg.load(path)
    with torch.inference_mode():
        logits = model.segmentor(torch.from_numpy(picture).permute(2, 0, 1)[None])  # type: ignore[union-attr]
        full = torch.nn.functional.interpolate(logits, size=picture.shape[:2], mode="bilinear")
    probability: np.ndarray[Any, Any] = 1 / (1 + np.exp(-full[0, 0].double().numpy()))
    return probability >= threshold


def test_a_pixel_is_of_the_second_class_from_the_threshold_on(binary: Path, picture: np.ndarray[Any, Any]) -> None:
    model = scaseg.load(binary)
    assert model.task == "binary" and model.thresholds == (THRESHOLD,)
    labels = model.predict(picture)
    assert labels.dtype == np.uint8 and set(np.unique(labels)) == {0, 1}
    assert (labels == plain(binary, picture, THRESHOLD)).mean() > 0.999
    model.decide_from(0.3)
    assert model.thresholds == (77 / 256,)
    assert (model.predict(picture) == plain(binary, picture, 77 / 256)).mean() > 0.999


def exported_as(model: TrainedModel, output: str) -> ExportedModel:
    """As a file would be opened, its session the module itself."""

    def session(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.inference_mode():
            found: Tensor = Exported(
                model.segmentor, output, partial(model.asked.of_logits, thresholds=model.thresholds)
            )(torch.from_numpy(images))
            return found.numpy()

    texts = metadata_of(model, output, "exact").texts()
    about = read_metadata(texts, "a file")
    assert (json.loads(texts["task"]), json.loads(texts["thresholds"])) == ("binary", [THRESHOLD])
    told = Session(session, texts, "onnxruntime")
    colours = np.array(about.colours, np.uint8)
    return ExportedModel(
        told, about, about.classes, colours, about.protocol, Path("model.onnx"), thresholds=about.thresholds
    )


@pytest.mark.parametrize("output", ["logits", "labels"])
def test_exported_files_decide_as_the_checkpoint(output: str, binary: Path, picture: np.ndarray[Any, Any]) -> None:
    ours = scaseg.load(binary)
    assert isinstance(ours, TrainedModel)
    decide_alike(ours, exported_as(ours, output), picture)


def decide_alike(ours: Predictor, theirs: ExportedModel, picture: np.ndarray[Any, Any]) -> None:
    assert (theirs.task, theirs.thresholds, theirs.classes) == ("binary", (THRESHOLD,), ("other", "skin"))
    assert (ours.predict(picture) == theirs.predict(picture)).mean() > 0.999
    if theirs.metadata.output == "labels":
        with pytest.raises(UserError, match=r"threshold=0.4: .*onnx gives labels, at its own: export output=logits"):
            theirs.decide_from(0.4)
        return
    before = ours.predict(picture)
    for model in (ours, theirs):
        model.protocol = replace(model.protocol, flip=True, scales=[1.0, 1.25])
        model.decide_from(0.4)
    after = ours.predict(picture)
    assert (after == theirs.predict(picture)).mean() > 0.999 > (after == before).mean()


@pytest.mark.slow
@pytest.mark.parametrize("output", ["logits", "labels"])
def test_onnx_decides_as_the_checkpoint(
    output: str, binary: Path, picture: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "model.onnx"
    export(ExportConfig(str(binary), "onnx", str(file), output, strip="exact", sizes=[[128, 160]]), [])
    found = scaseg.load(file)
    assert isinstance(found, ExportedModel)
    decide_alike(scaseg.load(binary), found, picture)
    code = (
        f"import sys, numpy, scaseg; m = scaseg.load({str(file)!r});"
        "print(m.predict(numpy.zeros((128, 160, 3), 'uint8')).max() <= 1, 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True False"


def test_another_threshold_can_be_exported(binary: Path, tmp_path: Path) -> None:
    folder = export(ExportConfig(str(binary), "safetensors", str(tmp_path / "saved"), threshold=0.75), [])
    assert scaseg.load(folder).thresholds == (0.75,)


def test_windows_blend_probabilities(binary: Path, tmp_path: Path) -> None:
    """Of one window the labels are those of the whole."""
    from scaseg.data.regions import opened
    from scaseg.trained.tiling import Tiling
    from scaseg.trained.windowed import label_bands

    picture = np.random.default_rng(1).integers(0, 256, (256, 320, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    model = scaseg.load(binary)
    with opened(str(tmp_path / "a.png"), model.form) as found:
        tiling = Tiling(found.size, (128, 128), (64, 64))
        bands = list(label_bands(model, found.from_top_to_bottom(), tiling, lambda: None))  # type: ignore[arg-type]
    labels = np.concatenate(bands)
    assert labels.shape == (256, 320) and set(np.unique(labels)) == {0, 1}


def test_a_threshold_is_for_those_that_have_one(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"threshold=0.5: this model is of task=semantic, .* only task=binary"):
        scaseg.load(checkpoint).decide_from(0.5)
    with pytest.raises(UserError, match=r"threshold=0.5: this model is of task=semantic"):
        export(ExportConfig(str(checkpoint), "safetensors", "nowhere", threshold=0.5), [])


def test_what_judges_by_the_best_class_says_so(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scaseg.audit.options import AuditConfig
    from scaseg.compare.contenders import contenders
    from scaseg.compare.options import CompareConfig

    with pytest.raises(UserError, match=r"model.ckpt is of task=binary, and scaseg.compare judges by the best of all"):
        contenders(CompareConfig(ckpt=[str(binary), str(binary)]))
    shapes = {"_target_": "scaseg.data.shapes.Shapes", "name": "shapes"}
    with pytest.raises(UserError, match=r"task=binary: an audit judges by the best of all"):
        AuditConfig(dataset=shapes, task="binary")


def test_transformers_has_the_one_logit(binary: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from scaseg.trained.auto_model import SCASegConfig, SCASegForSemanticSegmentation

    folder = scaseg.save_pretrained(binary, tmp_path / "saved")
    assert "A pixel is `skin` where its logit's sigmoid is 0.3789 or more." in (folder / "README.md").read_text()
    config = SCASegConfig.from_dict(json.loads((folder / "config.json").read_text()))
    module = SCASegForSemanticSegmentation(config)
    images = torch.randint(0, 256, (1, 3, 64, 96), generator=torch.Generator().manual_seed(2))
    masks = torch.randint(0, 2, (1, 64, 96), generator=torch.Generator().manual_seed(3))
    found = module.eval()(pixel_values=images, labels=masks)
    x = torch.nn.functional.interpolate(found.logits, size=(64, 96), mode="bilinear")[:, 0]
    plain = torch.nn.functional.binary_cross_entropy_with_logits(x, masks.float())
    assert found.logits.shape == (1, 1, 16, 24)
    assert found.loss.item() == pytest.approx(plain.item(), rel=1e-6)
