"""Supervisely: https://developer.supervisely.com/getting-started/supervisely-annotation-format."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.data.formats.exports import SIZE, drawn, inside, photo, polygons, prepared, put, read_back, same
from tests.data.test_folder import says

META = {
    "classes": [
        {"title": "road", "shape": "polygon", "color": "#D0021B", "id": 1, "hotkey": ""},
        {"title": "car", "shape": "bitmap", "color": "#00FF00", "id": 2, "hotkey": ""},
        {"title": "tree", "shape": "polygon", "color": "#0000FF", "id": 3, "hotkey": ""},
    ],
    "tags": [],
    "projectType": "images",
}


def figure(title, kind, **geometry):
    about = {"id": 5, "classId": 1, "description": "", "labelerLogin": "x", "createdAt": "2026-01-01T00:00:00.000Z"}
    return about | {"geometryType": kind, "tags": [], "classTitle": title} | geometry


def polygon(title, ring, holes=()):
    return figure(title, "polygon", points={"exterior": ring, "interior": list(holes)})


def bitmap(title, pixels, left, top, mode="RGBA"):
    buffer = io.BytesIO()
    if mode == "RGBA":
        Image.fromarray(np.dstack([np.full_like(pixels, 9, np.uint8)] * 3 + [pixels.astype(np.uint8) * 255])).save(
            buffer, "PNG"
        )
    else:
        Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    data = base64.b64encode(zlib.compress(buffer.getvalue())).decode()
    return figure(title, "bitmap", bitmap={"data": data, "origin": [left, top]})


def export(root, objects=None, datasets=("ds one",)):
    for dataset in datasets:
        for number, name in enumerate(("a.jpg", "straße.png")):
            photo(root / dataset / "img" / name, seed=number)
            own = objects if objects is not None and number == 0 else [polygon(*one) for one in polygons(number)]
            content = {"description": "", "tags": [], "size": {"height": SIZE[0], "width": SIZE[1]}, "objects": own}
            put(root / dataset / "ann" / f"{name}.json", content)
    put(root / "meta.json", META)
    return root


def expected(number):
    return drawn([(label, inside([ring])) for label, ring in polygons(number)])


def test_polygons(tmp_path, capsys):
    prepared(export(tmp_path / "export"), tmp_path / "to")
    same(read_back(tmp_path / "to"), {"ds one/a": expected(0), "ds one/straße": expected(1)})
    assert "read as supervisely" in capsys.readouterr().out
    assert "name: road, id: 1, colour: [208, 2, 27]" in (tmp_path / "to/classes.yaml").read_text()


def test_datasets_called_as_splits(tmp_path):
    told = prepared(export(tmp_path / "export", datasets=("train", "val")), tmp_path / "to")
    assert {split: told[split]["pairs"] for split in ("train", "val")} == {"train": 2, "val": 2}


@pytest.mark.parametrize("mode", ["RGBA", "L", "1"])
def test_holes_bitmaps_and_others(mode, tmp_path, capsys):
    ring, hole = [[1, 1], [25, 2], [24, 18], [2, 17]], [[5, 5], [15, 6], [10, 14]]
    stroke = np.random.default_rng(1).integers(0, 2, (8, 9)).astype(bool)
    objects = [
        polygon("road", ring, [hole]),
        figure("tree", "rectangle", points={"exterior": [[20, 3], [28, 9]], "interior": []}),
        bitmap("car", stroke, 24, 14, mode),  # beyond two borders
        figure("car", "point", points={"exterior": [[3, 3]], "interior": []}),
    ]
    prepared(export(tmp_path / "export", objects), tmp_path / "to")
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    strokes = np.zeros(SIZE, bool)
    strokes[14:, 24:] = stroke[:6, :6]
    box = (columns >= 20) & (columns < 28) & (rows >= 3) & (rows < 9)
    shapes = [("road", inside([ring, hole])), ("tree", box), ("car", strokes)]
    assert (read_back(tmp_path / "to")["ds one/a"] == drawn(shapes)).all()
    assert "not drawn: 1 x point (no area)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (figure("car", "bitmap", bitmap={"data": "?", "origin": [0, 0]}), "bitmap is no base64 text"),
        (figure("car", "bitmap", bitmap={"data": "AAAA", "origin": [0, 0]}), "bitmap is cut short or damaged"),
        (figure("car", "bitmap", bitmap={"data": base64.b64encode(zlib.compress(b"x")).decode()}), "holds no picture"),
        (figure("car", "polygon", points=[[1, 2]]), "not of the form that its tool writes"),
        (polygon("boat", [[1, 1], [9, 1], [9, 9]]), "label boat is none of the export's own list"),
        (figure(None, "polygon"), "no classTitle"),
    ],
    ids=range(6),
)
def test_what_is_wrong_is_named(entry, said, tmp_path):
    with says("ann/a.jpg.json", said):
        prepared(export(tmp_path / "export", [entry]), tmp_path / "to")


def test_without_meta(tmp_path):
    root = export(tmp_path / "export")
    (root / "meta.json").write_text(json.dumps({"x": 1}))
    with says("no meta.json with classes beside ann/*.json"):
        prepared(root, tmp_path / "to")
