"""python -m scaseg.predict on maps and on what is too large to be seen at once: labels, files, memory, messages."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

import scaseg
from experiments.own_data.huge import at_seams, measured, mosaic, windowed, write_huge
from scaseg.data.georeference import georeference
from scaseg.data.labels import IGNORE
from scaseg.data.masks import read_mask
from scaseg.errors import UserError
from scaseg.evaluation.blend import spans
from scaseg.evaluation.protocol import Mode, Protocol
from scaseg.predict import label_tiff
from scaseg.predict.batches import Outcome, predict_all
from scaseg.predict.large import Cut
from scaseg.predict.options import PredictConfig
from scaseg.predict.outputs import Outputs
from scaseg.predict.run import predict
from scaseg.schema import Device
from scaseg.trained.inputs import find_inputs
from scaseg.trained.model import TrainedModel, load_model
from scaseg.trained.predictor import Predictor
from scaseg.trained.record import KINDS
from scaseg.trained.tiling import Tiling
from tests.data.test_arrays import GEO
from tests.models.test_efficientnet_lite import published

Picture = np.ndarray[Any, Any]
ROOT = Path(__file__).resolve().parents[2]
PLAIN = [one for one in GEO if one[0] != 42113]
WINDOWS = Cut(window=96, overlap=32)


@pytest.fixture
def model(small: TrainedModel) -> TrainedModel:
    small.protocol = Protocol()
    return small


@pytest.fixture(scope="module")
def scene(photo: Picture) -> Picture:
    return np.ascontiguousarray(np.tile(photo, (3, 3, 1))[:200, :232])


def geotiff(path: Path, image: Picture, tags: Sequence[Any] = PLAIN, **options: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    given: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate"}
    tifffile.imwrite(path, image, metadata=None, extratags=tags, **{**given, **options})
    return path


def predicted(model: Predictor, path: Path, out: Path, cut: Cut, overwrite: bool = False) -> Outcome:
    found = find_inputs(str(path)).inputs
    outputs = Outputs(out, KINDS, model.labels, {"model": "m"}, model.form)
    outputs.begin(found, overwrite)
    outcome = predict_all(model, found, outputs, 4, overwrite, cut)
    outputs.finish({"status": "done"})
    return outcome


def test_a_map_in_one_window_is_what_predict_gives(model: TrainedModel, scene: Picture, tmp_path: Path) -> None:
    path = geotiff(tmp_path / "in/a.tif", scene)
    for protocol in (
        Protocol(),
        Protocol(box=[128, 96], flip=True),
        Protocol(Mode.slide, window=[96, 96], stride=[64, 64]),
    ):
        model.protocol = protocol
        assert predicted(model, path, tmp_path / "out", Cut(), overwrite=True).failed == []
        np.testing.assert_array_equal(read_mask(str(tmp_path / "out/masks/a.tif")), model.predict(path))


def test_windows_blend_what_the_model_says_of_each(
    model: TrainedModel, scene: Picture, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = geotiff(tmp_path / "in/a.tif", scene)
    geotiff(tmp_path / "in/plain.tif", scene, ())
    cv2.imwrite(str(tmp_path / "in/b.png"), scene[..., ::-1])
    assert predicted(model, tmp_path / "in", tmp_path / "out", WINDOWS).failed == []
    found = {name: read_mask(str(tmp_path / "out/masks" / name)) for name in ("a.tif", "plain.png", "b.png")}
    tiling = Tiling((200, 232), (96, 96), (32, 32))
    assert (found["a.tif"] == windowed(model, str(path), tiling)).all()
    assert (found["plain.png"] == found["a.tif"]).all() and (found["b.png"] == found["a.tif"]).all()
    total = np.zeros((len(model.classes), 200, 232))
    for down in spans(200, tiling.down):
        for across in spans(232, tiling.across):
            part = scene[down.start : down.stop, across.start : across.stop]
            logits = model.scores(np.ascontiguousarray(part), Protocol()).rows(0, part.shape[0])[0].numpy()
            weight = np.outer(down.weight.numpy(), across.weight.numpy())
            total[:, down.start : down.stop, across.start : across.stop] += weight * logits
    assert (total.argmax(0) == found["a.tif"]).mean() > 0.999
    told = capfd.readouterr().err
    assert f"{path}: 232 x 200 pixels in 12 windows of 96 x 96, which share 32 pixels or more\n" in told
    assert "b.png: 232 x 200 pixels in 12 windows" in told and "all of it, 0 million numbers, is in memory" in told
    model.protocol = Protocol(box=[64, 64], flip=True)
    assert predicted(model, path, tmp_path / "out", WINDOWS, overwrite=True).failed == []
    assert "at its own size, without protocol.box=[64, 64]" in capfd.readouterr().err


def test_an_exported_file_takes_maps_and_no_windows(labels_file: Path, scene: Picture, tmp_path: Path) -> None:
    exported = scaseg.load(labels_file)
    exported.protocol = Protocol()
    path = geotiff(tmp_path / "in/a.tif", scene)
    assert predicted(exported, path, tmp_path / "out", Cut()).failed == []
    np.testing.assert_array_equal(read_mask(str(tmp_path / "out/masks/a.tif")), exported.predict(path))
    ((_, reason),) = predicted(exported, path, tmp_path / "windows", WINDOWS).failed
    assert "232 x 200 pixels in windows, which an exported file does not take: ckpt=RUN" in reason


def test_the_label_file(model: TrainedModel, scene: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for order, most in (("<", 2**32), (">", 1000)):
        monkeypatch.setattr(label_tiff, "MOST_CLASSIC", most)
        path = geotiff(tmp_path / "in/a.tif", scene, byteorder=order)
        assert predicted(model, path, tmp_path / "out", WINDOWS, overwrite=True).failed == []
        written = tmp_path / "out/masks/a.tif"
        assert georeference(str(written)) == georeference(str(path))
        with tifffile.TiffFile(written) as file:
            page = file.pages[0]
            assert file.is_bigtiff == (most == 1000) and (page.tilelength, page.tilewidth) == (256, 256)
            assert page.compression == 8 and 42113 not in page.tags and len(file.pages) == 1
            np.testing.assert_array_equal(page.colormap[:, : len(model.classes)].T // 257, model.colours)
            np.testing.assert_array_equal(page.asarray(), read_mask(str(written)))
        with Image.open(tmp_path / "out/overlays/a.jpg") as overlay:
            assert overlay.size == (232, 200)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        *("legend.png", "masks", "overlays", "predictions.json")
    ]


def test_nodata_is_ignored_and_said(
    model: TrainedModel, scene: Picture, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = scene.copy()
    image[:50, :58] = 0
    image[60, 60, 1] = 0  # one channel's is a number
    path = geotiff(tmp_path / "in/a.tif", image, GEO)
    assert predicted(model, path, tmp_path / "out", WINDOWS).failed == []
    mask = tmp_path / "out/masks/a.tif"
    expected = np.zeros((200, 232), np.bool_)
    expected[:50, :58] = True
    np.testing.assert_array_equal(read_mask(str(mask)) == IGNORE, expected)
    with tifffile.TiffFile(mask) as file:
        assert file.pages[0].tags[42113].value == "255"  # the picture's 0 would be the first class
    assert f"{path}: 6.2 % of it are nodata (0), and 255 in its labels" in capfd.readouterr().err


def test_what_is_done_is_kept_and_other_windows_are_other_results(
    checkpoint: Path, scene: Picture, tmp_path: Path
) -> None:
    geotiff(tmp_path / "in/a.tif", scene)
    found = find_inputs(str(tmp_path / "in"))
    options = PredictConfig(
        *(str(checkpoint), "in", str(tmp_path / "out")), write="masks", window=96, hardware=Device("cpu", 1)
    )
    assert len(predict(options, found).done) == 1 and len(predict(options, found).kept) == 1
    assert json.loads((tmp_path / "out/predictions.json").read_text())["files"]["a"]["map"]
    for options.window in (128, None):
        with pytest.raises(UserError, match="predictions with another windows"):
            predict(options, found)


def test_wrong_inputs_are_named_with_their_mend(model: TrainedModel, scene: Picture, tmp_path: Path) -> None:
    whole = geotiff(tmp_path / "in/good.tif", scene).read_bytes()
    (tmp_path / "in/cut.tif").write_bytes(whole[: len(whole) - 5000])
    geotiff(tmp_path / "in/nodata.tif", scene, [*PLAIN, (42113, 2, 5, "none", True)])
    geotiff(tmp_path / "in/bands.tif", np.dstack([scene] * 2), photometric="minisblack", planarconfig="contig")
    outcome = predicted(model, tmp_path / "in", tmp_path / "out", WINDOWS)
    reasons = {Path(file).name: reason for file, reason in outcome.failed}
    assert outcome.done == ["good"] and len(reasons) == 3
    assert reasons["cut.tif"].startswith("damaged or cut short") and "download it again" in reasons["cut.tif"]
    assert "gdal_edit.py -unsetnodata" in reasons["nodata.tif"]
    assert "6 bands" in reasons["bands.tif"] or "6 channels" in reasons["bands.tif"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.tif")) == ["good.tif"]
    for wrong, said in (
        ({"window": 100}, "window=100: a multiple of 32, such as 96"),
        ({"window": 512, "overlap": 288}, "overlap=288: at most half a window, 256 of 512"),
    ):
        with pytest.raises(UserError, match=said):
            PredictConfig("a", "b", "c", **wrong)  # type: ignore[arg-type]
    model.protocol = Protocol(box=[128, 96])
    with pytest.raises(UserError, match=r"20000 x 20000 pixels, .* window=1024 sees it at its own size"):
        Cut().tiling(model, (20_000, 20_000))


def test_which_windows_a_picture_has(model: TrainedModel) -> None:
    assert Cut().tiling(model, (5792, 5792)) is None
    assert Cut().tiling(model, (5792, 5800)) == Tiling((5792, 5800), (1024, 1024), (256, 256))
    assert Cut(window=512, overlap=32).tiling(model, (20, 20)) == Tiling((20, 20), (512, 512), (32, 32))
    model.protocol = Protocol(Mode.slide, window=[512, 769], stride=[341, 513])
    assert Cut().tiling(model, (9000, 9000)) == Tiling((9000, 9000), (512, 768), (160, 256))
    assert Tiling((9000, 9000), (512, 512), (32, 32)).seen_by(model.protocol).windows is None


KILLED = """
import sys, time
from scaseg.predict import large
from scaseg.trained import windowed
from tests.trained.test_large import predicted
import scaseg
from pathlib import Path
from scaseg.evaluation.protocol import Protocol

slow = windowed.label_bands
def bands(*given):
    for band in slow(*given):
        yield band
        print("a band is written", flush=True)
        time.sleep(60)
windowed.label_bands = bands
model = scaseg.load(sys.argv[1])
model.protocol = Protocol()
predicted(model, Path(sys.argv[2]), Path(sys.argv[3]), large.Cut(window=96, overlap=32))
"""


@pytest.mark.slow
def test_killed_within_a_file_nothing_has_its_name(
    checkpoint: Path, model: TrainedModel, scene: Picture, tmp_path: Path
) -> None:
    geotiff(tmp_path / "in/a.tif", np.tile(scene, (3, 1, 1)))
    run = [sys.executable, "-c", KILLED, str(checkpoint), str(tmp_path / "in"), str(tmp_path / "out")]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline() == "a band is written\n"
        time.sleep(0.5)
        assert list((tmp_path / "out").glob(".part-*/masks.tif"))
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "out/masks").exists()
    assert predicted(model, tmp_path / "in", tmp_path / "out", WINDOWS).done == ["a"]
    assert (tmp_path / "out/masks/a.tif").is_file() and not list((tmp_path / "out").glob(".part-*"))


@pytest.mark.slow
def test_twenty_thousand_pixels_a_side_in_less_than_a_gigabyte(
    checkpoint: Path, photo: Picture, tmp_path: Path
) -> None:
    """Above the process with the model loaded, so that what the model needs for a window counts too."""
    image = tmp_path / "huge.tif"
    write_huge(image, np.tile(photo, (4, 3, 1))[:256, :256], 20_000)
    before, peak = measured(checkpoint, image, tmp_path / "out")
    print(f"{before:.0f} MB before, {peak:.0f} MB at the peak")
    assert peak - before < 1000
    with tifffile.TiffFile(tmp_path / "out/masks/huge.tif") as file:
        assert file.pages[0].shape == (20_000, 20_000)
        assert 0 < file.pages[0].asarray()[::100, ::100].max() < IGNORE


@pytest.mark.slow
def test_labels_differ_at_seams_no_more_than_elsewhere(shared: Path, tmp_path: Path) -> None:
    """Of a whole pass over 2,048 x 2,048, by a model that learned for a minute: of random weights nothing follows."""
    data = shared / "data" / "CamVid"
    asked = (
        *("experiment=length", "decoder=scaseg", f"data_dir={data}", f"backbone.weights={published()}"),
        *("training.lr=8e-4", "training.max_steps=120", "training.val_every=120", "pictures=0"),
        *(f"output_dir={tmp_path / 'runs'}", "hardware.accelerator=cpu", "hardware.threads=1"),
    )
    subprocess.run([sys.executable, "-m", "scaseg.train", *asked], check=True, cwd=ROOT, capture_output=True)
    (run,) = (tmp_path / "runs").glob("camvid-*")
    model = load_model(run)
    path = geotiff(tmp_path / "a.tif", mosaic(data, 0))
    whole, tiling = model.predict(path), Tiling((2048, 2048), (1024, 1024), (256, 256))
    differ, seam = windowed(model, str(path), tiling) != whole, at_seams(tiling)
    print(f"differ: {100 * differ[seam].mean():.2f} % at seams, {100 * differ[~seam].mean():.2f} % elsewhere")
    assert 0.1 < seam.mean() < 0.2 and 0 < differ.mean() < 0.1
    assert differ[seam].mean() <= 1.1 * differ[~seam].mean()
