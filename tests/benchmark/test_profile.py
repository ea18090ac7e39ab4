"""suite=profile: what is timed under the clock is what the model costs, by operators whose names say what they are."""

import json
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from scaseg.benchmark.profile import Clock, Limits
from scaseg.complexity.latency import Spread
from scaseg.complexity.summary import counts
from scaseg.config import compose, run_config
from scaseg.models.build import build_segmentor
from tests.conftest import ROOT

SIZE = (64, 96)


def limits(multiply_adds: float, bytes_: float) -> Limits:
    return Limits(Spread(multiply_adds, 0, 0, 1), {2**20: Spread(bytes_, 0, 0, 1)})


@pytest.mark.parametrize("backbone", ["mit_b0", "mscan_t"])
def test_the_clock_sees_the_multiply_adds_that_are_counted(backbone: str) -> None:
    run = run_config(compose("train", [f"backbone={backbone}", "dataset=shapes"]))
    model = build_segmentor(run.backbone, run.decoder, 8).eval()
    with torch.inference_mode(), Clock(limits(1.0, math.inf)) as clock:
        model(torch.zeros(1, 3, *SIZE))
    assert sum(spent.least for spent in clock.spent.values()) == counts(run.backbone, run.decoder, 8, SIZE).macs
    assert any("3 x 3 depthwise convolution" in name for name in clock.spent)


def test_convolutions_are_named_and_their_gradients_counted() -> None:
    x, weight = torch.rand(2, 4, 6, 5, requires_grad=True), torch.rand(8, 4, 3, 3, requires_grad=True)
    own = torch.rand(8, 1, 1, 5, requires_grad=True)
    with Clock(limits(1.0, math.inf)) as clock:
        F.conv2d(F.conv2d(x, weight), own, padding=(0, 1), groups=8).sum().backward()
    wide, narrow = 2 * 4 * 3 * (8 * 4 * 9), 2 * 4 * 1 * (8 * 5)
    assert {name: spent.least for name, spent in clock.spent.items() if "convolution" in name} == {
        "3 x 3 convolution": wide,
        "1 x 5 depthwise convolution": narrow,
        "3 x 3 convolution, backward": 2 * wide,
        "1 x 5 depthwise convolution, backward": 2 * narrow,
    }


def test_what_is_moved_is_read_and_written_once() -> None:
    x = torch.zeros(3, 5)
    with Clock(limits(1.0, 1.0)) as clock:
        x.add_(torch.ones(5).expand(3, 5))
        x.t()
    assert clock.spent["add_"].least == 4 * (15 + 5 + 15)
    assert clock.spent["t"].least == 0


@pytest.mark.parametrize("backward", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_suite(backward: bool) -> None:
    options = ["suite=profile", "dataset=shapes", f"image_size={list(SIZE)}", "rounds=2", "hardware.threads=1"]
    command = [sys.executable, "-m", "scaseg.benchmark", *options, f"backward={backward}", "format=json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert found[0]["what"].startswith("training step, mit_b0" if backward else "forward, mit_b0")
    assert any("backward" in row["what"] for row in found) is backward
    assert all(row["value"]["median"] > 0 for row in found if "outside" not in row["what"])
    assert sum("limit: " in row["what"] for row in found) == 5
