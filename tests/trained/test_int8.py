"""int8 files are the same on processors that add products of 8 bits in 16 bits and on those that add in 32."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import scaseg
from scaseg.errors import UserError
from scaseg.exported.quantise import made_by, quantise
from tests.conftest import ROOT
from tests.trained.conftest import exported_again

Picture = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, 3, 24, 24)).astype(np.float32) for _ in range(3)]


def float_file(path: Path) -> Path:
    """A convolution, its bound of 0 to 6, and a product, with weights that use all of their range."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(1)
    helper, numbers = onnx.helper, onnx.numpy_helper.from_array
    weights = {
        "w": rng.uniform(-0.02, 0.02, (8, 3, 3, 3)),
        "b": rng.normal(size=8),
        "m": rng.normal(size=(8, 5)),
        "low": np.array(0.0),
        "high": np.array(6.0),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w", "b"], ["c"], "conv"),
        helper.make_node("Clip", ["c", "low", "high"], ["r"], "clip"),
        helper.make_node("Transpose", ["r"], ["t"], "transpose", perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["t", "m"], ["logits"], "matmul"),
    ]
    free = ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", "h", "w", 5])],
        [numbers(value.astype(np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_no_sum_of_two_products_leaves_16_bits(pictures: list[Picture], tmp_path: Path) -> None:
    """Of unsigned activations and signed weights, whatever the activations are."""
    source = float_file(tmp_path / "float.onnx")
    import onnx

    quantise(source, tmp_path / "int8.onnx", pictures, {"int8": json.dumps(made_by())})
    made = onnx.load(tmp_path / "int8.onnx")
    kernels = [
        onnx.numpy_helper.to_array(one).astype(int)
        for one in made.graph.initializer
        if one.data_type == onnx.TensorProto.INT8 and len(one.dims) > 1
    ]
    assert len(kernels) == 2
    for weights in kernels:
        largest = np.abs(weights).max()
        assert 60 <= largest <= 64 and 2 * 255 * largest <= 2**15 - 1
    about = {one.key: json.loads(one.value) for one in made.metadata_props}
    assert about["int8"]["by"].startswith("onnxruntime ") and "saturates" in about["int8"]["reason"]
    kinds = [node.op_type for node in made.graph.node]
    assert "Clip" not in kinds  # a bound that the activation's range has is no operator, and no two conversions
    assert sorted(path.name for path in tmp_path.iterdir()) == ["float.onnx", "int8.onnx"]


def test_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="calibration=FOLDER"):
        quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", [])


RUN = """
import sys, numpy, scaseg
numpy.save(sys.argv[3], scaseg.load(sys.argv[1]).predict(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_same_labels_without_vnni(
    form: str, labels_file: Path, graph_checkpoint: Path, photo: Picture, tmp_path: Path
) -> None:
    """On this processor, and on this processor with AVX-512, VNNI and AMX hidden from the runtime."""
    pytest.importorskip("nncf" if form == "openvino" else "onnxruntime")
    Image.fromarray(np.tile(photo, (2, 2, 1))).save(tmp_path / "a.png")
    ends = {"onnx": "m.onnx", "openvino": "m"}
    options = {"int8": True, "calibration": ".", "int8_changed": 0.2}
    pictures = [tmp_path / "a.png"] * 3
    file = exported_again(labels_file, graph_checkpoint, form, tmp_path / ends[form], pictures, **options)
    assert scaseg.load(file).metadata.quantised["reason"]
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")
    source = ROOT / "experiments/runtime/hide_instruction_sets.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "hide.so", source], check=True)
    labels = []
    for name, more in (("all", {}), ("avx2", {"LD_PRELOAD": str(tmp_path / "hide.so")})):
        command = [sys.executable, "-c", RUN, str(file), str(tmp_path / "a.png"), str(tmp_path / f"{name}.npy")]
        done = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=False)
        if "instruction sets cannot be hidden" in done.stderr:
            pytest.skip("instruction sets cannot be hidden here")
        assert done.returncode == 0, done.stderr
        labels.append(np.load(tmp_path / f"{name}.npy"))
    assert (labels[0] == labels[1]).mean() >= 0.999
    assert (labels[0] == scaseg.load(graph_checkpoint).predict(tmp_path / "a.png")).mean() > 0.5
