"""Exported files compute what PyTorch does, at sizes the exporter never saw, or are not written."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import scaseg
from scaseg.errors import UserError
from scaseg.export.agreement import Agreement, compare, require
from scaseg.export.options import ExportConfig
from scaseg.export.run import export
from scaseg.exported.calibration import large_enough
from scaseg.exported.graph import capture, computed
from scaseg.exported.onnx_file import write_onnx
from scaseg.exported.sessions import Session, onnx_session
from scaseg.models.build import normalisation
from scaseg.models.layers.classifier import Classifier
from scaseg.typed import to_plain
from tests.conftest import ROOT
from tests.models.test_decoders import small as small_model
from tests.trained.conftest import write_checkpoint

Picture = np.ndarray[Any, Any]
SIZES = [(97, 131), (64, 160)]


def options(checkpoint: Path, file: Path, sizes: Sequence[Sequence[int]] = SIZES, **changes: Any) -> ExportConfig:
    known: dict[str, Any] = {"format": "onnx", "output": "logits", "strip": "spline", **changes}
    return ExportConfig(str(checkpoint), file=str(file), sizes=[list(size) for size in sizes], **known)


def readme_reader() -> str:
    text = (ROOT / "README.md").read_text()
    return next(block for block in text.split("```python\n") if block.startswith("import json")).split("```")[0]


def test_the_readmes_reader_sees_what_predict_sees(
    labels_file: Path, graph_checkpoint: Path, photo: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = readme_reader()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(labels_file.read_bytes())
    Image.fromarray(photo).save("street.jpg", quality=100)
    exec(compile(code, "README.md", "exec"), {})
    model = scaseg.load(graph_checkpoint)
    shown = np.asarray(Image.open("labels.png"))
    np.testing.assert_array_equal(shown, model.colours[model.predict("street.jpg")])


def test_metadata_says_all_that_a_reader_needs(labels_file: Path, graph_checkpoint: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(labels_file), providers=["CPUExecutionProvider"])
    about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    model = scaseg.load(graph_checkpoint)
    assert tuple(about["classes"]) == model.classes and about["colours"] == model.colours.tolist()
    mean, std = normalisation(model.config.backbone)
    assert about["normalisation"] == {"mean": mean, "std": std, "applied": "inside"}
    assert about["input"]["least_side"] == 128  # of a pooled grid
    assert about["output"] == "labels" and about["protocol"] == to_plain(model.protocol)
    (images,) = session.get_inputs()
    assert (images.name, images.shape) == ("images", ["batch", 3, "height", "width"])


@pytest.mark.slow
@pytest.mark.parametrize("strip", ["exact", "spline"])
def test_onnx_logits(checkpoint: Path, tmp_path: Path, strip: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    export(options(checkpoint, tmp_path / "m.onnx", strip=strip), [])
    told = capsys.readouterr().out
    assert told.count("100.0000 % of labels equal") == 2 and "written" in told
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "decoder", [*sorted(path.stem for path in (ROOT / "conf/decoder").glob("*.yaml")), "segformer classifier=offset"]
)
def test_onnx_logits_of_every_decoder(decoder: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = small_model(*decoder.split())
    for module in model.modules():  # an untrained classifier tells hardly anything apart
        if isinstance(module, Classifier):
            torch.nn.init.normal_(module.weight, std=0.1)
    if decoder == "vwformer":  # cuts its map into 8 x 8 windows, whatever its size
        with pytest.raises(UserError, match=r"torch.export cannot follow this model with free sizes"):
            capture(model.eval(), "logits", "exact")
        return
    write_onnx(capture(model.eval(), "logits", "exact"), tmp_path / "m.onnx", "logits", {})
    require(compare(onnx_session(tmp_path / "m.onnx").run, model, "logits", [*SIZES, (256, 320)]), "the file")


@pytest.mark.parametrize("strip", [pytest.param("exact", marks=pytest.mark.slow), "spline"])
def test_torch_export(graph_checkpoint: Path, tmp_path: Path, strip: str) -> None:
    file = export(
        options(
            graph_checkpoint, tmp_path / "m.pt2", sizes=[(97, 131), (128, 160)], format="torch_export", strip=strip
        ),
        [],
    )
    about: dict[str, Any] = {"classes": ""}
    program = torch.export.load(file, extra_files=about)
    assert json.loads(about["classes"]) == list(scaseg.load(graph_checkpoint).classes)
    images = torch.rand(3, 3, 129, 200) * 255
    with torch.inference_mode():
        torch.testing.assert_close(
            program.module()(images), scaseg.load(graph_checkpoint).segmentor(images), atol=1e-4, rtol=0
        )


def test_safetensors_is_the_saved_folder(checkpoint: Path, tmp_path: Path) -> None:
    folder = export(options(checkpoint, tmp_path / "m", format="safetensors"), [])
    assert scaseg.load(folder).classes == scaseg.load(checkpoint).classes


def test_what_disagrees_is_not_written(
    graph_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels_file: Path
) -> None:
    import scaseg.export.run as module

    def write(program: Any, part: Path, *_: Any) -> None:
        part.write_bytes(labels_file.read_bytes())

    monkeypatch.setattr(module, "capture", lambda *_: None)
    monkeypatch.setattr(module, "write_onnx", write)
    wanted = options(graph_checkpoint, tmp_path / "m.onnx", output="labels")
    wrong = Session(lambda images: onnx_session(labels_file).run(images) + 1, {}, "onnxruntime")
    monkeypatch.setattr(module, "onnx_session", lambda path: wrong)
    with pytest.raises(UserError, match="nothing was written"):
        export(wanted, [])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(module, "onnx_session", onnx_session)
    assert export(wanted, []).exists()


@pytest.mark.parametrize(("scale", "allowed"), [(1e-3, 1e-4), (1.0, 2.55e-3)])
def test_the_difference_allowed_follows_the_logits(scale: float, allowed: float) -> None:
    """Float32 rounds in proportion to what it holds: logits of 255 are not held to what those of 0.255 are."""
    exact: Any = lambda images: images * scale  # noqa: E731
    for share in (0.5, 2.0):
        (found,) = compare(
            lambda images, by=share: images * scale + np.float32(by * allowed), exact, "logits", [(64, 64)]
        )
        assert found.allowed == pytest.approx(allowed, rel=0.01)
        if share > 1:
            with pytest.raises(UserError, match=f"allowed {found.allowed:.1e}"):
                require([found], "it")
        else:
            require([found], "it")


def broken(images: Any) -> Any:
    raise RuntimeError("no such node")


def test_nan_and_other_shapes_do_not_agree(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="does not compute"):
        require([Agreement(1, (64, 64), float("nan"), 1.0)], "it")
    require([Agreement(1, (64, 64), 9e-5, 0.99995)], "it")
    with pytest.raises(UserError, match=r"does not run on 2 x 97 x 131 \(no such node\): nothing was written"):
        compare(broken, scaseg.load(checkpoint).segmentor, "labels", SIZES)
    with pytest.raises(UserError, match="gives"):
        compare(lambda images: images[:, 0, 1:], scaseg.load(checkpoint).segmentor, "labels", SIZES)


def test_nothing_is_overwritten_unless_asked(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        export(options(checkpoint, tmp_path / "m.onnx"), [])
    assert (tmp_path / "m.onnx").read_text() == "mine"


def test_strip_forms_are_put_back(checkpoint: Path) -> None:
    segmentor = scaseg.load(checkpoint).segmentor
    forms = [module.strip for module in segmentor.modules() if hasattr(module, "strip")]
    with computed(segmentor, "exact"):
        assert {module.strip for module in segmentor.modules() if hasattr(module, "strip")} == {"exact"}
    assert [module.strip for module in segmentor.modules() if hasattr(module, "strip")] == forms


def test_pictures_too_small_for_a_graph_are_left_out(
    checkpoint: Path, photo: Picture, tmp_path: Path, capsys: Any
) -> None:
    for name, size in (("one.png", (1, 1)), ("line.png", (63, 96)), ("good.png", (64, 64))):
        Image.fromarray(np.ascontiguousarray(photo[: size[0], : size[1]])).save(tmp_path / name)
    small, line, good = (tmp_path / name for name in ("one.png", "line.png", "good.png"))
    model = scaseg.load(checkpoint)
    assert large_enough(model, [small, good, line]).paths == [good]
    assert f"less than 64 pixels a side: {small} and 1 more" in capsys.readouterr().out
    with pytest.raises(UserError, match="none of 1 pictures has 64 pixels a side"):
        export(options(checkpoint, tmp_path / "m8.onnx", int8=True, calibration="."), [small])
    assert not (tmp_path / "m8.onnx").exists()
    model.protocol.box = [256, 128]  # which makes them large
    assert large_enough(model, [small]).paths == [small]


@pytest.mark.slow
def test_int8_runs_and_is_smaller(checkpoint: Path, photo: Picture, tmp_path: Path, labels_file: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    wanted_file = options(checkpoint, tmp_path / "m8.onnx", output="labels", int8=True, calibration="a.png")
    file = export(wanted_file, [tmp_path / "a.png"] * 3)
    pixels = photo.transpose(2, 0, 1)[None].astype(np.float32)
    wanted = scaseg.load(checkpoint).predict(photo)
    assert (onnx_session(file).run(pixels)[0] == wanted).mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mit_b0", "mscan_t", "efficientnet_lite0"])
def test_whole_models_at_the_sizes_of_the_datasets(backbone: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    checkpoint = write_checkpoint(tmp_path / "m.ckpt", plain=[f"backbone={backbone}", "dataset=camvid"])
    export(options(checkpoint, tmp_path / "m.onnx", [(97, 131), (512, 512), (1024, 2048)]), [])
