"""Each shipped experiment composes, and the two halves of the CamVid result run one after the other as documented."""

import json
from pathlib import Path

import pytest

from scaseg.choices import CONF_DIR
from scaseg.config import compose
from tests.test_cli import Cli, cli
from tests.training.tiny import QUIET, camvid

pytestmark = QUIET
__all__ = ["cli"]
EXPERIMENTS = sorted(path.stem for path in Path(CONF_DIR, "experiment").glob("*.yaml"))
SMALL = [
    "training.max_steps=2",
    "training.val_every=2",
    "training.warmup_steps=1",
    "training.checkpoint_every=2",
    "augment.crop_size=[32,64]",
    "hardware.accelerator=cpu",
    "hardware.num_workers=0",
    "hardware.threads=1",
    "pictures=1",
]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_composes(name: str) -> None:
    assert compose("train", [f"experiment={name}"]).training.max_steps > 0


def test_the_two_halves_of_the_camvid_result(cli: Cli, tmp_path: Path) -> None:
    data = f"data_dir={camvid(tmp_path / 'CamVid')}"
    status, _, err = cli("train", "experiment=camvid_pretrained", data, *SMALL)
    assert status == 0, err
    (first,) = tmp_path.glob("runs/*/checkpoints/last.ckpt")
    status, _, err = cli("train", "experiment=camvid_whole", data, *SMALL)
    assert status == 2 and "weights=the last.ckpt of experiment=camvid_pretrained: no such file" in err
    status, _, err = cli("train", "experiment=camvid_whole", data, *SMALL, f"weights={first}", "seed=1")
    assert status == 0, err
    (second,) = tmp_path.glob("runs/*-s1-*/checkpoints/last.ckpt")
    status, _, err = cli("evaluate", f"ckpt={second}", "split=test", data, "hardware.accelerator=cpu")
    assert status == 0, err
    (result,) = second.parent.parent.glob("evaluation/test-*/result.json")
    assert json.loads(result.read_text())["evaluated_images_trained_on"] == 0
