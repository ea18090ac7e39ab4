"""dataset=folder: a user's own images, with the classes that a YAML file lists."""

import numpy as np
import pytest
from PIL import Image

from scaseg.data.build import build_source, labels_of
from scaseg.data.image_folder import ImageFolder
from scaseg.data.labels import IGNORE
from scaseg.parts import DatasetPart
from tests.data.layouts import image, put
from tests.data.test_folder import says

RNG = np.random.default_rng(0)
NAMES = [f"p{i:02d}" for i in range(20)]


def write(root, names=NAMES, images="images", masks="masks", suffix=".png"):
    for name in names:
        put(image(RNG, (12, 16)), root / images / f"{name}.jpg")
        put(Image.fromarray(RNG.integers(0, 3, (12, 16), np.uint8)), root / masks / f"{name}{suffix}")
    return root


def names(source):
    return [source.name(i) for i in range(len(source))]


def test_two_folders_and_a_list_of_classes_are_enough(tmp_path):
    (write(tmp_path) / "classes.yaml").write_text("- ground\n- cat\n- dog\n")
    train, val = ImageFolder(tmp_path, "train"), ImageFolder(tmp_path, "val")
    assert sorted(names(train) + names(val)) == NAMES
    assert 1 <= len(val) <= 10
    assert train.labels.names == ("ground", "cat", "dog")
    assert len(set(train.labels.colours)) == 3
    assert train.read(0)[1].max() <= 2
    assert len(ImageFolder(tmp_path, "all")) == 20
    # an image stays where it is when others come
    write(tmp_path, ["new1", "new2"])
    assert set(names(val)) <= set(names(ImageFolder(tmp_path, "val")))
    with says("no test split", "images/test"):
        ImageFolder(tmp_path, "test")


def test_ids_colours_and_ignored_ids(tmp_path):
    write(tmp_path)
    classes = [{"name": "cat", "id": 2, "colour": [1, 2, 3]}, {"name": "ground", "id": 0}]
    source = ImageFolder(tmp_path, "all", classes=classes, ignore_ids=[1, 255])
    raw = np.asarray(Image.open(tmp_path / "masks/p00.png"))
    assert (source.read(0)[1] == np.select([raw == 2, raw == 0], [0, 1], IGNORE)).all()
    assert source.labels.colours[0] == (1, 2, 3)
    assert (source.labels.decode(np.array([[0, 1]], np.uint8)) == [[2, 0]]).all()
    assert (
        labels_of(
            DatasetPart({"_target_": "scaseg.data.image_folder.ImageFolder", "classes": classes}), None
        ).num_classes
        == 2
    )


def test_folders_of_splits_and_lists(tmp_path):
    by_folder, by_list = tmp_path / "a", tmp_path / "b"
    for split, some in (("train", NAMES[:5]), ("val", NAMES[5:7])):
        write(by_folder, some, f"images/{split}", f"masks/{split}", "_mask.png")
    put(image(RNG), by_folder / "images/test/t.jpg")
    options = {"classes": ["a", "b", "c"]}
    assert names(ImageFolder(by_folder, "val", mask_suffix="_mask.png", **options)) == NAMES[5:7]
    assert len(ImageFolder(by_folder, "all", mask_suffix="_mask.png", **options)) == 7
    test = ImageFolder(by_folder, "test", mask_suffix="_mask.png", **options)
    assert not test.labelled
    assert (test.read(0)[1] == IGNORE).all()
    assert test.truth(0).shape == test.read(0)[0].shape[:2]

    write(by_list)
    (by_list / "train.txt").write_text("p03\np01\n")
    (by_list / "val.txt").write_text("p02\n")
    assert names(ImageFolder(by_list, "train", **options)) == ["p03", "p01"]
    with says("test.txt", "The test split needs it"):
        ImageFolder(by_list, "test", **options)
    (by_list / "val.txt").write_text("p02\np01\n")
    with says("p01", "train.txt", "val.txt", "one split"):
        ImageFolder(by_list, "val", **options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "no YAML"),
        ("cat", "must be a list of names"),
        ("[]", "must be a list of names"),
        ("[cat, cat]", "name cat comes twice"),
        ("[cat, {name: dog, id: 0}]", "id 0 comes twice"),
        ("[cat, {name: dog, id: 255}, {name: cow, id: 255}]", "id 255 comes twice"),
        ("[cat, {name: dog, id: 300}]", "entry 2"),
        ("[{name: dog, color: [1, 2, 3]}]", "entry 1"),
        ("[{name: dog, colour: red}]", "entry 1"),
        ("[{id: 3}]", "entry 1"),
        (str(list(range(254))), "leave room for 253"),
    ],
)
def test_lists_of_classes_that_are_wrong(tmp_path, text, said):
    (write(tmp_path, NAMES[:2]) / "classes.yaml").write_text(text)
    with says("classes.yaml", said):
        ImageFolder(tmp_path, "all", ignore_ids=[255])


def test_faults_are_found_before_training(tmp_path):
    with says("dataset=folder needs its classes", "classes.yaml"):
        ImageFolder(write(tmp_path), "train")
    (tmp_path / "classes.yml").write_text("[a, b, c]")
    with says("classes.yml is there: if these are they, call it classes.yaml"):
        ImageFolder(tmp_path, "train")
    options = {"classes": ["a", "b", "c"]}
    for folder, kind in (("masks", "mask"), ("images", "image")):
        file = next((tmp_path / folder).iterdir())
        content = file.read_bytes()
        file.unlink()
        with says(f"no {kind} for {file.stem}"):
            ImageFolder(tmp_path, "train", **options)
        file.write_bytes(content)
    put(image(RNG), tmp_path / "images/p00.png")
    with says("Two files for one name", "p00"):
        ImageFolder(tmp_path, "train", **options)
    with says("between 0 and 1"):
        ImageFolder(tmp_path, "train", val_share=1.5, **options)
    config = DatasetPart({"_target_": "scaseg.data.image_folder.ImageFolder", "name": "folder", "imags": "x"})
    with says("dataset=folder: no option imags; it has images, masks, "):
        build_source(config, str(tmp_path), "train")
