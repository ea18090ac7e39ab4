"""Label Studio's JSON, JSON-MIN and brush strokes; as https://labelstud.io/guide/export and task_format have them."""

import json

import numpy as np
import pytest

from scaseg.data.formats import brush
from tests.data.formats.exports import NAMES, SIZE, drawn, inside, photo, polygons, prepared, put, read_back, same
from tests.data.test_folder import says

ORIGINAL = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}


def percent(ring):
    return [[100 * x / SIZE[1], 100 * y / SIZE[0]] for x, y in ring]


def region(kind, label, value, **more):
    """A result of a full export."""
    about = {"id": "x", "type": kind, "from_name": "label", "to_name": "image", "origin": "manual"}
    return ORIGINAL | about | {"value": value | {kind: [label]}} | more


def polygon(label, ring):
    return region("polygonlabels", label, {"points": percent(ring), "closed": True})


def task(number, image, results, **more):
    done = {"id": number, "was_cancelled": False, "ground_truth": False, "result": results}
    return {"id": number, "data": {"image": image}, "annotations": [done], "predictions": [], "project": 1} | more


def stored(root, name, number):
    """An uploaded image, as the tool calls it."""
    photo(root / f"images/{number:08x}-{name}.jpg", seed=number)
    return f"/data/upload/1/{number:08x}-{name}.jpg"


def export(root, results=None):
    tasks = []
    for number, name in enumerate(("a", "straße 1", "b")):
        own = results if results is not None and number == 0 else [polygon(*one) for one in polygons(number)]
        tasks.append(task(number, stored(root, name, number), own))
    return put(root / "project-1-at-2026-01-01.json", tasks)


def called(names=("a", "straße 1", "b")):
    return [f"{number:08x}-{name}" for number, name in enumerate(names)]


def expected(number):
    return drawn([(label, inside([ring])) for label, ring in polygons(number)])


def pack(words, rng):
    """thi.ng/rle-pack's bits of bytes: runs where words repeat, and pieces of single words."""
    sizes = (3, 4, 8, 16)
    bits = f"{len(words):032b}{8 - 1:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    at = 0
    while at < len(words):
        run = 1
        while at + run < len(words) and words[at + run] == words[at]:
            run += 1
        repeated = run > 1
        length = min(run, 2**16) if repeated else int(rng.integers(1, min(9, len(words) - at + 1)))
        which = next(place for place, size in enumerate(sizes) if length - 1 < 2**size)
        bits += f"{int(repeated)}{which:02b}{length - 1:0{sizes[which]}b}"
        bits += "".join(f"{word:08b}" for word in (words[at : at + 1] if repeated else words[at : at + length]))
        at += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def stroke(seed):
    """(pixels, as packed): alpha in steps, as a brush with a soft edge leaves it."""
    rng = np.random.default_rng(seed)
    alpha = np.kron(rng.choice([0, 100, 127, 128, 255], (4, 5)), np.ones((5, 6))).astype(np.uint8)
    rgba = rng.integers(0, 2, (*SIZE, 4), np.uint8) * 255
    rgba[..., 3] = alpha
    return alpha >= 128, pack(rgba.ravel().tolist(), rng)


def test_polygons_in_percent(tmp_path, capsys):
    file = export(tmp_path / "export")
    prepared(file, tmp_path / "to")
    same(read_back(tmp_path / "to"), dict(zip(called(), map(expected, range(3)), strict=True)))
    assert "read as label_studio" in capsys.readouterr().out


def test_brush_strokes_and_other_shapes(tmp_path, capsys):
    pixels, packed = stroke(0)
    results = [
        region("rectanglelabels", "road", {"x": 10, "y": 10, "width": 50, "height": 60, "rotation": 0}),
        region("rectanglelabels", "turned", {"x": 80, "y": 10, "width": 20, "height": 10, "rotation": 90}),
        region("ellipselabels", "car", {"x": 50, "y": 50, "radiusX": 20.1, "radiusY": 20.3, "rotation": 0}),
        region("brushlabels", "tree", {"format": "rle", "rle": packed}),
        region("keypointlabels", "spot", {"x": 50, "y": 50, "width": 0.5}),
        ORIGINAL | {"type": "choices", "value": {"choices": ["sharp"]}},
    ]
    prepared(export(tmp_path / "export", results), tmp_path / "to")
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    shapes = [
        ("road", (columns >= 3) & (columns < 18) & (rows >= 2) & (rows < 14)),
        ("turned", (columns >= 22) & (columns < 24) & (rows >= 2) & (rows < 8)),  # about its first corner
        ("car", ((columns - 15) / 6.03) ** 2 + ((rows - 10) / 4.06) ** 2 < 1),
        ("tree", pixels),
    ]
    assert (read_back(tmp_path / "to")["00000000-a"] == drawn(shapes)).all()
    told = capsys.readouterr().out
    assert "not drawn: 1 x keypointlabels (no area)" in told
    assert "not drawn: 1 x choices (no area)" in told


@pytest.mark.parametrize("seed", range(4))
def test_brush_strokes_bit_for_bit(seed):
    pixels, packed = stroke(seed)
    assert (brush.decode(packed, SIZE, "") == pixels).all()
    for spoiled in (packed[:-9], packed[:3], [], [*packed[:4], 255, *packed[5:]], [*packed[:9], "x"]):
        with says("task 7", "export them again"):
            brush.decode(spoiled, SIZE, "task 7")
    with says("brush strokes of 600 pixels for 31x20"):
        brush.decode(packed, (20, 31), "")


def test_json_min(tmp_path):
    root, tasks = tmp_path / "export", []
    for number, name in enumerate(NAMES[:2]):
        label = [{**ORIGINAL, "points": percent(ring), "polygonlabels": [its]} for its, ring in polygons(number)]
        image = stored(root, name, number)
        tasks.append({"image": image, "id": number, "label": label, "annotator": 1, "annotation_id": number})
    put(root / "min.json", tasks)
    prepared(root / "min.json", tmp_path / "to")
    same(read_back(tmp_path / "to"), dict(zip(called(NAMES[:2]), map(expected, range(2)), strict=True)))


def test_which_annotation_and_which_file(tmp_path, capsys):
    """Of several annotations; of addresses, local files and files without what the tool puts before names."""
    root = tmp_path / "export"
    for name in ("a", "b c", "d"):
        photo(root / f"images/{name}.jpg")
    ring = [(0, 0), (30, 0), (30, 20), (0, 20)]
    several = [
        {"result": [polygon("first", ring)], "was_cancelled": False, "updated_at": "2026-01-02"},
        {"result": [polygon("last", ring)], "was_cancelled": False, "updated_at": "2026-01-03"},
        {"result": [polygon("cancelled", ring)], "was_cancelled": True, "updated_at": "2026-01-04"},
    ]
    truth = [several[0] | {"ground_truth": True}, *several[1:]]
    tasks = [
        task(0, "s3://bucket/x/0a1b2c3d-a.jpg?signed=1", [], annotations=several),
        task(1, "/data/local-files/?d=photos%2Fb%20c.jpg", [], annotations=truth),
        task(2, "https://host/d.jpg", []),
        task(3, "https://host/e.jpg", [], annotations=[]),
    ]
    put(root / "p.json", tasks)
    prepared(root, tmp_path / "to")
    found = read_back(tmp_path / "to")
    assert {name: set(labels.ravel()) for name, labels in found.items()} == {
        "0a1b2c3d-a": {"last"},
        "b c": {"first"},
        "d": {""},
    }
    assert "1 tasks that nobody has annotated: left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_rotation": 90}, "turned by 90 degrees in the tool"),
        ({"original_width": 300}, "labelled on 300x20, and"),
        ({"value": {"points": [[1]], "polygonlabels": ["car"]}}, "are no points"),
    ],
    ids=range(3),
)
def test_what_is_wrong_is_named(change, said, tmp_path):
    file = export(tmp_path / "export", [polygon(*polygons(0)[0]) | change])
    with says("project-1-at-2026-01-01.json, task 0", said):
        prepared(file, tmp_path / "to")


def test_a_task_without_an_image(tmp_path):
    file = export(tmp_path / "export")
    tasks = json.loads(file.read_text())
    tasks[1]["data"] = {"text": "no picture"}
    put(file, tasks)
    with says("task 1: its data names no image: text"):
        prepared(file, tmp_path / "to")
