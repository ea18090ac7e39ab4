"""What is known to go wrong, or to count for nothing, is said before the first step."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.training.checks import check_batch
from tests.conftest import ROOT
from tests.training.test_run import evaluated
from tests.training.tiny import QUIET, config, on_own, own, run

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
        refused = decoder in ("vwformer", "segman")  # they pool the whole map
        with pytest.raises(UserError) if refused else nullcontext():
            check_batch(plain, build_segmentor(plain.backbone, plain.decoder, 21))


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


def masks(root: Path, change: Callable[[str, npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]) -> None:
    for path in (root / "masks").iterdir():
        ids = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert ids is not None
        cv2.imwrite(str(path), change(path.stem, ids.astype(np.uint8)))


def test_nothing_to_tell_apart_is_said_with_the_table_that_is_meant(tmp_path: Path) -> None:
    """Masks 0/255 with two names: all of 255 was ignored, and the rest was learned to mIoU 100."""
    root = own(tmp_path / "a", names="xy")
    masks(root, lambda name, ids: np.where(ids > 0, 255, 0).astype(np.uint8))
    with pytest.raises(UserError, match=r"(?s)y: no pixel in the 6 masks.*0 and 255; 255 is ignored.*id: 255}"):
        run(config(tmp_path / "runs", *on_own(root)))
    assert not (tmp_path / "runs").exists()
    (root / "classes.yaml").write_text("- {name: x, id: 0}\n- {name: y, id: 255}\n")
    assert set(run(config(tmp_path / "runs", *on_own(root)))["per_class"]) == {"x", "y"}


def test_one_class_is_said(tmp_path: Path) -> None:
    root = own(tmp_path / "a", names="x", ids=(0, 255, 255))
    with pytest.raises(UserError, match="x is the table's one class"):
        run(config(tmp_path / "runs", *on_own(root)))


def test_a_class_without_a_pixel_is_said_and_the_others_are_learned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = own(tmp_path / "a", names="xyzw")
    assert run(config(tmp_path / "runs", *on_own(root)))["absent"] == ["w"]
    assert "w: no pixel in the 6 masks of the train split" in caplog.text


def test_weights_of_absent_classes_alone_are_said_before_training(tmp_path: Path) -> None:
    root = own(tmp_path / "a", names="xyzw")
    with pytest.raises(UserError, match=r"class_weights=\[0.0, 0.0, 0.0, 1.0\] leaves out every class .*: x, y, z"):
        run(config(tmp_path / "runs", *on_own(root), "loss.cross_entropy.class_weights=[0,0,0,1]"))
    assert not (tmp_path / "runs").exists()


def test_sizes_are_compared_before_training_and_turned_images_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = own(tmp_path / "a")
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in "13":
        with Image.open(root / f"images/{name}.png") as image:
            image.save(root / f"images/{name}.png", exif=exif)
    masks(root, lambda name, ids: ids[:20] if name == "5" else ids)
    with pytest.raises(UserError, match=r"5\.png is 64x32, .*5\.png is 64x20"):
        run(config(tmp_path / "runs", *on_own(root)))
    assert not (tmp_path / "runs").exists()
    masks(root, lambda name, ids: np.resize(ids, (32, 64)))
    with caplog.at_level("INFO", "scaseg"):
        run(config(tmp_path / "runs", *on_own(root)))
    assert "2 images of the train split are turned by EXIF: their masks are taken to lie on the upright" in caplog.text


def test_val_without_a_label_is_said_before_training(tmp_path: Path) -> None:
    root = own(tmp_path / "a")
    masks(root, lambda name, ids: np.full_like(ids, 255) if name in "67" else ids)
    with pytest.raises(UserError, match="no pixel is labelled in the 2 masks of the val split: the masks hold 255"):
        run(config(tmp_path / "runs", *on_own(root)))


def test_a_place_that_cannot_be_written_to_is_said_before_evaluating(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / run(config(tmp_path / "runs"))["run"]
    for option in ("output", "submission"):
        with pytest.raises(UserError, match=f"{option}=/proc/x: /proc cannot be written to"):
            evaluated(folder, f"{option}=/proc/x")


def test_an_evaluation_without_a_label_has_a_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = own(tmp_path / "a")
    cfg = config(tmp_path / "runs", *on_own(root))
    folder = tmp_path / "runs" / run(cfg)["run"]
    masks(root, lambda name, ids: np.full_like(ids, 255) if name in "67" else ids)
    result = evaluated(folder)
    assert (result["mIoU"], result["pixel_accuracy"], result["absent"]) == (None, None, ["a", "b", "c"])
    assert "no pixel of split=val is labelled: there is nothing to score" in caplog.text
    again = evaluated(folder, "split=train")
    assert again["mIoU"] is not None
