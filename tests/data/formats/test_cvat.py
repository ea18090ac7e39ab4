"""CVAT for images 1.1, as https://docs.cvat.ai/docs/dataset_management/formats/format-cvat has it."""

from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import yaml

from tests.data.formats.exports import NAMES, SIZE, drawn, inside, photo, polygons, prepared, put, read_back, same
from tests.data.test_folder import says

LABELS = ("tree", "road", "car", "straße")


def points(ring):
    return ";".join(f"{x},{y}" for x, y in ring)


def polygon(label, ring, z=0):
    return (
        f'<polygon label={quoteattr(label)} source="manual" occluded="0" points="{points(ring)}" z_order="{z}">'
        '<attribute name="seen">yes</attribute></polygon>'
    )


def xml(images, labels=LABELS):
    """images: (name, size, elements)."""
    told = "".join(
        f"<label><name>{name}</name><color>#{100 + place:06x}</color><type>any</type><attributes></attributes></label>"
        for place, name in enumerate(labels)
    )
    body = "".join(
        f'<image id="{place}" name={quoteattr(name)} width="{size[1]}" height="{size[0]}">{"".join(elements)}</image>'
        for place, (name, size, elements) in enumerate(images)
    )
    meta = f"<meta><task><id>1</id><name>t</name><labels>{told}</labels></task><dumped>2026-01-01</dumped></meta>"
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    return f"{head}<annotations><version>1.1</version>{meta}{body}</annotations>\n"


def export(root, elements=None):
    """elements: of the first image, in place of its polygons."""
    images = []
    for number, name in enumerate(NAMES):
        photo(root / f"images/{name}.jpg", seed=number)
        own = elements if elements and number == 0 else [polygon(*one) for one in polygons(number)]
        images.append((f"{name}.jpg", SIZE, own))
    put(root / "annotations.xml", xml(images))
    return root


def expected(number):
    return drawn([(label, inside([ring])) for label, ring in polygons(number)])


def test_polygons_and_the_project_s_labels(tmp_path, capsys):
    prepared(export(tmp_path / "export"), tmp_path / "to")
    same(read_back(tmp_path / "to"), {name: expected(number) for number, name in enumerate(NAMES)})
    rows = {row["name"]: row for row in yaml.safe_load((tmp_path / "to/classes.yaml").read_text())}
    assert [rows[name]["id"] for name in ("tree", "road", "car")] == [1, 2, 3]  # as the project has them
    assert rows["car"]["colour"] == [0, 0, 102]
    told = capsys.readouterr().out
    assert "read as cvat" in told
    assert "labels that nothing has: straße" in told


def test_shapes_by_z_order(tmp_path):
    left, whole = [(0, 0), (15, 0), (15, 20), (0, 20)], [(0, 0), (30, 0), (30, 20), (0, 20)]
    elements = [polygon("car", left, z=1), polygon("road", whole), polygon("tree", whole, z=-1)]
    prepared(export(tmp_path / "export", elements), tmp_path / "to")
    found = read_back(tmp_path / "to")["a"]
    assert (found[:, :15] == "car").all() and (found[:, 15:] == "road").all()


def test_other_shapes(tmp_path, capsys):
    stroke = np.random.default_rng(3).integers(0, 2, (7, 11)).astype(bool)
    flat = stroke.ravel()
    ends = [*(np.flatnonzero(np.diff(flat.astype(int))) + 1), flat.size]
    counts = ", ".join(map(str, [0] * int(flat[0]) + np.diff([0, *ends]).tolist()))
    common = 'source="manual" occluded="0"'
    elements = [
        f'<box label="road" {common} xtl="2.50" ytl="1.00" xbr="20.00" ybr="12.50" z_order="0"></box>',
        f'<box label="tree" {common} xtl="20" ytl="8" xbr="26" ybr="10" rotation="90.0" z_order="0"/>',
        f'<ellipse label="car" {common} cx="9.30" cy="12.10" rx="6.20" ry="3.10" z_order="0"/>',
        f'<mask label="straße" {common} rle="{counts}" left="3" top="2" width="11" height="7" z_order="0"/>',
        f'<polyline label="car" {common} points="1,1;2,2" z_order="0"/>',
        f'<points label="car" {common} points="1,1" z_order="0"/>',
        '<tag label="car" source="manual"></tag>',
    ]
    prepared(export(tmp_path / "export", elements), tmp_path / "to")
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    strokes = np.zeros(SIZE, bool)
    strokes[2:9, 3:14] = stroke
    shapes = [
        ("road", (columns >= 2.5) & (columns < 20) & (rows >= 1) & (rows < 12.5)),
        ("tree", (columns >= 22) & (columns < 24) & (rows >= 6) & (rows < 12)),  # about its centre
        ("car", ((columns - 9.3) / 6.2) ** 2 + ((rows - 12.1) / 3.1) ** 2 < 1),
        ("straße", strokes),
    ]
    assert (read_back(tmp_path / "to")["a"] == drawn(shapes)).all()
    told = capsys.readouterr().out
    for kind in ("polyline", "points", "tag"):
        assert f"not drawn: 1 x {kind} (no area)" in told


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        (['<mask label="car" rle="3, 4" left="1" top="1" width="3" height="3"/>'], "run lengths of 7 pixels for 3x3"),
        (['<box label="car" xtl="1" ytl="1" xbr="" ybr="3"/>'], "box: not of the form that its tool writes"),
        (['<polygon label="car" points="1,2;3"/>'], "are no points x, y"),
    ],
    ids=range(3),
)
def test_what_is_wrong_is_named(elements, said, tmp_path):
    with says("annotations.xml, a.jpg", said):
        prepared(export(tmp_path / "export", elements), tmp_path / "to")


def test_other_files_of_it(tmp_path):
    root = export(tmp_path / "export")
    whole = (root / "annotations.xml").read_text()
    (root / "annotations.xml").write_text(whole[:-40])
    with says("annotations.xml is no XML that can be read"):
        prepared(root, tmp_path / "to")
    put(root / "annotations.xml", whole.replace("<image ", "<track ").replace("</image>", "</track>"))
    with says("is of CVAT for video 1.1", "export CVAT for images 1.1"):
        prepared(root, tmp_path / "to")
