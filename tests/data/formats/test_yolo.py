"""YOLO's segmentation text, as https://docs.ultralytics.com/datasets/segment/ and Roboflow's export have it."""

import numpy as np
import pytest

from tests.data.formats.exports import (
    EXIF_TURN,
    NAMES,
    SIZE,
    drawn,
    inside,
    photo,
    polygons,
    prepared,
    put,
    read_back,
    same,
)
from tests.data.test_folder import says

YAML = "path: ../datasets/x\ntrain: images/train\nval: images/val\nnames:\n  0: tree\n  1: road\n  2: car\n  3: no\n"
NUMBER = {"tree": 0, "road": 1, "car": 2}


def line(label, ring, scale=(SIZE[1], SIZE[0])):
    return f"{NUMBER[label]} " + " ".join(f"{x / scale[0]!r} {y / scale[1]!r}" for x, y in ring)


def export(root, layout="{kind}/{split}/{name}"):
    for number, name in enumerate(NAMES):
        split = "val" if number == 1 else "train"
        photo(root / (layout.format(kind="images", split=split, name=name) + ".jpg"), seed=number)
        lines = "".join(line(label, ring) + "\n" for label, ring in polygons(number))
        put(root / (layout.format(kind="labels", split=split, name=name) + ".txt"), lines)
    put(root / "data.yaml", YAML)
    return root


def expected(number):
    return drawn([(label, inside([ring])) for label, ring in polygons(number)])


@pytest.mark.parametrize("layout", ["{kind}/{split}/{name}", "{split}/{kind}/{name}"])
@pytest.mark.parametrize("named", ["", "data.yaml"])
def test_polygons_in_shares_of_the_sides(layout, named, tmp_path, capsys):
    prepared(export(tmp_path / "export", layout) / named, tmp_path / "to")
    names = ("train/a", "val/straße 1", "train/sub/b")
    same(read_back(tmp_path / "to"), {name: expected(number) for number, name in enumerate(names)})
    told = capsys.readouterr().out
    assert "read as yolo" in told
    assert "images: 2 train, 1 val" in told


def test_quirks(tmp_path, capsys):
    """Empty and missing texts, boxes, coordinates in pixels, the same line twice, no newline at the end."""
    root = export(tmp_path / "export")
    for name in ("empty", "none"):
        photo(root / f"images/train/{name}.jpg")
    put(root / "labels/train/empty.txt", "")
    shapes = polygons(7)
    pixels = [line(label, ring, (1, 1)) for label, ring in shapes]
    put(root / "labels/train/a.txt", "\n".join([*pixels, "1.0 0.5 0.5 0.2 0.2", pixels[-1]]))
    prepared(root, tmp_path / "to")
    found = read_back(tmp_path / "to")
    assert (found["train/empty"] == "").all() and (found["train/none"] == "").all()
    assert (found["train/a"] == drawn([(label, inside([ring])) for label, ring in shapes])).all()
    told = capsys.readouterr().out
    assert "not drawn: 1 x box" in told
    assert "1 images have no text in labels: without an object, as YOLO takes it" in told
    assert "images without a shape, background throughout: 2" in told
    assert "labels that nothing has: no" in told


def test_shares_are_of_the_upright_image(tmp_path):
    root = export(tmp_path / "export")
    photo(root / "images/train/a.jpg", turn=EXIF_TURN)
    prepared(root, tmp_path / "to")
    height, width = SIZE[::-1]
    shapes = [(label, [(x * width / SIZE[1], y * height / SIZE[0]) for x, y in ring]) for label, ring in polygons(0)]
    expected = drawn([(label, inside([ring], (height, width))) for label, ring in shapes], (height, width))
    assert (read_back(tmp_path / "to")["train/a"] == expected).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4 0.1 0.1 0.2 0.2 0.3 0.1", "class 4 is none of data.yaml's 4 names"),
        ("0 0.1 0.1 0.2 0.2 0.3", "5 numbers after the class are no points"),
        ("0 0.1 0.1 0.2 zwei 0.3 0.1", "a line is a class and its points"),
        ("0 0.1 0.1 0.2 nan 0.3 0.1", "are no points"),
    ],
    ids=range(4),
)
def test_what_is_wrong_is_named(text, said, tmp_path):
    root = export(tmp_path / "export")
    put(root / "labels/train/a.txt", f"0 0 0 1 0 1 1\n{text}\n")
    with says("labels/train/a.txt, line 2", said):
        prepared(root, tmp_path / "to")


def test_boxes_alone_are_said_to_be_none(tmp_path, capsys):
    root = export(tmp_path / "export")
    for path in (root / "labels").rglob("*.txt"):
        path.write_text("0 0.5 0.5 0.2 0.2\n")
    prepared(root, tmp_path / "to")
    told = capsys.readouterr().out
    assert "not drawn: 3 x box" in told
    assert np.array([(labels == "").all() for labels in read_back(tmp_path / "to").values()]).all()
