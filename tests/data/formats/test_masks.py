"""Mask files: ids of 1, 8 and 16 bits and indexed, 0 and 255, colours; VOC's and CVAT's layout; Roboflow's."""

import numpy as np
import pytest
import yaml
from PIL import Image

from scaseg.data.voc import VOC
from tests.data.formats.exports import EXIF_TURN, SIZE, photo, prepared, put, read_back
from tests.data.test_folder import says
from tests.data.tiff import tiff

NAMES = ("a", "sub/b", "ü")


def save(mask, path, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask) if mode is None else Image.fromarray(mask).convert(mode)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def numbers(values, seed):
    return np.random.default_rng(seed).choice(np.array(values), SIZE)


def export(root, values, dtype=np.uint8, how=save, suffix=".png"):
    """Images and masks of these values -> {name: mask}."""
    made = {}
    for seed, name in enumerate(NAMES):
        photo(root / f"images/{name}.jpg", seed=seed)
        made[name] = numbers(values, seed).astype(dtype)
        how(made[name], root / f"masks/{name}{suffix}")
    return made


def check(found, made, names):
    """names: of each value; "" for the background."""
    assert found.keys() == made.keys()
    for name, mask in made.items():
        expected = np.vectorize(names.__getitem__, otypes=[object])(mask)
        assert (found[name] == expected).all(), name


def ids_of(folder):
    return {row["name"]: row["id"] for row in yaml.safe_load((folder / "classes.yaml").read_text(encoding="utf-8"))}


def as_rgb(mask, path):
    save(np.repeat(mask[..., None], 3, 2), path)


def as_palette(mask, path):
    save(mask, path, palette=np.random.default_rng(1).integers(0, 255, 768).tolist())


@pytest.mark.parametrize("how", [save, as_rgb, as_palette])
def test_ids_stay_as_they_are(how, tmp_path, capsys):
    made = export(tmp_path / "export", [0, 2, 3, 200], how=how)
    prepared(tmp_path / "export", tmp_path / "to")
    check(read_back(tmp_path / "to"), made, {0: "id 0", 2: "id 2", 3: "id 3", 200: "id 200"})
    assert ids_of(tmp_path / "to") == {"id 0": 0, "id 2": 2, "id 3": 3, "id 200": 200}
    assert "read as masks" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_ids_of_16_bits_are_numbered_anew(kind, tmp_path, capsys):
    def how(mask, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiff(mask[..., None], 1)) if kind == "tiff" else save(mask, path)

    values = [0, 255, 1000, 40000, 65535]
    made = export(tmp_path / "export", values, np.uint16, how, ".tif" if kind == "tiff" else ".png")
    prepared(tmp_path / "export", tmp_path / "to")
    check(read_back(tmp_path / "to"), made, {n: f"id {n}" for n in values} | {65535: "not labelled"})
    assert ids_of(tmp_path / "to") == {"id 0": 0, "id 255": 1, "id 1000": 2, "id 40000": 3, "not labelled": 255}
    assert "all were numbered anew" in capsys.readouterr().out


def as_bits(mask, path):
    save(mask.astype(bool), path)


@pytest.mark.parametrize(("values", "how"), [([0, 255], save), ([0, 1], save), ([0, 255], as_rgb), ([0, 1], as_bits)])
def test_two_values_are_background_and_foreground(values, how, tmp_path):
    made = export(tmp_path / "export", values, how=how)
    prepared(tmp_path / "export", tmp_path / "to")
    check(read_back(tmp_path / "to"), made, {values[0]: "", values[1]: "foreground"})
    assert ids_of(tmp_path / "to") == {"background": 0, "foreground": 1}


def test_255_beside_ids_without_a_gap_is_not_labelled(tmp_path, capsys):
    made = export(tmp_path / "export", [0, 1, 2, 3, 255])
    prepared(tmp_path / "export", tmp_path / "to")
    names = {n: f"id {n}" for n in range(4)}
    check(read_back(tmp_path / "to"), made, names | {255: "not labelled"})
    assert "not labelled (ignored)" in capsys.readouterr().out


@pytest.mark.parametrize("values", [[0, 1, 255], [0, 128, 255], [0, 5, 9, 13, 255]])
def test_values_that_may_mean_several_things_are_listed(values, tmp_path):
    made = export(tmp_path / "export", values)
    with says(
        "hold 0 (", f"{values[1]} (", "255 (", "255 may be a class", "format=ids", "dataset.classes=FILE"
    ) as told:
        prepared(tmp_path / "export", tmp_path / "to")
    assert not (tmp_path / "to").exists()
    prepared(tmp_path / "export", tmp_path / "ids", form="ids")
    check(read_back(tmp_path / "ids"), made, {n: f"id {n}" for n in values[:-1]} | {255: "not labelled"})
    if len(values) == 3:  # the lines that the message gives, as they stand
        rows = str(told.value).split("lines such as\n")[1]
        put(tmp_path / "table.yaml", rows.replace("\n  ", "\n").removeprefix("  "))
        prepared(tmp_path / "export", tmp_path / "table", classes=f"{tmp_path}/table.yaml")
        check(read_back(tmp_path / "table"), made, {0: "", 255: "foreground", values[1]: "unclear"})
        with says("format=binary: the masks", f"{values[1]} ("):
            prepared(tmp_path / "export", tmp_path / "binary", form="binary")


COLOURS = {0: "", 0x804080: "#804080", 0x00FF00: "#00ff00"}


def as_colours(mask, path):
    save(np.stack([mask >> 16 & 255, mask >> 8 & 255, mask & 255], 2).astype(np.uint8), path)


def as_rgba(mask, path):
    """The background transparent, of any colour there."""
    bands = np.stack([mask >> 16 & 255, mask >> 8 & 255, mask & 255], 2)
    clear = mask == 0
    save(np.dstack([np.where(clear[..., None], 77, bands), 255 * ~clear]).astype(np.uint8), path)


@pytest.mark.parametrize("how", [as_colours, as_rgba])
def test_colours_found(how, tmp_path):
    made = export(tmp_path / "export", list(COLOURS), np.int32, how)
    prepared(tmp_path / "export", tmp_path / "to")
    check(read_back(tmp_path / "to"), made, COLOURS)
    rows = {row["name"]: row["colour"] for row in yaml.safe_load((tmp_path / "to/classes.yaml").read_text())}
    assert rows["#804080"] == [128, 64, 128]


def test_colours_by_the_table(tmp_path):
    made = export(tmp_path / "export", list(COLOURS), np.int32, as_colours)
    rows = [
        "{name: road, colour: [128, 64, 128], id: 9}",
        "{name: rest, labels: rest, id: 3}",
        '{labels: ["#00ff00"], ignore: true, id: 77}',
    ]
    put(tmp_path / "table.yaml", "".join(f"- {row}\n" for row in rows))
    prepared(tmp_path / "export", tmp_path / "to", classes=f"{tmp_path}/table.yaml")
    for name, mask in made.items():
        ids = np.asarray(Image.open(tmp_path / f"to/masks/{name}.png"))
        assert (ids == np.select([mask == 0x804080, mask == 0x00FF00], [9, 77], 3)).all()
    put(tmp_path / "table.yaml", "- {name: road, colour: [128, 64, 128]}\n")
    with says("table.yaml has no entry for #000000, #00ff00", "labels: rest, drop: true"):
        prepared(tmp_path / "export", tmp_path / "to2", classes=f"{tmp_path}/table.yaml")


def test_what_is_no_colour_and_no_id(tmp_path):
    export(tmp_path / "ids", [0, 7, 1000], np.uint16)
    with says("masks/a.png holds 16-bit numbers, which are no colours"):
        prepared(tmp_path / "ids", tmp_path / "to", form="colours")
    export(tmp_path / "colours", list(COLOURS), np.int32, as_colours)
    with says("the masks hold colours and no ids: format=colours"):
        prepared(tmp_path / "colours", tmp_path / "to", form="ids")


def test_smoothed_colours_are_named(tmp_path):
    export(tmp_path / "export", list(range(0, 1 << 24, 40001)), np.int32, as_colours)
    with says("colours, so borders are blurred", "dataset.classes=FILE"):
        prepared(tmp_path / "export", tmp_path / "to")


def test_partners_sizes_and_damage(tmp_path, capsys):
    export(tmp_path / "export", [0, 1, 2])
    photo(tmp_path / "export/images/alone.jpg")
    save(numbers([1], 0).astype(np.uint8), tmp_path / "export/masks/lost.png")
    prepared(tmp_path / "export", tmp_path / "to")
    told = capsys.readouterr().out
    assert "1 masks without an image, such as lost" in told
    assert "1 images without a mask, such as alone" in told
    save(np.zeros((5, 6), np.uint8), tmp_path / "export/masks/a.png")
    with says("masks/a.png: labelled on 6x5, and"):
        prepared(tmp_path / "export", tmp_path / "to2")
    (tmp_path / "export/masks/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with says("masks/a.png: damaged or cut short"):
        prepared(tmp_path / "export", tmp_path / "to2")


def test_exif_of_an_image_by_the_size_of_its_mask(tmp_path, capsys):
    made = export(tmp_path / "export", [0, 1, 2])
    photo(tmp_path / "export/images/a.jpg", turn=EXIF_TURN)
    prepared(tmp_path / "export", tmp_path / "to")
    made["a"] = np.rot90(made["a"], -1)
    check(read_back(tmp_path / "to"), made, {n: f"id {n}" for n in range(3)})
    assert "turned with them by EXIF: 1" in capsys.readouterr().out


def voc(root, labelmap=None, names=None, mode="colours", images="JPEGImages"):
    """-> {name: mask of indices}."""
    palette = VOC.labels.colours
    made = {}
    for seed, name in enumerate(("a", "b", "sub/c")):
        photo(root / f"{images}/{name}.jpg", seed=seed)
        made[name] = numbers([0, 1, 2, 255], seed).astype(np.uint8)
        colours = np.zeros((256, 3), np.uint8)
        colours[:21], colours[255] = palette, VOC.labels.ignore_colour
        path = root / f"SegmentationClass/{name}.png"
        if mode == "colours":
            save(colours[made[name]], path)
        else:
            save(made[name], path, palette=colours.ravel().tolist() if mode == "indexed" else None)
    if labelmap:
        put(root / "labelmap.txt", labelmap)
    if names:
        put(root / "class_names.txt", names)
    return made


CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nstraße:128,0,0::\ncar:0,128,0::\nnever:1,2,3::\n"
LABELME = "__ignore__\n_background_\nstraße\ncar\n"


@pytest.mark.parametrize("mode", ["colours", "indexed", "grey"])
@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ({"labelmap": CVAT}, ("", "straße", "car")),
        ({"names": LABELME}, ("", "straße", "car")),
        ({}, ("", "aeroplane", "bicycle")),
    ],
    ids=["cvat", "labelme", "voc"],
)
def test_voc_s_layout(mode, listed, names, tmp_path, capsys):
    made = voc(tmp_path / "export", mode=mode, **listed)
    prepared(tmp_path / "export", tmp_path / "to")
    check(read_back(tmp_path / "to"), made, {0: names[0], 1: names[1], 2: names[2], 255: "not labelled"})
    assert "read as voc" in capsys.readouterr().out


def test_the_official_masks(shared, tmp_path):
    """Real ones, indexed, with borders; the classes are those that dataset=voc reads of them."""
    whole = shared / "data/VOCdevkit/VOC2012"
    names = (whole / "ImageSets/Segmentation/train.txt").read_text().split()[:4]
    for name in names:
        for file in (f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png"):
            put(tmp_path / "export" / file, "").write_bytes((whole / file).read_bytes())
    prepared(tmp_path / "export", tmp_path / "to")
    found = read_back(tmp_path / "to")
    for name in names:
        ids = np.asarray(Image.open(whole / f"SegmentationClass/{name}.png"))
        train = VOC.labels.encode(ids, name)
        expected = np.array(["", *VOC.labels.names[1:], *["not labelled"] * 235], object)[train]
        assert (found[name] == expected).all()


def test_voc_s_splits_and_images_elsewhere(tmp_path, capsys):
    voc(tmp_path / "export", CVAT, images="../pictures")
    put(tmp_path / "export/ImageSets/Segmentation/train.txt", "a\nsub/c\n")
    put(tmp_path / "export/ImageSets/Segmentation/val.txt", "b\n")
    with says("no folder JPEGImages", "dataset.images=FOLDER"):
        prepared(tmp_path / "export", tmp_path / "to")
    told = prepared(tmp_path / "export", tmp_path / "to", images=f"{tmp_path}/pictures")
    assert {split: told[split]["pairs"] for split in ("train", "val")} == {"train": 2, "val": 1}
    put(tmp_path / "export/ImageSets/Segmentation/train.txt", "a\n")
    told = prepared(tmp_path / "export", tmp_path / "to2", images=f"{tmp_path}/pictures")
    assert {split: told[split]["pairs"] for split in ("train", "val")} == {"train": 1, "val": 1}
    assert "1 images are in no list of a split: left out" in capsys.readouterr().out


def test_colours_that_the_labelmap_does_not_have(tmp_path):
    voc(tmp_path / "export", "background:0,0,0::\nroad:128,0,0::\n")
    with says("3 faults") as told:
        prepared(tmp_path / "export", tmp_path / "to")
    assert "SegmentationClass/a.png holds #008000, which the list of labels does not have" in str(told.value)
    put(tmp_path / "export/labelmap.txt", "background:0,0,0::\nroad:128,0,0::\nlane:128,0,0::\n")
    with says("labelmap.txt: road and lane have one colour, #800000"):
        prepared(tmp_path / "export", tmp_path / "to")
    put(tmp_path / "export/labelmap.txt", "road:128,0::\n")
    with says("labelmap.txt: road:128,0:: is not label:red,green,blue:parts:actions"):
        prepared(tmp_path / "export", tmp_path / "to")


def roboflow(root, classes="Pixel Value, Class\n0, background\n1, road\n2, straße\n"):
    made = {}
    for split, names in (("train", ("x_jpg.rf.1a", "y_jpg.rf.2b")), ("valid", ("z_jpg.rf.3c",)), ("test", ("w",))):
        for seed, name in enumerate(names):
            photo(root / split / f"{name}.jpg", seed=seed)
            made[f"{'val' if split == 'valid' else split}/{name}"] = mask = numbers([0, 1, 2], seed).astype(np.uint8)
            save(mask, root / split / f"{name}_mask.png")
        put(root / split / "_classes.csv", classes)
    return made


def test_roboflow(tmp_path, capsys):
    made = roboflow(tmp_path / "export")
    prepared(tmp_path / "export", tmp_path / "to")
    check(read_back(tmp_path / "to"), made, {0: "", 1: "road", 2: "straße"})
    assert "read as roboflow" in capsys.readouterr().out
    put(tmp_path / "export/train/_classes.csv", "Pixel Value, Class\n0, background\n1, road\n")
    with says("x_jpg.rf.1a_mask.png holds 2, which the list of labels does not have"):
        prepared(tmp_path / "export" / "train", tmp_path / "to2")
    put(tmp_path / "export/train/_classes.csv", "Pixel Value, Class\n0, background\n1, boat\n")
    with says("1 is boat, and road in", "prepare them apart"):
        prepared(tmp_path / "export", tmp_path / "to2")
    put(tmp_path / "export/train/_classes.csv", "Pixel Value, Class\n0, background\n1, road\n2, road\n")
    prepared(tmp_path / "export" / "train", tmp_path / "twice")
    assert ids_of(tmp_path / "twice") == {"background": 0, "road": 1}
    put(tmp_path / "export/train/_classes.csv", "Pixel Value, Class\nzero, background\n")
    with says("_classes.csv is no list of `Pixel Value, Class`"):
        prepared(tmp_path / "export", tmp_path / "to2")
