"""An exported file answers as the checkpoint does, through the same API, without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import scaseg
from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Mode, Protocol, Resized
from scaseg.exported.labels import held, predict_labels, resized
from scaseg.exported.metadata import Metadata, read_metadata
from scaseg.exported.model import ExportedModel
from scaseg.exported.sessions import Session
from scaseg.form import RGB, Form
from scaseg.predict.options import PredictConfig
from scaseg.predict.run import predict
from scaseg.schema import Device
from scaseg.trained.inputs import find_inputs
from scaseg.trained.model import TrainedModel
from tests.trained.broken import good_files
from tests.trained.conftest import exported_again

Picture = np.ndarray[Any, Any]
LABELS = 0.9999  # float32 rounds otherwise in another order of sums


@pytest.fixture(scope="module")
def large(photo: Picture) -> Picture:
    """With the 128 pixels a side that this file needs."""
    return np.ascontiguousarray(np.tile(photo, (2, 2, 1))[:135, :187])


def test_same_answers_as_the_checkpoint(labels_file: Path, graph_checkpoint: Path, large: Picture) -> None:
    model, trained = scaseg.load(labels_file), scaseg.load(graph_checkpoint)
    assert isinstance(model, ExportedModel) and "onnxruntime" in repr(model) and model.to("cpu") is model
    assert (model.classes, model.protocol, model.form) == (trained.classes, trained.protocol, trained.form)
    assert isinstance(model.labels, LabelTable) and model.labels == trained.labels
    np.testing.assert_array_equal(model.colours, trained.colours)
    labels = model.predict(large)
    assert labels.dtype == np.uint8 and len(np.unique(labels)) > 1
    assert (labels == trained.predict(large)).mean() >= LABELS
    again = model.predict_batch([large, np.ascontiguousarray(large[::-1])])
    np.testing.assert_array_equal(again[0], labels)
    assert (again[1] == trained.predict(np.ascontiguousarray(large[::-1]))).mean() >= LABELS


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(box=[320, 240]),
        Protocol(box=[80, 60], scales=[0.75, 1.0], flip=True),
        Protocol(box=[160, 130], logits_resized=Resized.twice),
        Protocol(mode=Mode.slide, window=[64, 64], stride=[40, 50], flip=True),
    ],
    ids=["box", "scales and flip", "twice", "windows"],
)
def test_protocols_in_numpy_are_those_in_torch(protocol: Protocol, small: TrainedModel, photo: Picture) -> None:
    """The same logits into both, so that nothing but the protocol can differ."""

    def run(images: Picture) -> Any:
        with torch.inference_mode():
            return small.segmentor(torch.from_numpy(images)).numpy()

    about = Metadata(small.classes, [[0, 0, 0]] * len(small.classes), RGB, [], [], 1, "logits", protocol, "exact", "")
    model = ExportedModel(Session(run, {}, "onnxruntime"), about, small.classes, small.colours, protocol, Path("m"))
    before, small.protocol = small.protocol, protocol
    for image in (photo, photo[:50, :95]):
        wanted = small.predict(np.ascontiguousarray(image))
        assert (model.predict(np.ascontiguousarray(image)) == wanted).mean() >= LABELS
    small.protocol = before


@pytest.mark.parametrize("size", [(31, 45), (7, 200), (12, 9), (5, 4)])
def test_resized_as_torch_resizes(size: tuple[int, int]) -> None:
    logits = np.random.default_rng(0).normal(size=(2, 5, 12, 9)).astype(np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(logits).double(), size=size, mode="bilinear").numpy()
    whole = resized(held(logits), size)
    np.testing.assert_allclose(whole.of(0, size[0]), wanted, atol=1e-5)
    np.testing.assert_allclose(whole.of(2, 5), wanted[:, :, 2:5], atol=1e-5)
    labels = predict_labels(lambda images: logits, [np.zeros((2, 3, 24, 18))], size, Protocol())
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, wanted.argmax(1))


def assert_light(path: Path) -> None:
    code = (
        "import sys, time; import numpy, scaseg;"
        f"model = scaseg.load({str(path)!r}); taken = time.process_time();"
        "model.predict(numpy.zeros((130, 150, 3), 'uint8'));"
        "print(taken, [name for name in ('torch', 'hydra', 'omegaconf', 'lightning') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    seconds, heavy = told.split(maxsplit=1)  # of the processor: others on the machine do not count
    assert heavy.strip() == "[]"
    assert float(seconds) < 1


def test_no_torch_and_within_a_second(labels_file: Path) -> None:
    assert_light(labels_file)


@pytest.fixture(scope="module")
def folder(labels_file: Path, graph_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same graph for OpenVINO."""
    pytest.importorskip("openvino")
    return exported_again(labels_file, graph_checkpoint, "openvino", tmp_path_factory.mktemp("openvino") / "model")


@pytest.mark.slow  # its compiler once ended a process that had run hundreds of other tests
def test_openvino(labels_file: Path, graph_checkpoint: Path, folder: Path, large: Picture) -> None:
    assert sorted(file.name for file in folder.iterdir()) == ["model.bin", "model.xml"]
    model, trained = scaseg.load(folder), scaseg.load(graph_checkpoint)
    assert isinstance(model, ExportedModel) and model.session.runtime == "openvino"
    assert model.metadata == scaseg.load(labels_file).metadata
    for size in ((135, 187), (128, 128), (140, 150), (129, 131), (131, 129), (133, 133), (135, 187)):
        image = np.ascontiguousarray(large[: size[0], : size[1]])
        image = np.pad(image, ((0, size[0] - image.shape[0]), (0, size[1] - image.shape[1]), (0, 0)))
        assert (model.predict(image) == trained.predict(image)).mean() >= LABELS
    again = scaseg.load(labels_file, runtime="openvino")  # which reads ONNX too
    assert again.metadata == scaseg.load(labels_file).metadata
    np.testing.assert_array_equal(again.predict(large), model.predict(large))
    assert again.digest() != model.digest() == scaseg.load(folder).digest()


@pytest.mark.slow  # its compiler once ended a process that had run hundreds of other tests
def test_openvino_without_torch_and_within_a_second(folder: Path) -> None:
    assert_light(folder)


def test_predict_command_takes_the_file(
    labels_file: Path, graph_checkpoint: Path, large: Picture, photo: Picture, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(large).save(tmp_path / "in" / "large.png")
    Image.fromarray(photo).save(tmp_path / "in" / "small.png")
    found = find_inputs(str(tmp_path / "in"))
    masks = {}
    for name, path in (("file", labels_file), ("checkpoint", graph_checkpoint)):
        options = PredictConfig(
            str(path), str(tmp_path / "in"), str(tmp_path / name), write="masks", hardware=Device("auto", 1)
        )
        outcome = predict(options, found)
        assert "large" in outcome.done
        masks[name] = np.asarray(Image.open(tmp_path / name / "masks" / "large.png"))
        if name == "file":
            ((failed, reason),) = outcome.failed
            assert failed.endswith("small.png") and "seen with 72 pixels a side" in reason and "needs 128" in reason
    assert (masks["file"] == masks["checkpoint"]).mean() >= LABELS


def test_what_cannot_be_is_said(labels_file: Path, graph_checkpoint: Path, photo: Picture, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs 128: a checkpoint takes it"):
        scaseg.load(labels_file).predict(photo)
    with pytest.raises(UserError, match="runs on the CPU alone"):
        scaseg.load(labels_file, device="cuda")
    with pytest.raises(UserError, match="runtime=tensorrt: choose one of torch, onnxruntime, openvino"):
        scaseg.load(labels_file, runtime="tensorrt")
    with pytest.raises(UserError, match=r"runtime=torch does not read .*: onnxruntime or openvino does"):
        scaseg.load(labels_file, runtime="torch")
    with pytest.raises(UserError, match=r"format=openvino, then name what it wrote"):
        scaseg.load(graph_checkpoint, runtime="openvino")
    with pytest.raises(UserError, match="has no weights to save"):
        scaseg.save_pretrained(labels_file, tmp_path / "saved")
    model = scaseg.load(labels_file)
    model.protocol = Protocol(mode=Mode.slide, window=[128, 128], stride=[64, 64])
    with pytest.raises(UserError, match="export output=logits"):
        model.predict(np.zeros((200, 200, 3), np.uint8))
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(UserError, match=r"bad.onnx: onnxruntime cannot read it \("):
        scaseg.load(tmp_path / "bad.onnx")
    with pytest.raises(UserError, match="no such file or folder"):
        scaseg.load(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    "form", [RGB, Form(4, "uint16", ("red", "green", "blue", "near infrared"), (3, 1, 0), (1.0,) * 4, (2.0,) * 4)]
)
def test_metadata_is_read_as_it_was_written(form: Form) -> None:
    given = Metadata(
        ("road", 'a "crack"'),
        [[1, 2, 3], [4, 5, 6]],
        form,
        [1.0] * form.channels,
        [2.0] * form.channels,
        64,
        "logits",
        Protocol(mode=Mode.slide, window=[8, 8], stride=[4, 4], scales=[0.5, 1.0]),
        "spline",
        "mine",
        {"reason": "so"},
    )
    assert read_metadata(given.texts(), "it") == given
    for name in ("input", "classes", "protocol"):
        with pytest.raises(UserError, match=r"it: its metadata is not .*; export the checkpoint again"):
            read_metadata({key: text for key, text in given.texts().items() if key != name}, "it")
    with pytest.raises(UserError, match=r"it: its metadata has 2 classes, colours of shape \(1, 3\)"):
        read_metadata({**given.texts(), "colours": "[[1,2,3]]"}, "it")


def test_labels_do_not_tell_how_likely_they_are(labels_file: Path, photo: Picture, tmp_path: Path) -> None:
    good_files(tmp_path / "in", 1, photo)
    options = PredictConfig(str(labels_file), str(tmp_path / "in"), str(tmp_path / "out"), confidence=0.3)
    with pytest.raises(UserError, match=r"confidence=0\.3: .*onnx: it gives labels, and no probability of any"):
        predict(options, find_inputs(options.input, options.output))
    assert not (tmp_path / "out").exists()


def test_keys_are_pooled_in_the_file_or_not_at_all(labels_file: Path, large: Picture) -> None:
    model = scaseg.load(labels_file)
    model.protocol = replace(model.protocol, key_ratio=2)
    with pytest.raises(UserError, match=r"pooled by 1 in the file, and protocol\.key_ratio=2: scaseg\.export"):
        model.predict(large)
