"""COCO's JSON: polygons and both kinds of run lengths, as pycocotools' own reader of the file gives them."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from tests.data.formats.exports import NAMES, SIZE, photo, polygons, prepared, put, read_back, same
from tests.data.test_folder import says

CATEGORIES = [{"id": 7, "name": "car"}, {"id": 3, "name": "road"}, {"id": 90, "name": "straße"}]
NAME = {one["id"]: one["name"] for one in CATEGORIES}


def runs(mask):
    """Lengths of runs down the columns, the first of what is outside."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat.astype(int))) + 1
    return [0] * int(flat[0]) + np.diff([0, *ends, flat.size]).tolist()


def packed(counts):
    """COCO's text for run lengths: from the third on differences to the one before the last, 5 bits a letter."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            letter, value = value & 31, value >> 5
            more = value != (-1 if letter & 16 else 0)
            text += chr(48 + (letter | 32 * more))
            if not more:
                break
    return text


def blob(seed):
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 2, (SIZE[0] // 5, SIZE[1] // 5)), np.ones((5, 5))).astype(bool)


def export(root, names=NAMES, **changes):
    """As the tools write it: images of any folder, annotations of all images in one list."""
    images, annotations = [], []
    for number, name in enumerate(names):
        photo(root / f"images/{name}.jpg", seed=number)
        images.append({"id": 100 + number, "file_name": f"{name}.jpg", "height": SIZE[0], "width": SIZE[1]})
        segmentations = [[np.ravel(ring).tolist()] for _, ring in polygons(number, count=4)]
        segmentations[1] += segmentations.pop()  # one of two parts
        segmentations.append({"size": list(SIZE), "counts": runs(blob(number))})
        segmentations.append({"size": list(SIZE), "counts": packed(runs(blob(number + 50)))})
        for place, segmentation in enumerate(segmentations):
            category = CATEGORIES[place % 3]["id"]
            annotations.append({"image_id": 100 + number, "category_id": category, "segmentation": segmentation})
    for number, annotation in enumerate(annotations):
        annotation |= {"id": number, "iscrowd": int(number % 5 == 4), "area": 1, "bbox": [0, 0, 1, 1]}
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": CATEGORIES}
    return put(root / "annotations/instances_default.json", content | changes)


def by_pycocotools(file):
    """The same file read and drawn by pycocotools."""
    coco = COCO(str(file))
    found = {}
    for image in coco.loadImgs(coco.getImgIds()):
        labels = np.full(SIZE, "", object)
        for annotation in coco.loadAnns(coco.getAnnIds(image["id"])):
            name = "not labelled" if annotation["iscrowd"] else NAME[annotation["category_id"]]
            labels[coco.annToMask(annotation).astype(bool)] = name
        found[image["file_name"].removesuffix(".jpg")] = labels
    return found


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_are_those_of_pycocotools(tmp_path, capsys):
    file = export(tmp_path / "export")
    prepared(tmp_path / "export", tmp_path / "to")
    same(read_back(tmp_path / "to"), by_pycocotools(file))
    told = capsys.readouterr().out
    assert "read as coco" in told
    assert "overlap: " in told
    assert "images: 3" in told
    rows = (tmp_path / "to/classes.yaml").read_text()
    assert [rows.index(name) for name in ("background", "road", "car", "straße", "not labelled")] == sorted(
        rows.index(name) for name in ("background", "road", "car", "straße", "not labelled")
    )
    for name in NAMES:
        copy = (tmp_path / f"to/images/{name}.jpg").read_bytes()
        assert copy == (tmp_path / f"export/images/{name}.jpg").read_bytes()


def test_run_lengths_by_a_second_decoder(tmp_path):
    """Not pycocotools' for either: one blob an image, in both forms."""
    images, annotations = [], []
    for number in range(4):
        photo(tmp_path / f"export/{number}.png", seed=number)
        images.append({"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]})
        counts = runs(blob(number))
        counts = packed(counts) if number % 2 else counts
        annotation = {"id": number, "image_id": number, "category_id": 3, "iscrowd": 0}
        annotations.append(annotation | {"segmentation": {"size": list(SIZE), "counts": counts}})
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    put(tmp_path / "export/labels.json", content)
    prepared(tmp_path / "export/labels.json", tmp_path / "to")
    expected = {str(number): np.where(blob(number), "road", "") for number in range(4)}
    same(read_back(tmp_path / "to"), expected)


def test_splits_are_those_of_the_files(tmp_path):
    """As Roboflow has them: a JSON a split, in the folder of its images, whose names are the same."""
    for split, names in (("train", ("a", "b")), ("valid", ("a",)), ("test", ("c",))):
        export(tmp_path / split, names)
        file = tmp_path / split / "annotations/instances_default.json"
        file.rename(tmp_path / split / "_annotations.coco.json")
    told = prepared(tmp_path, tmp_path / "to")
    assert {split: told[split]["pairs"] for split in ("train", "val", "test")} == {"train": 2, "val": 1, "test": 1}
    assert (tmp_path / "to/images/val/a.jpg").read_bytes() == (tmp_path / "valid/images/a.jpg").read_bytes()


def test_a_test_split_without_val_stays_apart(tmp_path):
    for split, names in (("train", [f"n{i}" for i in range(10)]), ("test", ("c",))):
        file = export(tmp_path / split, names)
        file.rename(tmp_path / split / "_annotations.coco.json")
    told = prepared(tmp_path, tmp_path / "to")
    assert told["test"]["pairs"] == 1
    assert told["train"]["pairs"] + told["val"]["pairs"] == 10


def test_quirks(tmp_path, capsys):
    """Listed twice, not there, of no image, a box alone, two points, an image without any shape."""
    file = export(tmp_path / "export", NAMES[:2])
    content = json.loads(file.read_text())
    size = {"height": SIZE[0], "width": SIZE[1]}
    photo(tmp_path / "export/images/empty.jpg")
    content["images"] += [
        {"id": 200, "file_name": "a.jpg", **size},
        {"id": 201, "file_name": "gone.jpg", **size},
        {"id": 202, "file_name": "empty.jpg"},
    ]
    corner = [[0, 0, 30, 0, 30, 20, 0, 20]]
    for number, (image, segmentation) in enumerate(
        ((200, corner), (201, corner), (999, corner), (100, []), (100, [[1, 1, 5, 5]]))
    ):
        entry = {"id": 900 + number, "image_id": image, "category_id": 7, "segmentation": segmentation, "bbox": [1]}
        content["annotations"].append(entry)
    put(file, content)
    prepared(tmp_path / "export", tmp_path / "to")
    told = capsys.readouterr().out
    found = read_back(tmp_path / "to")
    assert found.keys() == {"a", "straße 1", "empty"}
    assert (found["a"] == "car").all()  # the second listing's shape, over all others
    assert (found["empty"] == "").all()
    for said in (
        "a.jpg is listed 2 times",
        "1 image not there, such as gone.jpg",
        "1 annotations in instances_default.json are of images that it does not list",
        "not drawn: 2 x annotation without a polygon (a box alone)",
        "images without a shape, background throughout: 1",
    ):
        assert said in told


def annotation(**changes):
    def spoil(content):
        content["annotations"][0] |= changes

    return spoil


def image(**changes):
    def spoil(content):
        content["images"][0] |= changes

    return spoil


RLE = {"size": list(SIZE), "counts": [5, 5]}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (annotation(category_id=8), "annotation 0 of a.jpg: category_id 8 is none of the file's categories"),
        (annotation(segmentation=[[1, 2, 3, "x", 5, 6]]), "annotation 0 of a.jpg"),
        (annotation(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "are no points"),
        (annotation(segmentation=RLE), "run lengths that are not 600 pixels together"),
        (annotation(segmentation=RLE | {"size": [20, 31]}), "run lengths of [20, 31], and its image is [20, 30]"),
        (image(width=31), "labelled on 31x20, and"),
        (image(file_name=""), "has no id, or no file_name"),
        (lambda content: content.update(categories=[{"name": "x"}]), "categories are not a list of {id, name}"),
    ],
    ids=range(8),
)
def test_what_is_wrong_is_named(spoil, said, tmp_path):
    file = export(tmp_path / "export")
    content = json.loads(file.read_text())
    spoil(content)
    put(file, content)
    with says(str(file), said):
        prepared(tmp_path / "export", tmp_path / "to")
    assert not (tmp_path / "to").exists()
    assert not list(tmp_path.glob("to*"))


def test_files_that_are_not_whole(tmp_path):
    file = export(tmp_path / "export")
    file.write_text(file.read_text()[:-30])
    with says("instances_default.json is no JSON that can be read", "line 1, column", "export it again"):
        prepared(tmp_path / "export", tmp_path / "to")
    file = export(tmp_path / "export")
    put(tmp_path / "export/annotations/person_keypoints_default.json", json.loads(file.read_text()))
    with says("both annotate a.jpg: give one of them as source="):
        prepared(tmp_path / "export", tmp_path / "to")
