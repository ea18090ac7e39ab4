"""Videos as people have them: what can be read is predicted, and what is wrong with the file is said."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scaseg.data.masks import read_mask
from scaseg.predict.batches import Outcome, predict_all
from scaseg.predict.large import Cut
from scaseg.predict.outputs import Outputs
from scaseg.predict.video import _Overlay, _rate
from scaseg.trained.inputs import find_inputs
from scaseg.trained.model import TrainedModel
from scaseg.trained.record import KINDS

Picture = np.ndarray[Any, Any]
FRAMES = 7


@pytest.fixture
def model(small: TrainedModel) -> TrainedModel:
    return small


def film(path: Path, photo: Picture, codec: str = "MJPG", count: int = FRAMES) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10.0, (96, 72))
    for number in range(count):
        writer.write(np.ascontiguousarray(np.roll(photo, number * 8, 1)))
    writer.release()
    return path


def call(model: TrainedModel, path: Path, out: Path, overwrite: bool = False) -> Outcome:
    """As python -m scaseg.predict does it."""
    found, outputs = find_inputs(str(path), str(out)), Outputs(out, KINDS, model.labels, {"model": "one"})
    outputs.begin(found.inputs, overwrite)
    outcome = predict_all(model, found.inputs, outputs, 3, overwrite, Cut())
    outputs.finish({"status": "done"})
    return outcome


def frames(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    return count


def test_a_video(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    path = film(tmp_path / "film.avi", photo)
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    outcome = call(model, tmp_path, tmp_path / "out")
    assert outcome.done == ["film"] and [Path(file).name for file, _ in outcome.failed] == ["broken.mp4"]
    assert "no video that OpenCV can read" in outcome.failed[0][1]
    assert (
        len(list((tmp_path / "out/masks/film").glob("*.png"))) == FRAMES == frames(tmp_path / "out/overlays/film.mp4")
    )
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, FRAMES - 1)
    last = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    mask = read_mask(str(tmp_path / "out/masks/film/000006.png"))
    assert (mask == model.predict(last)).mean() > 0.9999
    assert call(model, path, tmp_path / "out").kept == ["film"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("legend.png", "masks", "overlays", "predictions.json"),
    ]


@pytest.mark.parametrize("announced", [0, 3, 50])
def test_a_count_that_is_wrong_is_no_damage(
    announced: int, model: TrainedModel, photo: Picture, tmp_path: Path, capsys: Any
) -> None:
    path = film(tmp_path / "film.avi", photo)
    data = path.read_bytes()
    path.write_bytes(data.replace(FRAMES.to_bytes(4, "little"), announced.to_bytes(4, "little")))
    assert path.read_bytes() != data
    outcome = call(model, path, tmp_path / "out")
    assert (outcome.done, outcome.failed) == (["film"], [])
    assert len(list((tmp_path / "out/masks/film").iterdir())) == FRAMES
    assert announced == 0 or f"7 frames, where its header announced {announced}" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["cut", "hole"])
def test_what_can_be_read_of_a_damaged_video_is_kept(
    how: str, model: TrainedModel, photo: Picture, tmp_path: Path, capfd: Any
) -> None:
    path = film(tmp_path / "film.mp4", photo, "mp4v", 20)
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat")
    if how == "cut":  # its frames, with the index that says where they are before them, as in files made to stream
        moov = data.find(b"moov") - 4
        data = _index_first(data, start, moov)[: -len(data) // 4]
    else:
        data[start + 3000 : start + 4500] = bytes(1500)
    path.write_bytes(data)
    outcome = call(model, path, tmp_path / "out")
    (file, reason), *_ = outcome.failed
    count = len(list((tmp_path / "out/masks/film").iterdir()))
    assert file == str(path) and "damaged or cut short (" in reason and f"{count}" in reason and outcome.done == []
    assert 2 < count <= 20 and frames(tmp_path / "out/overlays/film.mp4") >= count
    assert "@ 0x" not in capfd.readouterr().err  # FFmpeg's own lines
    stamp = (tmp_path / "out/masks/film/000000.png").stat().st_mtime_ns
    again = call(model, path, tmp_path / "out")  # kept, and still not passed for whole
    assert again.done == again.kept == [] and reason in again.failed[0][1]
    assert (tmp_path / "out/masks/film/000000.png").stat().st_mtime_ns == stamp
    film(path, photo, "mp4v")  # got again
    assert call(model, path, tmp_path / "out").done == ["film"]
    assert len(list((tmp_path / "out/masks/film").iterdir())) == FRAMES


def test_a_turned_video_is_predicted_upright(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", photo, "mp4v")
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 44
    turned = (0, 65536, 0, -65536, 0, 0, 0, 0, 0x40000000)  # a quarter, as phones note it
    data[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in turned)
    path.write_bytes(data)
    call(model, path, tmp_path / "out")
    assert read_mask(str(tmp_path / "out/masks/film/000000.png")).shape == (96, 72)


def test_content_tells_a_video_from_an_image(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    for name in ("film", "film.ts", "film.jpg"):
        film(tmp_path / "film.avi", photo, count=2).rename(tmp_path / name)
        assert call(model, tmp_path / name, tmp_path / f"out_{name}").failed == []
        assert len(list((tmp_path / f"out_{name}/masks").rglob("*.png"))) == 2
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    (tmp_path / "photo.png").rename(tmp_path / "photo.mp4")
    assert call(model, tmp_path / "photo.mp4", tmp_path / "out").failed == []
    assert (tmp_path / "out/masks/photo.png").is_file()


def test_a_file_without_frames(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    for name, data in (("empty.mp4", b""), ("text.mkv", b"hello"), ("header.avi", None)):
        path = tmp_path / name
        if data is None:
            whole = film(path, photo).read_bytes()
            data = whole[: whole.find(b"movi") + 4]
        path.write_bytes(data)
        outcome = call(model, path, tmp_path / f"out_{name}")
        assert len(outcome.failed) == 1 and outcome.done == [], name
        assert not [file for file in (tmp_path / f"out_{name}/masks").rglob("*") if file.is_file()]


def test_an_overlay_runs_as_its_video_does(photo: Picture, tmp_path: Path) -> None:
    """Frames at 0, 0.1, 0.5 s, then times that go back and leap."""
    overlay = _Overlay(tmp_path / "o.mp4", 10.0, photo, 3.0)
    written = []
    for when in (3.0, 3.1, 3.5, 3.4, 9e9, float("nan")):
        overlay.add(photo, when)
        written.append(overlay.written)
    overlay.writer.release()
    assert written == [1, 2, 6, 7, 8, 9] and frames(tmp_path / "o.mp4") == 9
    assert _rate([0.0, 0.04, 0.08, 1.0]) == pytest.approx(25) and _rate([1.0]) == _rate([2.0, 1.0]) == 25
    assert _rate([0.0, 1e-9]) == 240


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
def test_sound_longer_than_pictures(model: TrainedModel, tmp_path: Path, capsys: Any) -> None:
    """The container's length counts for both."""
    make = "ffmpeg -v error -f lavfi -i testsrc2=d=2:r=10:s=96x72 -f lavfi -i sine=d=5 -c:a libvorbis a.mkv"
    subprocess.run(make.split(), cwd=tmp_path, check=True)
    outcome = call(model, tmp_path / "a.mkv", tmp_path / "out")
    assert (outcome.done, outcome.failed) == (["a"], [])
    assert len(list((tmp_path / "out/masks/a").iterdir())) == 20
    assert "20 frames, where its header announced 50" in capsys.readouterr().err


def _index_first(data: bytearray, start: int, moov: int) -> bytearray:
    """An MP4 with its moov box before mdat: the chunk offsets move by moov's length."""
    index, media = data[moov:], data[start - 4 : moov]
    at = index.find(b"stco") + 8
    for k in range(int.from_bytes(index[at : at + 4], "big")):
        place = at + 4 + 4 * k
        index[place : place + 4] = (int.from_bytes(index[place : place + 4], "big") + len(index)).to_bytes(4, "big")
    return data[: start - 4] + index + media
