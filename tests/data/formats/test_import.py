"""From an export to what training reads: the table of classes, which format it is, and that nothing is half done."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from scaseg.config import compose, typed
from scaseg.data.build import build_source, labels_of
from scaseg.data.image_folder import ImageFolder
from scaseg.data.labels import IGNORE
from scaseg.prepare import PrepareConfig, main
from tests.data.formats.exports import SIZE, inside, photo, prepared, put, read_back
from tests.data.formats.test_labelme import label_file, shape
from tests.data.test_folder import says

EAST, WEST = [[15, 0], [30, 0], [30, 20], [15, 20]], [[0, 0], [15, 0], [15, 20], [0, 20]]
NORTH, MIDDLE = [[0, 0], [30, 0], [30, 5], [0, 5]], [[10, 5], [20, 5], [20, 15], [10, 15]]
SHAPES = (("truck", EAST), ("car", NORTH), ("person", MIDDLE), ("dirt", WEST))


def export(root, shapes=SHAPES, names=("a", "b", "c")):
    for number, name in enumerate(names):
        photo(root / f"{name}.png", seed=number)
        label_file(root / f"{name}.json", [shape(*one) for one in shapes], f"{name}.png")
    return root


def table(path, *rows):
    put(path, "".join(f"- {row}\n" for row in rows))
    return str(path)


def by(found):
    """Label of the pixels of a's four shapes, each where it alone lies, and of none."""
    labels = found["a"]
    return [str(labels[row, column]) for row, column in ((18, 25), (2, 20), (8, 17), (10, 2), (2, 2))]


def test_merge_rename_drop_ignore(tmp_path, capsys):
    option = table(
        tmp_path / "mine.yaml",
        "{name: background, id: 0}",
        "{name: vehicle, labels: [car, truck], id: 4, colour: [1, 2, 3]}",
        "{name: pedestrian, labels: [person], ignore: true, id: 3}",
        "{labels: rest, drop: true}",
    )
    prepared(export(tmp_path / "export"), tmp_path / "to", classes=option)
    assert by(read_back(tmp_path / "to")) == ["vehicle", "vehicle", "pedestrian", "", "vehicle"]
    assert (tmp_path / "to/classes.yaml").read_text().splitlines()[2:] == [
        "- {name: background, id: 0, colour: [84, 84, 126]}",
        "- {name: vehicle, id: 4, colour: [1, 2, 3]}",
        "- {name: pedestrian, id: 3, colour: [0, 252, 252], ignore: true}",
    ]
    source = ImageFolder(tmp_path / "to", "all")
    assert source.labels.names == ("background", "vehicle")
    assert set(np.unique(source.read(0)[1])) == {0, 1, IGNORE}
    assert "shapes of a label that the table drops: 3" in capsys.readouterr().out


def test_without_background_what_no_shape_covers_is_ignored(tmp_path):
    option = table(tmp_path / "mine.yaml", "truck", "car", "person", "{labels: [dirt], drop: true}")
    prepared(export(tmp_path / "export"), tmp_path / "to", classes=option)
    assert by(read_back(tmp_path / "to")) == ["truck", "car", "person", "not labelled", "car"]


def test_the_first_table_may_be_changed(tmp_path):
    """The file that was written, with two classes made one and one ignored: as people edit it, nothing drawn anew."""
    prepared(export(tmp_path / "export"), tmp_path / "to")
    assert labels_of(folder_part(), str(tmp_path / "to")).names == ("car", "dirt", "person", "truck")
    put(
        tmp_path / "to/classes.yaml",
        "- {name: vehicle, ids: [1, 4]}\n- {name: dirt, id: 2}\n- {name: person, id: 3, ignore: true}\n",
    )
    source = build_source(folder_part(), str(tmp_path / "to"), "all")
    assert source.labels.names == ("vehicle", "dirt")
    mask = source.read(0)[1]
    ids = np.asarray(Image.open(tmp_path / "to/masks/a.png"))
    assert (mask == np.select([np.isin(ids, (1, 4)), ids == 2], [0, 1], IGNORE)).all()
    assert (source.labels.decode(np.array([[0, 1]], np.uint8)) == [[1, 2]]).all()
    other = table(tmp_path / "other.yaml", "{name: all, ids: [1, 2, 3, 4]}")
    assert labels_of(folder_part(other), str(tmp_path / "to")).names == ("all",)


def folder_part(classes=None):
    return typed(compose("prepare", ["dataset=folder"]), PrepareConfig).part.changed(classes=classes)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["car", "truck", "person"], "mine.yaml has no entry for dirt, which the export has"),
        (
            ["car", "{name: x, labels: [truck, car]}", "{labels: rest, drop: true}"],
            "two entries are for car",
        ),
        (["car", "{name: x, labels: [[truck]]}"], "entry 2"),
        (["car", "{name: x, drop: perhaps}"], "entry 2"),
        (["car", "{name: x, ids: []}"], "entry 2"),
        (["car", "{name: x, ids: [1, 1]}"], "id 1 comes twice"),
        (["car", "{name: x, id: 1, ids: [2]}"], "entry 2"),
    ],
    ids=range(7),
)
def test_tables_that_are_wrong(rows, said, tmp_path):
    with says("mine.yaml", said.removeprefix("mine.yaml")):
        prepared(export(tmp_path / "export"), tmp_path / "to", classes=table(tmp_path / "mine.yaml", *rows))
    assert not (tmp_path / "to").exists()


def test_which_format_it_is(tmp_path):
    root = export(tmp_path / "export")
    put(root / "labels.json", {"images": [], "annotations": [], "categories": []})
    with says("may be of coco or labelme: say which, format=coco"):
        prepared(root, tmp_path / "to")
    prepared(root, tmp_path / "to", form="labelme")
    with says("nothing: no such file or folder"):
        prepared(tmp_path / "nothing", tmp_path / "to2")
    (tmp_path / "empty").mkdir()
    with says("is of no format that is recognised") as told:
        prepared(tmp_path / "empty", tmp_path / "to2")
    assert str(told.value).endswith("Say which, format=")
    for name in ("coco", "labelme", "cvat", "label_studio", "yolo", "roboflow", "supervisely", "voc", "masks", "ids"):
        with says(f"source={tmp_path}/empty: no "):
            prepared(tmp_path / "empty", tmp_path / "to2", form=name)
    with says("format=cocoa: choose one of auto, coco, labelme, "):
        prepared(root, tmp_path / "to2", form="cocoa")
    shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    with says("packed.zip is an archive: unpack it"):
        prepared(tmp_path / "packed.zip", tmp_path / "to2")
    assert not list(tmp_path.glob("to2*"))


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    root = export(tmp_path / "export")
    before = {path: path.read_bytes() for path in root.iterdir()}
    put(tmp_path / "full/mine.txt", "mine")
    with says("full exists already and is not an empty folder; name another"):
        prepared(root, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    damaged = bytearray((root / "b.png").read_bytes())
    damaged[100:140] = bytes(40)
    (root / "b.png").write_bytes(damaged)
    with says(f"{root}/b.png: damaged or cut short"):  # found when all is written, and named as the export has it
        prepared(root, tmp_path / "to")
    assert not list(tmp_path.glob("to*"))
    (root / "b.png").write_bytes(before[root / "b.png"])
    prepared(root, tmp_path / "to")
    assert {path: path.read_bytes() for path in root.iterdir()} == before
    with says("to exists already"):
        prepared(root, tmp_path / "to")


def test_what_a_killed_call_left_is_no_part_of_the_next(tmp_path):
    photo(tmp_path / "to.part/images/old.png")
    prepared(export(tmp_path / "export"), tmp_path / "to")
    assert read_back(tmp_path / "to").keys() == {"a", "b", "c"}
    assert not (tmp_path / "to/images/old.png").exists()


def test_more_labels_than_masks_have_room_for(tmp_path):
    root = export(tmp_path / "export", [(f"label {number}", NORTH) for number in range(260)])
    with says("the export has 260 labels, and 8-bit masks leave room for 252", "dataset.classes=FILE"):
        prepared(root, tmp_path / "to")
    prepared(root, tmp_path / "to", classes=table(tmp_path / "mine.yaml", "background", "{name: any, labels: rest}"))


def test_names_and_images_that_do_not_fit(tmp_path):
    root = export(tmp_path / "export")
    (root / "b.png").rename(photo(tmp_path / "x/b.png"))
    (root / "a.png").rename(tmp_path / "x/a.png")
    (root / "c.png").rename(tmp_path / "x/c.png")
    with says("none of its 3 images is there, such as a.png: name their folder, dataset.images=FOLDER"):
        prepared(root, tmp_path / "to")
    with says("dataset.images=pictures: no folder"):
        prepared(root, tmp_path / "to", images="pictures")
    shutil.copytree(tmp_path / "x", tmp_path / "x/y")
    with says("3 faults") as told:
        prepared(root, tmp_path / "to", images=f"{tmp_path}/x/y/..")
    assert "a.png may both be a.png: give the folder of the right one, dataset.images=" in str(told.value)
    prepared(root, tmp_path / "to", images=f"{tmp_path}/x/y")


@pytest.mark.parametrize("folder", ["{}", "part 1/{}", "{}/part 1"])
def test_folders_called_as_splits_are_splits(folder, tmp_path):
    for split in ("train", "val"):
        export(tmp_path / "export" / folder.format(split), names=("a",))
    told = prepared(tmp_path / "export", tmp_path / "to")
    assert (told["train"]["pairs"], told["val"]["pairs"]) == (1, 1)
    assert (tmp_path / "to/masks/val" / folder.format("").strip("/") / "a.png").is_file()


def test_one_split_alone_is_none(tmp_path):
    export(tmp_path / "export/train", names=("a", "b", "c"))
    told = prepared(tmp_path / "export", tmp_path / "to")
    assert told["train"]["pairs"] + told["val"]["pairs"] == 3
    assert (tmp_path / "to/images/a.png").is_file()


def test_what_the_command_says(tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["scaseg.prepare", *arguments])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr()

    root = export(tmp_path / "export", names=("a", "ü b"))
    status, said = call("dataset=folder", f"source={root}", f"data_dir={tmp_path}/to here", "workers=0")
    assert (status, said.err) == (0, "")
    assert f"{root}, read as labelme" in said.out
    assert "overlap: car over truck, 150 pixels in 2 images" in said.out
    assert ".part" not in said.out
    for arguments, message in (
        (["dataset=voc", f"source={root}"], "of an export dataset=folder is made, and not dataset=voc"),
        (["dataset=folder", f"source={root}", "dataset.ignore_ids=[0]"], "say ignore: true in the table"),
        (["dataset=folder", f"source={root}", f"archives={root}"], "archives or source"),
    ):
        status, said = call(*arguments, f"data_dir={tmp_path}/other")
        assert (status, said.out) == (2, "")
        assert message in said.err
        assert said.err.count("error") == 1


def test_sizes_that_the_whole_scene_has(tmp_path):
    """Every pixel of every mask, once more, by the rule in fractions."""
    prepared(export(tmp_path / "export"), tmp_path / "to")
    expected = np.full(SIZE, "", object)
    for label, ring in SHAPES:
        expected[inside([ring])] = label
    assert all((labels == expected).all() for labels in read_back(tmp_path / "to").values())
