"""scaseg.evaluate protocol.key_ratio= and key_ratios=: one checkpoint with fewer keys, and several compared."""

import json
from dataclasses import replace
from pathlib import Path

import scaseg.torchvision_fix

import numpy as np
import pytest
from PIL import Image

import scaseg
from scaseg.data.shapes import Shapes
from scaseg.errors import UserError
from scaseg.schema import EvaluateConfig, Hardware
from scaseg.trained.model import TrainedModel
from scaseg.training import key_ratios
from scaseg.training.evaluate import evaluate
from tests.training.tiny import QUIET, config, folder_of, run

pytestmark = QUIET


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cfg = config(tmp_path_factory.mktemp("runs"), "training.max_steps=4", "dataset.size=[96,128]")
    run(cfg)
    return folder_of(cfg)


def options(folder: Path, **keys: object) -> EvaluateConfig:
    hardware = Hardware("cpu", num_workers=0, threads=1)
    return EvaluateConfig(str(folder), hardware=hardware, pictures=0, **keys)  # type: ignore[arg-type]


def test_several_are_compared_by_one_command(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ratios, "ROUNDS", 1)
    rows = key_ratios.compare(options(trained, key_ratios=[1, 2], image_size=[64, 64], output=str(tmp_path / "out")))
    known = json.loads((trained / "result.json").read_text())
    assert [row.key_ratio for row in rows] == [1, 2] and rows[0].miou == known["mIoU"] != rows[1].miou
    assert rows[0].seconds > 0 and rows[0].share[1] <= rows[0].share[0] <= rows[0].share[2]
    said = capsys.readouterr().out
    assert "share of time" in said and "keys pooled by 2" in said
    written = json.loads((tmp_path / "out" / key_ratios.TABLE).read_text())
    assert [row["miou"] for row in written["rows"]] == [row.miou for row in rows]
    assert written["timed_at"].startswith("64 x 64, cpu, 1 threads")
    with Image.open(tmp_path / "out" / key_ratios.FIGURE) as picture:
        assert picture.width > 300
    of_two = json.loads((tmp_path / "out" / "2" / "result.json").read_text())
    assert of_two["protocol"]["key_ratio"] == 2 and of_two["mIoU"] == rows[1].miou
    one = evaluate(options(trained, protocol={"key_ratio": 2}, output=str(tmp_path / "one")))
    assert one["mIoU"] == rows[1].miou


def test_a_model_in_use_follows_its_protocol(trained: Path) -> None:
    model = scaseg.load(trained)
    assert isinstance(model, TrainedModel)
    image = Shapes(None, "val", size=[96, 128]).read(0)[0]
    plain = model.scores(image, model.protocol).rows(0, 96)
    fewer = model.scores(image, replace(model.protocol, key_ratio=2)).rows(0, 96)
    again = model.scores(image, model.protocol).rows(0, 96)
    assert np.array_equal(plain, again) and not np.array_equal(plain, fewer)
    model.protocol = replace(model.protocol, key_ratio=2)
    assert np.array_equal(model.predict(image), fewer.argmax(1)[0])


def test_values_that_cannot_be_are_said() -> None:
    for wrong in ([1], [1, 1]):
        with pytest.raises(UserError, match=r"key_ratios=.*two or more to compare, none twice"):
            EvaluateConfig("x", key_ratios=wrong)
    with pytest.raises(UserError, match=r"key_ratios=0 must lie between 1 and 16"):
        EvaluateConfig("x", key_ratios=[1, 0])
    with pytest.raises(UserError, match=r"image_size=\[64\]"):
        EvaluateConfig("x", image_size=[64])
