import json
import subprocess
import sys
import time
from typing import Any

import pytest

from scaseg.benchmark import cost
from scaseg.benchmark.cost import show
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.config import compose, image_size, run_of, typed
from scaseg.errors import UserError
from tests.commands import main_of


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaseg.benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def cfg(*overrides: str) -> BenchmarkConfig:
    main_of("benchmark")
    return typed(compose("benchmark", list(overrides)), BenchmarkConfig)


def benchmark(asked: BenchmarkConfig) -> dict[str, Any]:
    return cost.benchmark(asked, run_of(asked))


def test_the_command_of_the_readme() -> None:
    done = run("backbone=mit_b0", "dataset=ade20k", "image_size=[512,512]", "format=json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["encoder_params"], result["decoder_params"]) == (3319392, 1590646)
    assert (result["params"], result["params_published"]) == (4910038, 6003308)
    assert result["macs_paper"] == 5935574784
    assert 0 < result["macs"] < result["macs_paper"]
    assert sum(part["macs"] for part in result["parts"].values()) == result["macs"]
    assert sum(part["macs_paper"] for part in result["parts"].values()) == result["macs_paper"]
    assert result["not_counted"] == {}
    assert result["latency"] is None


@pytest.mark.parametrize(
    ("dataset", "size"),
    [
        ("ade20k", (512, 512)),
        ("coco_stuff164k", (512, 512)),
        ("voc", (512, 512)),
        ("cityscapes", (1024, 2048)),
    ],
)
def test_the_papers_size_is_the_default(dataset: str, size: tuple[int, int]) -> None:
    asked = cfg(f"dataset={dataset}")
    assert image_size(asked.protocol, asked.augment) == size


def test_largest_model_takes_seconds() -> None:
    start = time.perf_counter()
    result = benchmark(cfg("backbone=mit_b5", "dataset=cityscapes"))
    assert result["macs_paper"] / 1e9 == pytest.approx(1172.915, abs=1e-3)
    assert time.perf_counter() - start < 30


def test_latency_and_training_memory_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ("dataset=shapes", "latency=true", "rounds=3", "warmup=1", "backward=true", "batch_size=2")
    result = benchmark(cfg(*keys))
    time_ = result["latency"]
    assert time_["lower_quartile"] <= time_["seconds"] <= time_["upper_quartile"]
    assert time_["fps"] == pytest.approx(2 / time_["seconds"])
    assert (time_["rounds"], time_["dtype"], time_["compiled"], time_["device"]) == (
        3,
        "float32",
        False,
        "cpu",
    )
    memory = result["peak_memory"]
    assert memory["forward_bytes"] < memory["forward_backward_bytes"]
    show(result)
    printed = capsys.readouterr().out
    assert "encoder stage 4" in printed
    assert "images/s" in printed


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("image_size=[512]", r"image_size=\[512\]: \(height, width\)"),
        ("image_size=[16,512]", "each at least 32"),
        ("batch_size=0", "batch_size=0"),
        ("decoder.attn=xx", "choose one of sa, ca, sca"),
    ],
)
def test_bad_values(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        benchmark(cfg(override))


def test_bad_value_on_the_command_line_needs_no_torch() -> None:
    done = run("image_size=[512]")
    assert done.returncode == 2
    assert done.stderr.startswith("error: image_size=[512]")
    assert done.stdout == ""
    code = "import sys, scaseg.benchmark.__main__, scaseg.report.__main__; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
