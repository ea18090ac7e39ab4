"""Each suite of the benchmark runs at a small size and says what its goals are."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT

SMALL = ["backbone=mit_b0", "dataset=ade20k", "image_size=[64,96]", "rounds=1", "hardware.threads=1", "format=json"]


def rows(suite: str, *overrides: str) -> dict[str, float]:
    command = [sys.executable, "-m", "scaseg.benchmark", f"suite={suite}", *SMALL, *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {row["what"]: row["value"]["median"] for row in json.loads(done.stdout.splitlines()[-1])["rows"]}


@pytest.mark.slow
def test_decoder_suite() -> None:
    found = rows("decoder")
    saved = [value for what, value in found.items() if "multiply-adds" in what]
    assert len(saved) == 1
    assert saved[0] < 0
    assert all(value > 0 for what, value in found.items() if "multiply-adds" not in what)


@pytest.mark.slow
def test_model_suite() -> None:
    found = rows("model")
    for package, name in (("mmseg", "mmsegmentation"), ("segmentation_models_pytorch", "segmentation-models-pytorch")):
        assert any(name in what for what in found) is (find_spec(package) is not None)


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["strip", "train"])
def test_long_suites(suite: str) -> None:
    if suite == "train":
        pytest.importorskip("transformers")
    assert all(value > 0 for value in rows(suite).values())


@pytest.mark.slow
def test_runtime_suite() -> None:
    pytest.importorskip("onnxruntime")
    found = rows("runtime", "backbone.depths=[1,1,1,1]", "decoder.clb_stages=[4]", "decoder.query_pool=1")
    assert all(value > 0 for value in found.values())
    for name, package in (("torch.compile", "torch"), ("onnxruntime int8", "onnxruntime"), ("OpenVINO int8", "nncf")):
        assert any(f"{name}: latency / eager's" in what for what in found) is (find_spec(package) is not None)
        assert any(f"{name}: first result" in what for what in found) is (find_spec(package) is not None)
    peers = [what for what in found if "SegFormer-B0's in the same runtime" in what]
    assert bool(peers) is (find_spec("transformers") is not None)


def test_decoder_suite_is_of_one_decoder() -> None:
    command = [sys.executable, "-m", "scaseg.benchmark", "suite=decoder", "decoder=segformer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "suite=decoder compares forms of decoder=scaseg; decoder=segformer has one" in done.stderr
