"""LabelMe: a JSON beside each image, as its version 5 writes it; and what EXIF does to any format."""

import base64
import io
import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

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


def shape(label, points, kind="polygon", **more):
    entry = {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {}}
    return entry | {"mask": None} | more


def base64_of(data):
    return base64.b64encode(data).decode()


def png(mask):
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return base64_of(buffer.getvalue())


def label_file(path, shapes, image, size=SIZE, data=None):
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": data}
    return put(path, content | {"imageHeight": size[0], "imageWidth": size[1]})


def export(root, names=NAMES):
    for number, name in enumerate(names):
        photo(root / f"{name}.jpg", seed=number)
        shapes = [shape(label, ring) for label, ring in polygons(number)]
        label_file(root / f"{name}.json", shapes, f"{name.rpartition('/')[2]}.jpg")
    return root


def expected(number, size=SIZE):
    return drawn([(label, inside([ring], size)) for label, ring in polygons(number)], size)


def test_polygons_later_over_earlier(tmp_path, capsys):
    prepared(export(tmp_path / "export"), tmp_path / "to")
    same(read_back(tmp_path / "to"), {name: expected(number) for number, name in enumerate(NAMES)})
    told = capsys.readouterr().out
    assert "read as labelme" in told
    assert "images: 3" in told


def test_overlaps_are_counted(tmp_path, capsys):
    root = export(tmp_path / "export", ["a", "b"])
    box = [[0, 0], [10, 0], [10, 10], [0, 10]]
    label_file(root / "a.json", [shape("car", box), shape("tree", np.add(box, 5).tolist())], "a.jpg")
    label_file(root / "b.json", [shape("car", box), shape("car", np.add(box, 5).tolist())], "b.jpg")
    prepared(root, tmp_path / "to")
    assert "overlap: tree over car, 25 pixels in 1 image\n" in capsys.readouterr().out


def test_other_shapes(tmp_path, capsys):
    root = export(tmp_path / "export", ["a", "b"])
    stroke = np.random.default_rng(0).integers(0, 2, (6, 9)).astype(bool)
    shapes = [
        shape("box", [[20.5, 12], [3, 2.5]], "rectangle"),  # from its right to its left corner
        shape("disc", [[10.3, 8.2], [15.3, 8.2]], "circle"),
        shape("stroke", [[24, 3], [32, 8]], "mask", mask=png(stroke)),  # beyond the image's right border
        shape("spot", [[3, 3]], "point"),
        shape("wire", [[3, 3], [9, 9]], "line"),
    ]
    del shapes[0]["mask"]
    label_file(root / "a.json", shapes, "a.jpg")
    prepared(root, tmp_path / "to")
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    strokes = np.zeros(SIZE, bool)
    strokes[3:9, 24:30] = stroke[:, :6]
    disc = (columns - 10.3) ** 2 + (rows - 8.2) ** 2 < 25
    box = (columns >= 3) & (columns < 20.5) & (rows >= 2.5) & (rows < 12)
    same(
        read_back(tmp_path / "to"),
        {"a": drawn([("box", box), ("disc", disc), ("stroke", strokes)]), "b": expected(1)},
    )
    told = capsys.readouterr().out
    assert "not drawn: 1 x point (no area)\nnot drawn: 1 x line (no area)" in told


def test_labels_that_its_own_scripts_know(tmp_path):
    root = export(tmp_path / "export", ["a", "b"])
    everything = [[0, 0], [30, 0], [30, 20], [0, 20]]
    left, right = [[0, 0], [10, 0], [10, 20], [0, 20]], [[20, 0], [30, 0], [30, 20], [20, 20]]
    shapes = [shape("car", everything), shape("_background_", left), shape("__ignore__", right)]
    label_file(root / "a.json", shapes, "a.jpg")
    prepared(root, tmp_path / "to")
    found = read_back(tmp_path / "to")["a"]
    assert (found[:, :10] == "").all()
    assert (found[:, 10:20] == "car").all()
    assert (found[:, 20:] == "not labelled").all()


def test_images_that_lie_elsewhere_or_in_the_json(tmp_path, capsys):
    """imagePath as Windows writes it; a folder that the user names; no file, but imageData; neither."""
    root = export(tmp_path / "export", ["a", "b", "c", "d"])
    label_file(root / "a.json", [shape("car", polygons(0)[0][1])], "..\\pictures\\a.jpg")
    data = (root / "b.jpg").read_bytes()
    label_file(root / "b.json", [shape("car", polygons(1)[0][1])], "b.jpg", data=base64_of(data))
    for name in "ac":
        (root / f"{name}.jpg").rename(photo(tmp_path / f"pictures/{name}.jpg"))
    (root / "b.jpg").unlink()
    (root / "d.jpg").unlink()
    prepared(root, tmp_path / "to", images=f"{tmp_path}/pictures")
    assert read_back(tmp_path / "to").keys() == {"a", "b", "c"}
    assert (tmp_path / "to/images/b.jpg").read_bytes() == data
    told = capsys.readouterr().out
    assert "left out: 1 image not there, such as d.jpg" in told
    assert "images whose file lacks, taken from the export's JSON: 1" in told


def test_names_apart_and_labels_that_differ_in_blanks(tmp_path):
    """macOS writes names apart; X-AnyLabeling gives a rectangle its four corners."""
    root = export(tmp_path / "export", ["a", "b"])
    apart = unicodedata.normalize("NFD", "ü")
    photo(root / f"{apart}.jpg")
    corners = [[3, 2], [20, 2], [20, 12], [3, 12]]
    shapes = [shape("traffic  light", corners, "rectangle"), shape("traffic light ", [[0, 14], [9, 14], [9, 19]])]
    label_file(root / f"{apart}.json", shapes, unicodedata.normalize("NFC", "ü.jpg"))
    prepared(root, tmp_path / "to")
    found = read_back(tmp_path / "to")[unicodedata.normalize("NFC", "ü")]
    masks = [inside([corners]), inside([shapes[1]["points"]])]
    assert (found == drawn([("traffic light", mask) for mask in masks])).all()


@pytest.mark.parametrize("seen", ["upright", "stored"])
def test_exif_by_the_size_that_the_tool_showed(seen, tmp_path, capsys):
    """The image is stored lying and shown standing; a tool that knows of EXIF draws on the latter."""
    root = export(tmp_path / "export", ["a", "b"])
    photo(root / "a.jpg", turn=EXIF_TURN)
    size = SIZE[::-1] if seen == "upright" else SIZE
    shapes = polygons(5, size)
    label_file(root / "a.json", [shape(label, ring) for label, ring in shapes], "a.jpg", size)
    prepared(root, tmp_path / "to")
    labels = drawn([(label, inside([ring], size)) for label, ring in shapes], size)
    same(
        read_back(tmp_path / "to"),
        {"a": labels if seen == "upright" else np.rot90(labels, -1), "b": expected(1)},
    )
    assert ("labelled as stored and not upright" in capsys.readouterr().out) == (seen == "stored")


@pytest.mark.parametrize("pixels", ["upright", "stored"])
def test_exif_where_no_size_tells(pixels, tmp_path):
    root = export(tmp_path / "export", ["a", "b"])
    photo(root / "a.jpg", (20, 20), turn=EXIF_TURN)
    label_file(root / "a.json", [shape("car", [[0, 0], [20, 0], [20, 5], [0, 5]])], "a.jpg", (20, 20))
    prepared(root, tmp_path / "to", mask_pixels=pixels)
    found = read_back(tmp_path / "to")["a"]
    top = np.zeros((20, 20), bool)
    top[:5] = True
    assert ((found == "car") == (top if pixels == "upright" else np.rot90(top, -1))).all()


def spoiled(**changes):
    return lambda content: content.update(changes)


def in_shape(**changes):
    return lambda content: content["shapes"][0].update(changes)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (in_shape(label=None), "shape 1: no label: name it in LabelMe"),
        (in_shape(points=[[1, 2], [3]]), "are no points x, y"),
        (in_shape(points=[[1, 2], [3, float("nan")], [4, 5]]), "coordinates that are no numbers"),
        (in_shape(shape_type="mask", points=[[0, 0], [4, 4]], mask="?"), "mask is no base64 text"),
        (in_shape(shape_type="mask", points=[[0, 0], [4, 4]], mask=png(np.ones((3, 3), bool))), "mask of (3, 3)"),
        (in_shape(shape_type="mask", points=[[0, 0], [4, 4]], mask="aaaa"), "no picture"),
        (spoiled(imageWidth=60, imageHeight=40), "labelled on 60x40, and"),
    ],
    ids=range(7),
)
def test_what_is_wrong_is_named(spoil, said, tmp_path):
    root = export(tmp_path / "export")
    content = json.loads((root / "a.json").read_text())
    spoil(content)
    put(root / "a.json", content)
    with says("a.json", said):
        prepared(root, tmp_path / "to")
    assert not list(tmp_path.glob("to*"))


def test_all_faults_at_once_and_two_for_one_image(tmp_path):
    root = export(tmp_path / "export")
    for name in NAMES[:2]:
        content = json.loads((root / f"{name}.json").read_text())
        content["shapes"][0]["label"] = 7
        put(root / f"{name}.json", content)
    put(root / "copy.json", json.loads((root / "sub/b.json").read_text()))
    with says("3 faults in source=") as told:
        prepared(root, tmp_path / "to")
    for said in ("a.json, shape 1: no label", "straße 1.json, shape 1: no label", "are both of"):
        assert said in str(told.value)
