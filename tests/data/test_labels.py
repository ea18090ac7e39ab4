import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scaseg.data.ade20k import ADE20K
from scaseg.data.camvid import CamVid
from scaseg.data.cityscapes import Cityscapes
from scaseg.data.coco_stuff164k import COCOStuff164k
from scaseg.data.labels import IGNORE, LabelTable, distinct_colours
from scaseg.data.shapes import Shapes
from scaseg.data.voc import VOC
from scaseg.errors import UserError

DATASETS = {Shapes: 8, CamVid: 11, VOC: 21, ADE20K: 150, Cityscapes: 19, COCOStuff164k: 171}


@pytest.mark.parametrize(("dataset", "classes"), DATASETS.items())
def test_table_is_whole(dataset, classes):
    labels = dataset.labels
    assert labels.num_classes == classes == len(labels.colours)
    assert len(set(labels.names)) == classes
    assert all(name and name == name.strip() for name in labels.names)


@pytest.mark.parametrize("dataset", DATASETS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_encode_reads_the_table_and_decode_inverts_it(dataset, data):
    labels = dataset.labels
    raw = np.array(data.draw(st.lists(st.sampled_from(list(labels.raw_ids)), min_size=6, max_size=6)), np.uint8)
    raw = raw.reshape(2, 3)
    mask = labels.encode(raw, "file.png")
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[labels.raw_ids[int(r)] for r in row] for row in raw]
    assert (labels.encode(labels.decode(mask), "again") == mask).all()
    assert (labels.decode(mask)[mask != IGNORE] == raw[mask != IGNORE]).all()


def test_ids_outside_the_table_name_file_and_ids():
    raw = np.array([[0, 11], [12, 200]], np.uint8)
    with pytest.raises(UserError, match=r"a/b\.png: the mask holds id 12, 200, .*\(it has 0\.\.11\)"):
        CamVid.labels.encode(raw, "a/b.png")
    with pytest.raises(UserError, match=r"id 1, 2, 3, 4, 5, 6, 7, 8 and 2 more.*\(it has 0, 255\)"):
        LabelTable(("one",), ((0, 0, 0),), {0: 0, 255: 255}).encode(np.arange(11, dtype=np.uint8)[None], "m")


def test_colours():
    rgb = VOC.labels.colourise(np.array([[0, 15, IGNORE]], np.uint8))
    assert rgb.tolist() == [[[0, 0, 0], [192, 128, 128], [224, 224, 192]]]


def test_a_table_that_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="1 names, 2 colours"):
        LabelTable(("one",), ((0, 0, 0), (1, 1, 1)), {0: 0})
    with pytest.raises(ValueError, match="every class"):
        LabelTable(("one", "two"), ((0, 0, 0), (1, 1, 1)), {0: 0, 1: 2})


def test_voc_colours_are_the_palette_of_the_official_masks(shared):
    file = next((shared / "data/VOCdevkit/VOC2012/SegmentationClass").glob("*.png"))
    palette = Image.open(file).getpalette()
    assert [tuple(palette[3 * i : 3 * i + 3]) for i in range(21)] == list(VOC.labels.colours)


def test_voc_colours_by_the_official_rule():
    """VOClabelcolormap.m: bit k of the id goes, by turns, to the high bits of red, green and blue."""
    for i, colour in enumerate(VOC.labels.colours):
        bits = [sum(((i >> (3 * k + c)) & 1) << (7 - k) for k in range(3)) for c in range(3)]
        assert tuple(bits) == colour


@pytest.mark.parametrize(
    ("dataset", "module", "name"),
    [
        (ADE20K, "ade", "ADE20KDataset"),
        (COCOStuff164k, "coco_stuff", "COCOStuffDataset"),
        (Cityscapes, "cityscapes", "CityscapesDataset"),
        (VOC, "voc", "PascalVOCDataset"),
    ],
)
def test_names_and_colours_are_those_of_mmsegmentation(dataset, module, name):
    """Read from its source: importing it needs compiled operators."""
    import ast
    import importlib.util
    from pathlib import Path

    found = importlib.util.find_spec("mmseg")
    if found is None:
        pytest.skip("mmsegmentation is not installed")
    tree = ast.parse((Path(found.origin).parent / "datasets" / f"{module}.py").read_text())
    call = next(
        item.value
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == name
        for item in node.body
        if isinstance(item, ast.Assign) and item.targets[0].id == "METAINFO"
    )
    meta = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert [n.strip() for n in meta["classes"]] == list(dataset.labels.names)
    assert [tuple(c) for c in meta["palette"]] == list(dataset.labels.colours)


def test_the_official_rules_once_more():
    ade, city, coco = ADE20K.labels.raw_ids, Cityscapes.labels.raw_ids, COCOStuff164k.labels.raw_ids
    assert ade == {0: 255, **{k: k - 1 for k in range(1, 151)}}
    # cityscapesScripts, helpers/labels.py: (id, trainId) of the evaluated classes
    official = "7:0 8:1 11:2 12:3 13:4 17:5 19:6 20:7 21:8 22:9 23:10 24:11 25:12 26:13 27:14 28:15 31:16 32:17 33:18"
    assert {k: v for k, v in city.items() if v != 255} == {
        int(a): int(b) for a, b in (pair.split(":") for pair in official.split())
    }
    assert set(city) == set(range(34))
    assert len(coco) == 172
    # raw names in ../shared/data/README.md: 0 person, 12 stop sign, 91 banner, 181 wood
    names = COCOStuff164k.labels.names
    assert [names[coco[raw]] for raw in (0, 12, 91, 148, 168, 181)] == [
        *("person", "stop sign", "banner", "road", "tree", "wood")
    ]
    assert coco[255] == 255


def test_colours_of_classes_that_come_without_are_unlike_each_other():
    """By CIELAB distance, of which 2.3 is the least that people see; Pascal VOC's rule has 8.7 at 20, 1.5 at 150."""
    colours = distinct_colours()
    assert len(set(colours)) == 253
    assert colours[:4] == ((84, 84, 126), (0, 252, 0), (0, 252, 252), (252, 0, 0))  # on every machine
    lab = cv2.cvtColor(np.array(colours, np.float32)[None] / 255, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1e3 * np.eye(253)
    for count, least in ((8, 40), (20, 15), (150, 4)):
        assert apart[:count, :count].min() > least
    assert min(apart[i, i + 1] for i in range(19)) > 40  # of neighbours
