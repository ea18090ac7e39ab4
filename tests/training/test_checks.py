"""What is known to go wrong, or to count for nothing, is said before the first step."""

from contextlib import nullcontext
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import pytest

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.training.checks import check_batch
from tests.conftest import ROOT
from tests.training.tiny import QUIET, config, run

pytestmark = QUIET
ONE = ["training.batch_size_per_device=1", "training.max_steps=4", "training.val_every=4"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["decoder=vwformer", "decoder.embed_channels=64", "decoder.heads=1"],
        ["backbone=mscan_t", "augment.crop_size=[32,32]"],
    ],
    ids=["pooled branch", "one cell at stride 32"],
)
def test_a_batchnorm_of_one_number_is_said_before_the_run(overrides: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"leaves a BatchNorm of backbone=.* single number of a channel.*per_device=2"):
        run(config(tmp_path, *ONE, "backbone.depths=[1,1,1,1]", *overrides))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("decoder", sorted(path.stem for path in (ROOT / "conf/decoder").glob("*.yaml")))
def test_the_check_follows_every_decoder_and_encoder(decoder: str) -> None:
    """At a crop where every norm has several numbers there is nothing to say."""
    for backbone in ("mit_b0", "mscan_t", "lvt"):
        plain = run_config(compose("train", [f"decoder={decoder}", f"backbone={backbone}", "dataset=voc", *ONE[:1]]))
        refused = decoder == "vwformer"
        with pytest.raises(UserError) if refused else nullcontext():
            check_batch(plain, build_segmentor(plain, 21))


def test_a_batch_of_one_is_trained_where_it_can_be(tmp_path: Path) -> None:
    assert run(config(tmp_path, *ONE, "training.batch_size=1"))["step"] == 4


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["hardware.cache=ram"], "hardware.cache=ram does nothing: dataset=shapes has no files"),
        (["data_dir=somewhere"], "data_dir=somewhere is not read: dataset=shapes has no files"),
        (["protocol.window=[32,32]"], "protocol.window and protocol.stride do nothing with protocol.mode=whole"),
    ],
)
def test_a_setting_that_does_nothing_is_said(
    overrides: list[str], said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(config(tmp_path, "training.max_steps=1", "training.val_every=1", *overrides))
    assert said in caplog.text
