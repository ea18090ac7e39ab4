"""Lists, names and folders as people have them: each is read, or named with what to do about it."""

import logging
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from scaseg.data.ade20k import ADE20K
from scaseg.data.camvid import CamVid
from scaseg.data.image_folder import ImageFolder
from scaseg.data.pairing import listed
from scaseg.data.text import read_text
from scaseg.errors import UserError
from scaseg.evaluation.submission import SubmissionWriter, check
from tests.data.layouts import CLASSES, write
from tests.data.test_folder import says

RNG = np.random.default_rng(0)
MASKS = {"jpg": "png"}


def image(path, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (12, 16, 3) if mode == "RGB" else (12, 16)
    Image.fromarray(RNG.integers(0, 3, shape, np.uint8)).save(path, "PNG")  # readers go by content


def folder(root, images, masks, **options):
    for name in images:
        image(root / name)
    for name in masks:
        image(root / name, "L")
    return lambda split="all", **more: ImageFolder(root, split, classes=["a", "b", "c"], **options, **more)


def names(source):
    return [source.name(i) for i in range(len(source))]


@pytest.mark.parametrize(
    "suffix", ["jpg", "jpeg", "jpe", "jfif", "Jpg", "JPEG", "PNG", "webp", "tif", "TIFF", "bmp", "gif", "pgm", "jp2"]
)
def test_images_of_every_suffix(suffix, tmp_path):
    source = folder(tmp_path, [f"images/a.{suffix}", "images/b.png"], ["masks/a.png", "masks/b.png"])()
    assert names(source) == ["a", "b"]
    assert source.read(0)[0].shape == (12, 16, 3)


@pytest.mark.parametrize("suffix", ["png", "PNG", "Png", "bmp", "tif", "TIFF"])
def test_masks_of_every_suffix(suffix, tmp_path):
    make = folder(tmp_path, ["images/a.jpg", "images/b.jpg"], [f"masks/a.{suffix}", "masks/b.png"])
    assert names(make()) == ["a", "b"]
    assert make().read(0)[1].max() <= 2
    image(tmp_path / "masks/a.JPG")  # a preview beside it
    assert names(make()) == ["a", "b"]


def test_masks_that_cannot_serve_are_named(tmp_path):
    make = folder(tmp_path, ["images/a.jpg", "images/b.jpg"], ["masks/b.png"])
    Image.new("L", (16, 12)).save(tmp_path / "masks/a.jpg")
    with says("no mask for a, though", "masks/a.jpg is there", "JPEG blurs them", "export"):
        make()
    (tmp_path / "images/c.heic").write_bytes(b"x")
    image(tmp_path / "masks/a.png", "L")
    image(tmp_path / "masks/c.png", "L")
    with says("no image for c, though", "images/c.heic is there", "save it as one of them"):
        make()
    image(tmp_path / "images/c.jpg")
    image(tmp_path / "masks/a.bmp", "L")
    assert names(make()) == ["a", "b", "c"]  # the kind that mask_suffix names goes first
    (tmp_path / "masks/a.png").unlink()
    image(tmp_path / "masks/a.tif", "L")
    with says("Two files for one name", "a.bmp", "a.tif"):
        make()


@pytest.mark.parametrize(
    ("images", "masks", "said"),
    [
        (
            ["u_0_leftImg8bit.png", "u_1_leftImg8bit.png"],
            ["u_0_gtFine_labelIds.png", "u_1_gtFine_labelIds.png"],
            "dataset.image_suffix=_leftImg8bit dataset.mask_suffix=_gtFine_labelIds.png",
        ),
        (["a.jpg", "b.jpg"], ["a_mask.png", "b_mask.png"], ": dataset.mask_suffix=_mask.png"),
        (["a.jpg"], ["a.mask.bmp"], ": dataset.mask_suffix=.mask.bmp"),
        (["a-rgb.jpg", "c-rgb.jpg"], ["a-L.png", "c-L.png"], "dataset.image_suffix=-rgb dataset.mask_suffix=-L.png"),
        (["img_1.jpg", "img_2.jpg"], ["mask_1.png", "mask_2.png"], "images are called img_NAME, the masks mask_NAME"),
        (["x.jpg", "y.jpg"], ["u.png", "v.png"], "Put the image there, or take the name out"),
    ],
)
def test_common_suffixes_are_worked_out(images, masks, said, tmp_path):
    make = folder(tmp_path, [f"images/{n}" for n in images], [f"masks/{n}" for n in masks])
    with says("no image for", said):
        make()
    for wrong in ({"mask_suffix": "_wrong.png"}, {"image_suffix": "_wrong"}):
        with says("", said if "dataset" in said else "no "):
            make(**wrong)
    options = dict(one.split("=") for one in said.replace("dataset.", "").strip(": ").split() if "=" in one)
    if options:
        source = ImageFolder(tmp_path, "all", classes=["a", "b", "c"], **options)
        assert len(source) == len(images)


def test_masks_beside_the_images(tmp_path):
    files = [f"images/{split}/{n}.jpg" for split in ("train", "val") for n in "abc"]
    masks = [name.replace(".jpg", "_mask.png") for name in files]
    make = folder(tmp_path, files, masks)
    with says("no folder", "masks/train, and in", "NAME_mask: dataset.masks=images dataset.mask_suffix=_mask.png"):
        make("train")
    source = ImageFolder(tmp_path, "val", masks="images", mask_suffix="_mask.png", classes=["a", "b", "c"])
    assert names(source) == ["a", "b", "c"]
    assert source.pairs[0].mask.endswith("images/val/a_mask.png")
    for n in "ab":  # one folder for both, the masks told by their kind alone, and lying within data_dir itself
        image(tmp_path / f"flat/{n}.jpg")
        image(tmp_path / f"flat/{n}.png", "L")
        image(tmp_path / f"own/{n}.jpg")
        image(tmp_path / f"own/masks/{n}.png", "L")
    for root, options in (("flat", {"masks": "."}), ("own", {})):
        assert names(ImageFolder(tmp_path / root, "all", images=".", classes=list("abc"), **options)) == ["a", "b"]


def test_folders_within_folders(tmp_path):
    files = [f"images/{split}/{seq}/{n}.jpg" for split in ("train", "val") for seq in ("seqA", "seqB") for n in (1, 2)]
    masks = [name.replace("images", "masks").replace("jpg", "png") for name in files]
    make = folder(tmp_path, files, masks)
    assert names(make("train")) == ["seqA/1", "seqA/2", "seqB/1", "seqB/2"]
    (tmp_path / "images/train/seqC").symlink_to(tmp_path / "images/val/seqA")  # as data are shared
    (tmp_path / "masks/train/seqC").symlink_to(tmp_path / "masks/val/seqA")
    (tmp_path / "images/train/seqA/loop").symlink_to(tmp_path / "images/train")
    assert names(make("train"))[-2:] == ["seqC/1", "seqC/2"]
    flat = tmp_path / "flat"
    make = folder(flat, ["images/s/1.jpg", "images/t/1.jpg"], ["masks/s/1.png", "masks/t/1.png"])
    (flat / "train.txt").write_text("images/s/1.jpg\n")
    (flat / "val.txt").write_text("t/1\n")
    assert [names(make(split)) for split in ("train", "val")] == [["s/1"], ["t/1"]]


LINES = ["łódź", "a", "my photo", "grün"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "crlf", "cr", "suffix", "nfd"]
)
def test_lists_as_editors_save_them(encoding, tmp_path):
    make = folder(tmp_path, [f"images/{n}.jpg" for n in (*LINES, "z")], [f"masks/{n}.png" for n in (*LINES, "z")])
    ends = {"crlf": "\r\n", "cr": "\r"}
    text = "".join(line + ends.get(encoding, "\n") for line in (*LINES, "", "  "))
    if encoding == "suffix":
        text = "łódź\na.jpg\n./images/my photo.jpg\n  C:\\data\\images\\grün.JPG\n"
    if encoding == "nfd":
        text = unicodedata.normalize("NFD", text)
    (tmp_path / "train.txt").write_bytes(text.encode(encoding if encoding.startswith("utf") else "utf-8"))
    (tmp_path / "val.txt").write_text("z")
    assert names(make("train")) == LINES
    assert names(make("val")) == ["z"]


def test_what_is_there_under_another_name_is_said(tmp_path):
    """The advice was to delete the file without a partner."""
    make = folder(tmp_path, ["images/a.jpg", "images/b.jpg"], ["masks/A.png", "masks/b.png"])
    with says("no image for A, though", "images/a.jpg is there: capitals and small letters are told apart"):
        make()
    (tmp_path / "masks/A.png").rename(tmp_path / "masks/a.ids")
    with says("no mask for a, though", "masks/a.ids is there: it holds one, 16x12", "call it a.png"):
        make()
    (tmp_path / "masks/b.png").rename(tmp_path / "masks/b.ids")
    assert names(make(mask_suffix=".ids")) == ["a", "b"]
    (tmp_path / "images/a.jpg").rename(tmp_path / "images/a.photo")
    with says("no image for a, though", "images/a.photo is there: it holds one, 16x12"):
        make(mask_suffix=".ids")


def test_masks_among_images_of_the_same_names_are_said(tmp_path):
    make = folder(tmp_path, [f"images/{x}.jpg" for x in "ab"], [f"images/{x}.png" for x in "ab"])
    with says("Where one is the other's mask: dataset.masks=images dataset.mask_suffix=.png"):
        make()
    assert names(make(masks="images")) == ["a", "b"]


def test_names_of_either_form_are_one_name(tmp_path):
    composed, apart = (unicodedata.normalize(form, "grün") for form in ("NFC", "NFD"))
    assert composed != apart
    make = folder(tmp_path, [f"images/{apart}.jpg"], [f"masks/{composed}.png"])
    assert names(make()) == [composed]
    image(tmp_path / f"images/{composed}.jpg")
    with says("Two files for one name"):
        make()


def test_a_list_that_is_not_utf_8_is_named(tmp_path):
    make = folder(tmp_path, ["images/grün.jpg", "images/a.jpg"], ["masks/grün.png", "masks/a.png"])
    (tmp_path / "train.txt").write_bytes("a\ngrün\n".encode("latin-1"))
    with says("train.txt, line 2: not UTF-8 (byte 0xfc)", "iconv -f latin1 -t utf-8"):
        make("train")
    with says("none.txt: cannot be read"):
        read_text(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("a", "a"),
        ("a b", "a b"),  # the longest that is known
        ("a b c", "a b c"),
        ("a 1", "a"),
        ("a b -1", "a b"),
        ("images/train/a.jpg masks/train/a.png", "a"),
        ("/SegNet/CamVid/val/a b.png /SegNet/CamVid/valannot/a b.png", "a b"),
        ("a.jpg,a_mask.png", "a"),
        ("a.jpg\ta.png", "a"),
        ("a b.jpg;a b_mask.png", "a b"),
        ("a x", None),
        ("x/y.jpg", None),
        ("a.b.jpg", "a.b"),
        ("a_leftImg8bit.png", "a"),
        ("gone.jpg", None),
    ],
)
def test_lines_of_lists(line, name, tmp_path):
    (tmp_path / "list.txt").write_text(line)
    (found,) = listed(tmp_path / "list.txt", ["a", "a b", "a b c", "a.b"], "_leftImg8bit", "_mask.png")
    assert found == (name or line.removesuffix(".jpg"))


def test_a_list_that_pairs_otherwise_or_twice(tmp_path):
    for text, said in (
        ("a.jpg b.png", "a.jpg is listed with b.png, and a mask has its image's name"),
        ("a\nimages/a.jpg", "lists a twice"),
    ):
        (tmp_path / "list.txt").write_text(text)
        with says("list.txt", said):
            listed(tmp_path / "list.txt", ["a", "b"])


def test_what_is_left_out_is_said(tmp_path, caplog):
    make = folder(tmp_path, ["images/train/a.jpg", "images/val/b.jpg"], ["masks/train/a.png", "masks/val/b.png"])
    for name in ("notes.txt", ".hidden", "Thumbs.db", "c.heic", "../stray.jpg", "../validation/d.jpg"):
        name = f"train/{name}"
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"x")
    with caplog.at_level(logging.WARNING, "scaseg"):
        assert names(make("train")) == ["a"]
    (line,) = (record.getMessage() for record in caplog.records)
    assert "left out of the train split" in line and "train/c.heic and 3 more" in line
    with says("no folder", "images/test", "beside it: train, val, validation"):
        make("test")


@pytest.mark.parametrize("name", CLASSES)
def test_no_image_of_a_test_split_is_dropped_unsaid(name, tmp_path, caplog):
    """A sound submission has a prediction for each."""
    root = write(name, tmp_path / "data", count=2)
    place = {"camvid": "test", "voc": "JPEGImages", "ade20k": "images/testing", "coco_stuff164k": "images/test2017"}
    place = root / place.get(name, "leftImg8bit/test/city0")
    new = place / f"000000000029{'_leftImg8bit' if name == 'cityscapes' else ''}.webp"
    Image.fromarray(np.zeros((40, 56, 3), np.uint8)).save(new)
    if name == "camvid":
        Image.fromarray(np.zeros((40, 56), np.uint8)).save(root / "testannot/000000000029.png")
    if name == "voc":
        with (root / "ImageSets/Segmentation/test.txt").open("a") as file:
            file.write("000000000029\n")
    (place / "phone.heic").write_bytes(b"x")
    with caplog.at_level(logging.WARNING, "scaseg"):
        source = CLASSES[name](root, "test")
    assert len(source) == 3
    assert any("phone.heic" in record.getMessage() for record in caplog.records) == (name != "voc")  # by its list
    export = SubmissionWriter(tmp_path / "out", source)
    export.start()
    for i in range(3):
        export.write(source.name(i), np.zeros(source.truth(i).shape, np.uint8))
    export.finish()
    (tmp_path / "out/predictions" / source.submission.path.format(name=source.name(2), split="test")).unlink()
    with pytest.raises(UserError, match="is missing"):
        check(tmp_path / "out", source)


def test_images_that_coco_cannot_name(tmp_path):
    root = write("coco_stuff164k", tmp_path / "data")
    Image.fromarray(np.zeros((40, 56, 3), np.uint8)).save(root / "images/test2017/holiday.webp")
    with says("image holiday has no number for a name"):
        SubmissionWriter(tmp_path / "out", CLASSES["coco_stuff164k"](root, "test"))


def test_predictions_go_back_as_the_masks_lie(tmp_path):
    """The benchmark's images may be noted as turned; what is handed in lies as their stored pixels do."""
    root = write("ade20k", tmp_path / "data", count=1)
    path = next((root / "images/testing").iterdir())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RNG.integers(0, 255, (40, 56, 3), np.uint8)).save(path, exif=exif)
    source = ADE20K(root, "test")
    assert source.read(0)[0].shape == (56, 40, 3) and source.truth(0).shape == (56, 40)
    labels = RNG.integers(0, 150, (56, 40), np.uint8)
    export = SubmissionWriter(tmp_path / "out", source)
    export.start()
    export.write(source.name(0), labels)
    export.finish()
    with Image.open(tmp_path / f"out/predictions/{source.name(0)}.png") as png:
        assert (np.rot90(np.asarray(png), -1) == labels + 1).all()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_neither_split_is_empty_however_few_images(tmp_path, share):
    letters = "ab" if share == 0.5 else "abcdefgh"
    make = folder(tmp_path, [f"images/{x}.jpg" for x in letters], [f"masks/{x}.png" for x in letters])
    train, val = ({pair.name for pair in make(split, val_share=share).pairs} for split in ("train", "val"))
    assert train and val and not train & val and train | val == set(letters)
    for path in [*(tmp_path / "images").iterdir(), *(tmp_path / "masks").iterdir()]:
        if path.stem != "a":
            path.unlink()
    with says("train and val need an image each, not 1 together"):
        make("val")


def test_names_that_are_not_utf_8(tmp_path):
    make = folder(tmp_path, ["images/a.jpg", "images/b.jpg"], ["masks/a.png", "masks/b.png"])
    for kind, suffix in (("images", ".jpg"), ("masks", ".png")):
        (tmp_path / kind / f"b{suffix}").rename(os.fsdecode(os.fsencode(tmp_path / kind) + b"/b\xff" + suffix.encode()))
    assert len(make()) == 2
    assert make().read(1)[0].shape == (12, 16, 3)


def test_an_official_folder_with_the_release_in_it_twice(tmp_path):
    root = write("camvid", tmp_path / "data")
    for kind in ("train", "trainannot"):
        (root / kind).rename(root / "kept")
        (root / kind).mkdir()
        (root / "kept").rename(root / kind / kind)
    with says("train split", "is empty"):
        CamVid(root)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("Train/{}", "lies in a folder Train, and the train split's folders are images/train and masks/train"),
        ("validation/{}", "a folder validation, and the val split's folders are images/val"),
        ("seq/test/{}", "a folder test"),
    ],
)
def test_no_split_is_drawn_over_folders_of_splits(place, said, tmp_path):
    """Images of what somebody keeps for testing were trained on."""
    make = folder(
        tmp_path, [f"images/{place}.jpg".format(x) for x in "ab"], [f"masks/{place}.png".format(x) for x in "ab"]
    )
    for split in ("train", "val"):
        with says(said):
            make(split)
    for split, name in (("train", "a"), ("val", "b")):
        (tmp_path / f"{split}.txt").write_text(place.format(name))
    assert names(make("train")) == [place.format("a")]


@pytest.mark.parametrize("name", ["Val.txt", "valid.txt", "VALIDATION.TXT", "val.lst"])
def test_no_split_is_drawn_beside_a_list_of_another_name(name, tmp_path):
    make = folder(tmp_path, [f"images/{x}.jpg" for x in "ab"], [f"masks/{x}.png" for x in "ab"])
    (tmp_path / name).write_text("a\n")
    for split in ("train", "val"):
        with says(f"{name} is read as a list when it is called val.txt: rename it"):
            make(split)
    (tmp_path / "train.txt").write_text("b\n")
    (tmp_path / name).rename(tmp_path / "val.txt")
    assert [names(make(split)) for split in ("train", "val")] == [["b"], ["a"]]
