"""Names of results: no two share a place, within a call or across calls; and what a call wrote is no input."""

import json
import os
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scaseg.errors import UserError
from scaseg.predict.outputs import Outputs
from scaseg.trained.inputs import find_inputs
from scaseg.trained.model import TrainedModel
from scaseg.trained.record import KINDS, clashes, places
from tests.trained.test_video import call, film

Picture = np.ndarray[Any, Any]


@pytest.fixture
def model(small: TrainedModel) -> TrainedModel:
    return small


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def named(root: Path, *names: str) -> dict[str, str]:
    inputs = find_inputs(str(touch(root, *names))).inputs
    return {one.path.relative_to(root).as_posix(): str(one.name) for one in inputs}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a/x.jpg", "a/x.png", "b/x.jpg"], ["a/x.jpg", "a/x.png", "b/x"]),
        (["clip.mp4", "clip/frame0.jpg"], ["clip.mp4", "clip/frame0"]),
        (["clip.mp4", "clip.jpg"], ["clip.mp4", "clip.jpg"]),
        (["clip.mp4", "clip.avi"], ["clip.mp4", "clip.avi"]),
        (["A.jpg", "a.jpg"], None),
        (["a.jpg", "a.png/b.jpg"], ["a.jpg", "a.png/b"]),
        (["a.jpg", "a.png", "a.jpg.jpg"], None),
        (["x.mp4", "X/000000.png"], ["x.mp4", "X/000000"]),
        (["a.b.jpg", "a.jpg", "a..jpg", "a b .jpg"], ["a.b", "a", "a.", "a b "]),
        (
            ["legend.png", "predictions.jpg", "masks/a.jpg", "overlays/a.jpg"],
            ["legend", "predictions", "masks/a", "overlays/a"],
        ),
        (["x.jpg", "x.jpg.png", "x.png.jpg", "x.jpg.png.jpg"], None),
    ],
)
def test_names(files: list[str], names: list[str] | None, tmp_path: Path) -> None:
    found = named(tmp_path, *files)
    assert names is None or found == dict(zip(files, names, strict=True))
    assert len({name.lower() for name in found.values()}) == len(files)
    assert clashes((PurePosixPath(name), file.endswith(("mp4", "avi"))) for file, name in found.items()) == set()


PART = st.sampled_from(["a", "A", "b", "a.png", "a.jpg", "é", "e\u0301", "000000"])
FILE = st.tuples(
    st.lists(PART, max_size=2), PART, st.sampled_from([".jpg", ".PNG", ".png", ".mp4", ".avi", ".jpg.jpg"])
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(FILE.map(lambda parts: "/".join([*parts[0], parts[1] + parts[2]])), min_size=1, max_size=9))
def test_no_two_results_share_a_place(tmp_path_factory: pytest.TempPathFactory, files: set[str]) -> None:
    """Of whatever files can lie in one folder: what is written is as many files, none within another."""
    root = tmp_path_factory.mktemp("files")
    kept = []
    for name in sorted(files):
        try:
            touch(root, name)
        except OSError:  # a file where another needs a folder
            continue
        kept.append(name)
    inputs = find_inputs(str(root)).inputs
    assert len(inputs) == len(kept)
    paths = [str(path) for one in inputs for path in places(one.name, one.is_video).values()]
    plain = [unicodedata.normalize("NFC", path).casefold() for path in paths]
    assert len(set(plain)) == len(plain)
    folders = {str(parent) for path in plain for parent in PurePosixPath(path).parents}
    assert folders.isdisjoint(plain)


def test_names_too_long_or_of_other_bytes(tmp_path: Path, model: TrainedModel, photo: Picture) -> None:
    for name in ("x" * 240 + ".png", os.fsdecode(b"gr\xfcn.png"), "tr\u0020.png"):
        Image.fromarray(photo).save(tmp_path / name)
    outcome = call(model, tmp_path, tmp_path / "out")
    assert len(outcome.done) == 3 and outcome.failed == []
    assert len(list((tmp_path / "out/masks").iterdir())) == 3
    assert call(model, tmp_path, tmp_path / "out").kept == outcome.done


def test_a_video_beside_a_folder_of_its_name(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    (tmp_path / "pv/clip").mkdir(parents=True)
    film(tmp_path / "pv/clip.avi", photo)
    for name in ("frame0.png", "000000.png"):
        Image.fromarray(photo).save(tmp_path / "pv/clip" / name)
    assert len(call(model, tmp_path / "pv", tmp_path / "out").done) == 3
    written = sorted(path.relative_to(tmp_path / "out/masks") for path in (tmp_path / "out/masks").rglob("*.png"))
    frames = [f"clip.avi/{number:06d}.png" for number in range(7)]
    assert [str(path) for path in written] == ["clip/000000.png", "clip/frame0.png", *frames]


def photos(root: Path, photo: Picture, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(photo, number, 0)).save(root / name)
    return root


def test_a_second_call_into_the_folder(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    """Another folder's picture of the same name is not taken for done, and its results take no others' place."""
    one, other, out = (
        photos(tmp_path / "one", photo, "x.png", "y.png"),
        photos(tmp_path / "other", photo[::-1], "x.png"),
        tmp_path / "out",
    )
    assert call(model, one, out).done == ["x", "y"]
    masks = {path: path.read_bytes() for path in out.rglob("*.png")}
    for wrong in (
        other,
        photos(tmp_path / "capital", photo, "X.png"),
        photos(tmp_path / "inside", photo, "x.png/z.png"),
    ):
        with pytest.raises(UserError, match="name another folder"):
            call(model, wrong, out)
    (tmp_path / "film").mkdir()
    film(tmp_path / "film/x.avi", photo)
    with pytest.raises(UserError, match=r"holds the results of .*one/x\.png"):
        call(model, tmp_path / "film", out)
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == masks
    assert call(model, other, out, overwrite=True).done == ["x"]
    assert (out / "masks/x.png").read_bytes() != masks[out / "masks/x.png"]
    assert (out / "masks/y.png").read_bytes() == masks[out / "masks/y.png"]
    assert call(model, other, out).kept == ["x"]
    with pytest.raises(UserError, match="holds the results of"):
        call(model, one, out)


def test_a_picture_that_has_changed_is_predicted_anew(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    one, out = photos(tmp_path / "one", photo, "x.png", "y.png"), tmp_path / "out"
    call(model, one, out)
    before = (out / "masks/x.png").read_bytes()
    Image.fromarray(photo[::-1]).save(one / "x.png")
    outcome = call(model, one, out)
    assert (outcome.done, outcome.kept) == (["x"], ["y"])
    assert (out / "masks/x.png").read_bytes() != before
    (out / "overlays/y.jpg").unlink()
    assert call(model, one, out).done == ["y"]


def test_a_call_that_was_cut_off_is_not_taken_for_done(
    model: TrainedModel, photo: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, out = photos(tmp_path / "one", photo, "x.png", "y.png"), tmp_path / "out"
    call(model, one, out)
    outputs = Outputs(out, KINDS, model.labels, {"model": "one"})
    outputs.begin(find_inputs(str(one)).inputs, overwrite=True)  # and killed here
    assert json.loads((out / "predictions.json").read_text())["status"] == "running"
    assert call(model, one, out).done == ["x", "y"]
    record = json.loads((out / "predictions.json").read_text())
    del record["files"]  # as earlier versions wrote it
    (out / "predictions.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="does not say what it was made from"):
        call(model, one, out)
    assert call(model, one, out, overwrite=True).done == ["x", "y"]


def test_a_call_that_is_cut_off_after_a_damaged_video(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    for name in ("a.avi", "b.avi"):
        (tmp_path / "in").mkdir(exist_ok=True)
        film(tmp_path / "in" / name, photo)
    inputs = find_inputs(str(tmp_path / "in")).inputs
    outputs = Outputs(tmp_path / "out", KINDS, model.labels, {"model": "one"})
    outputs.begin(inputs, overwrite=False)
    outputs.note(inputs[0], "damaged")
    outputs.note(inputs[1])
    for one in inputs:
        for path in outputs.files(one).values():
            path.mkdir(parents=True)
    outcome = call(model, tmp_path / "in", tmp_path / "out")  # killed before the record was finished
    assert outcome.kept == ["b"] and outcome.failed == [(str(inputs[0].path), "damaged before")]


def test_a_folder_in_the_way_is_not_removed(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    """That of a name which was another kind's before."""
    out = tmp_path / "out"
    call(model, photos(tmp_path / "one", photo, "x.png"), out)
    photos(out, photo, "masks/x/mine.png")
    (tmp_path / "two").mkdir()
    film(tmp_path / "two/x.avi", photo)
    with pytest.raises(UserError, match=r"masks/x is there"):
        call(model, tmp_path / "two", out, overwrite=True)
    assert (out / "masks/x/mine.png").exists()


def test_results_are_no_inputs(
    model: TrainedModel, photo: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi = photos(tmp_path / "pi", photo, "a.png", "deep/b.png")
    for _ in range(3):
        found = find_inputs(str(pi), str(pi / "pred"))
        assert [str(one.name) for one in found.inputs] == ["a", "deep/b"]
        call(model, pi, pi / "pred")
    assert found.results == 2 * 2 + 1  # masks, overlays, legend
    assert found.others == 0
    (tmp_path / "link").symlink_to(pi / "pred")
    (pi / "seen").symlink_to(pi / "pred/overlays")
    assert find_inputs(str(pi)).results == 5 + 2
    assert find_inputs(f"{pi}/**/*.png").results == 2 + 1
    for inside in (pi / "pred", pi / "pred/masks", tmp_path / "link", pi / "pred/masks/a.png", f"{pi}/pred/*/*.jpg"):
        with pytest.raises(UserError, match="is results of scaseg alone"):
            find_inputs(str(inside))
    monkeypatch.chdir(pi)
    for output in (".", str(pi), "../pi", str(tmp_path / "pi/deep/..")):
        with pytest.raises(UserError, match=r"is the input's own folder.*output=.*predictions"):
            find_inputs("." if output == "." else str(pi), output)


def test_results_of_other_commands_are_no_inputs(photo: Picture, tmp_path: Path) -> None:
    run, export = "runs/one/pictures/step_000004.png", "sub/predictions/a.png"
    pi = photos(tmp_path, photo, "a.png", run, "runs/one/evaluation/val/predictions.png", export, "pictures/b.png")
    assert len(find_inputs(str(pi)).inputs) == 5
    touch(tmp_path, "runs/one/config.yaml", "runs/one/status.json", "sub/val_submission.zip", "config.yaml")
    found = find_inputs(str(pi))
    assert [str(one.name) for one in found.inputs] == ["a", "pictures/b"]
    assert found.results == 3


def test_a_users_own_predictions_json_is_no_record(photo: Picture, tmp_path: Path) -> None:
    pi = photos(tmp_path / "pi", photo, "masks/a.png", "b.png", "legend.png")
    for text in ("[]", "{}", '{"of": 3}', "no JSON", '{"status": "x", "classes": []}'):
        (pi / "predictions.json").write_text(text)
        assert len(find_inputs(str(pi)).inputs) == 3


def test_linked_folders_are_read_and_loops_end(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    photos(tmp_path / "disk", photo, "a.png")
    (tmp_path / "pi").mkdir()
    (tmp_path / "pi/more").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/loop").symlink_to(tmp_path / "pi")
    os.mkfifo(tmp_path / "pi/pipe.png")
    assert [str(one.name) for one in find_inputs(str(tmp_path / "pi")).inputs] == ["more/a"]
    (tmp_path / "pi/gone.png").symlink_to(tmp_path / "gone.png")
    assert call(model, tmp_path / "pi", tmp_path / "out").failed == [
        (str(tmp_path / "pi/gone.png"), "cannot be read (No such file or directory)")
    ]
    (tmp_path / "pi/shut").mkdir(0o000)
    if os.geteuid():  # root reads all
        with pytest.raises(UserError, match="shut: cannot be read"):
            find_inputs(str(tmp_path / "pi"))


def test_nothing_of_the_users_is_overwritten(model: TrainedModel, photo: Picture, tmp_path: Path) -> None:
    """`overwrite` is for results: the masks of a data set that lie where they would go are none."""
    data = photos(tmp_path / "data", photo, "images/a.png", "masks/a.png")
    before = (data / "masks/a.png").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(UserError, match="not this command's"):
            call(model, data / "images", data, overwrite)
    assert (data / "masks/a.png").read_bytes() == before and not (data / "predictions.json").exists()
    out = tmp_path / "out"
    call(model, data / "images", out)
    photos(out, photo, "masks/b.png")
    photos(data, photo, "images/b.png")
    with pytest.raises(UserError, match=r"masks/b\.png is there, and predictions\.json beside it does not say"):
        call(model, data / "images", out)
