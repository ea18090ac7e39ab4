"""Files of commit a09e957, whose checkpoints had no version: they load, evaluate, predict and count as before."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import scaseg
from scaseg.config import compose, typed
from scaseg.errors import UserError
from scaseg.report.runs import collect
from scaseg.runs.checkpoint import VERSION, read_checkpoint
from scaseg.runs.earlier import read_config
from scaseg.schema import EvaluateConfig
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET

__all__ = ["cli"]
EARLIER = Path(__file__).with_name("a09e957")
pytestmark = QUIET


@pytest.mark.parametrize("what", ["run", "run/checkpoints/last.ckpt", "saved", "saved/model.safetensors"])
def test_it_predicts_as_before(what: str) -> None:
    model = scaseg.load(EARLIER / what)
    labels = np.asarray(Image.open(EARLIER / "labels.png"))
    assert (model.predict(EARLIER / "image.png") == labels).mean() > 0.999  # a tie may fall otherwise on another CPU
    assert (model.about["step"], len(model.about["results"])) == (400, 1 if what.startswith("saved") else 2)
    assert "mIoU 17.50" in _card(model)


def _card(model: Any) -> str:
    from scaseg.trained.card import model_card

    return model_card(model)


def test_it_evaluates_as_before(tmp_path: Path) -> None:
    from scaseg.training.evaluate import evaluate

    run = shutil.copytree(EARLIER / "run", tmp_path / "run")
    options = [f"ckpt={run}", "split=test", "hardware.accelerator=cpu", "hardware.num_workers=0", "pictures=0"]
    result = evaluate(typed(compose("evaluate", options), EvaluateConfig))
    (before,) = (EARLIER / "run").glob("evaluation/*/result.json")
    assert result["mIoU"] == pytest.approx(json.loads(before.read_text())["mIoU"], abs=0.05)
    assert result["step"] == 400


def test_its_run_is_recognised(cli: Cli, tmp_path: Path) -> None:
    (run,), problems = collect(str(EARLIER / "run"))
    assert not problems
    assert (run.miou, run.value("lpm"), run.num_classes) == (pytest.approx(17.5, abs=0.01), "se", 8)
    models = f"ckpt=[{EARLIER / 'run'},{EARLIER / 'saved'}]"
    quick = ["resamples=100", "pictures=0", "hardware.accelerator=cpu", "output=compared"]
    status, out, err = cli("compare", models, *quick)
    assert status == 0, err
    assert "17.5" in out


def test_what_it_did_not_know_is_as_it_was() -> None:
    run = read_checkpoint(EARLIER / "run" / "checkpoints" / "last.ckpt", "ckpt").run
    assert run.loss["cross_entropy"].values["average"] == "labelled"
    plain = {"backbone": {}, "decoder": {}, "dataset": {}, "training": {"ema_decay": 0.9}, "lpm": "se"}
    assert not read_config(plain).training.ema_warmup  # averages had none then
    with pytest.raises(UserError, match="no configuration of a run: it has no decoder"):
        read_config({"backbone": {}, "dataset": {}})


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    content = torch.load(EARLIER / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    content["scaseg"]["version"] = VERSION + 1
    torch.save(content, tmp_path / "later.ckpt")
    with pytest.raises(UserError, match=f"of format {VERSION + 1}, and this version of scaseg reads up to {VERSION}"):
        scaseg.load(tmp_path / "later.ckpt")
