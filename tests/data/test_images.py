"""Images by what they hold, whatever they are called; upright by EXIF; and what can be told of damage."""

import contextlib
import io
import os
import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from scaseg.data import overheard
from scaseg.data.augment import Augment
from scaseg.data.by_pillow import MOST_PIXELS
from scaseg.data.camvid import CamVid
from scaseg.data.datasets import EvalSamples, TrainSamples
from scaseg.data.image_folder import ImageFolder
from scaseg.data.images import read_image, size_and_turn
from scaseg.data.masks import read_mask
from scaseg.data.orientation import TAG, as_stored, orientation, upright
from scaseg.data.verify import verify
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from tests.data.test_folder import says
from tests.data.tiff import tiff

RNG = np.random.default_rng(0)
TURNS = range(1, 9)
FORMS = {"JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}, "GIF": {}}


def scene(height=40, width=56):
    """A smooth picture that looks like none of its turns, and ids of its quarters."""
    picture = cv2.resize(RNG.integers(0, 255, (5, 7, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    ids = np.zeros((height, width), np.uint8)
    ids[: height // 2, : width // 3], ids[height // 2 :, width // 2 :] = 1, 2
    return picture, ids


def encoded(picture, form, turn=None, **options):
    if turn is not None:
        exif = Image.Exif()
        exif[TAG] = turn
        options["exif"] = exif
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **FORMS.get(form, {}), **options)
    return buffer.getvalue()


def stored(path: Path, data: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_images_are_upright(form, turn, tmp_path):
    picture, _ = scene()
    path = stored(tmp_path / "a.img", encoded(picture, form, turn))
    plain = stored(tmp_path / "b.img", encoded(picture, form))
    with Image.open(path) as image:
        shown = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    found = read_image(path)
    assert (found == upright(read_image(plain), turn)).all()
    assert np.abs(found.astype(int) - shown).max() <= (3 if form == "JPEG" else 0)
    assert size_and_turn(path) == (found.shape[:2], turn)
    assert (as_stored(found, turn) == read_image(plain)).all()
    for reduce in (2, 4, 8):
        expected = upright(read_image(plain, reduce), turn)
        assert (read_image(path, reduce) == expected).all()
        assert form != "JPEG" or expected.shape[:2] == tuple(-(-side // reduce) for side in found.shape[:2])


def test_exif_that_says_nothing_or_nonsense(tmp_path):
    picture, _ = scene()
    for exif in (b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\xff\xff\xff\x7f", b"hello" * 9, bytes(40)):
        assert orientation(exif) == 1
    for turn in (0, 9, 300):
        assert size_and_turn(stored(tmp_path / "a.jpg", encoded(picture, "JPEG", turn))) == ((40, 56), 1)
    big = io.BytesIO()
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    Image.fromarray(picture).save(big, "JPEG", icc_profile=bytes(90_000), exif=turned)
    path = stored(tmp_path / "b.jpg", big.getvalue())  # headers of more than a file's first piece
    assert size_and_turn(path) == ((56, 40), 6) == (read_image(path).shape[:2], 6)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_masks_lie_on_what_they_were_drawn_on(form, turn, tmp_path):
    """On the upright image of a user's, on the stored pixels of a benchmark's; pairs come upright from both."""
    picture, ids = scene()
    image = encoded(as_stored(picture, turn), form, turn)
    stored(tmp_path / "mine/images/a.jpg", image)
    stored(tmp_path / "mine/masks/a.png", encoded(ids, "PNG"))
    stored(tmp_path / "camvid/train/a.jpg", image)
    stored(tmp_path / "camvid/trainannot/a.png", encoded(as_stored(ids, turn), "PNG"))
    stored(tmp_path / "mine/masks/b.png", encoded(as_stored(ids, turn), "PNG", turn))  # by a tag of its own
    stored(tmp_path / "mine/images/b.jpg", image)
    mine = ImageFolder(tmp_path / "mine", "all", classes=["a", "b", "c"])
    as_they_lie = ImageFolder(tmp_path / "mine", "all", classes=["a", "b", "c"], mask_pixels="stored")
    stored(tmp_path / "mine/masks/a.png", encoded(ids, "PNG"))
    for source, sample in ((mine, 0), (mine, 1), (CamVid(tmp_path / "camvid"), 0), (as_they_lie, 1)):
        shown, mask = source.read(sample)
        assert (mask == ids).all() and (source.truth(sample) == ids).all()
        assert (shown == read_image(source.pairs[0].image)).all()
        assert source.check_size(sample) == turn
        reduced, _ = source.read(sample, lambda size: 0.25)
        assert reduced.shape[:2] == ((10, 14) if form == "JPEG" else (40, 56))
        assert (source.as_masks_lie(sample, ids) == (ids if source is mine else as_stored(ids, turn))).all()
    item = EvalSamples(mine, Protocol())[0]
    assert (item["image"].numpy() == read_image(mine.pairs[0].image)).all()  # what predict sees


def test_a_mask_of_the_other_pixels_is_named(tmp_path):
    picture, ids = scene()
    stored(tmp_path / "images/a.jpg", encoded(as_stored(picture, 6), "JPEG", 6))
    stored(tmp_path / "masks/a.png", encoded(as_stored(ids, 6), "PNG"))
    mine = ImageFolder(tmp_path, "all", classes=["a", "b", "c"])
    said = (
        "a.jpg is 56x40 upright (EXIF orientation 6; 40x56 as stored)",
        "a.png is 40x56",
        "dataset.mask_pixels=stored",
    )
    for look in (mine.read, mine.check_size):
        with says(*said):
            look(0)
    assert "dataset.mask_pixels=stored" in verify(mine).faults[0]
    stored(tmp_path / "train/a.jpg", encoded(as_stored(picture, 6), "JPEG", 6))
    stored(tmp_path / "trainannot/a.png", encoded(ids, "PNG"))
    for look in (CamVid(tmp_path).read, CamVid(tmp_path).check_size):
        with says("a.jpg is 56x40 upright", "a.png is 56x40", "turn it back"):
            look(0)
    with says("mask_pixels=sideways"):
        ImageFolder(tmp_path, "all", classes=["a"], mask_pixels="sideways")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "Jpeg", "TIF"])
def test_content_decides_and_not_the_name(form, suffix, tmp_path):
    picture, _ = scene()
    path = stored(tmp_path / f"a.{suffix}", encoded(picture, form))
    with Image.open(path) as image:
        shown = np.asarray(image.convert("RGB"))
    assert np.abs(read_image(path).astype(int) - shown).max() <= (3 if form == "JPEG" else 0)


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_is_trained_on_and_evaluated(form, tmp_path):
    picture, ids = scene()
    stored(tmp_path / "images/a.jpg", encoded(picture, form))
    stored(tmp_path / "masks/a.png", encoded(ids, "BMP"))
    source = ImageFolder(tmp_path, "all", classes=["a", "b", "c"])
    recipe = Augment(crop_size=[32, 32])
    assert TrainSamples(source, recipe, 0)[0]["image"].shape == (32, 32, 3)
    item = EvalSamples(source, Protocol())[0]
    assert (item["mask"].numpy() == ids).all() and (item["image"].numpy() == read_image(source.pairs[0].image)).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("cached", [True, False])
def test_odd_sizes_train_whatever_the_suffix(form, suffix, cached, tmp_path):
    """A reduced decoding of what is called a JPEG came out a pixel short."""
    from scaseg.data.cache import Cache

    picture, ids = scene(1025, 1281)
    stored(tmp_path / f"images/a.{suffix}", encoded(picture, form))
    stored(tmp_path / "masks/a.png", encoded(ids, "PNG"))
    source = ImageFolder(tmp_path, "all", classes=["a", "b", "c"])
    source.cache = Cache(str(tmp_path / "kept")) if cached else None
    recipe = Augment(resize_box=[160, 128], crop_size=[64, 64], photometric=False)
    samples = TrainSamples(source, recipe, 0)
    for n in (0, 1, 2, 3):
        assert samples[n]["image"].shape == (64, 64, 3)
    assert verify(source).faults == []


def jpeg(path: Path, spoil, mode="RGB", **options) -> str:
    picture = cv2.resize(RNG.integers(0, 255, (50, 60, 3), np.uint8), (300, 200), interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(buffer, "JPEG", quality=90, **options)
    data = bytearray(buffer.getvalue())
    spoil(data)
    return stored(path, bytes(data))


def hole(data, at=0.5, length=200, fill=b"\0"):
    start = int(at * len(data))
    data[start : start + length] = fill * length


@pytest.mark.parametrize("where", [0.2, 0.35, 0.5, 0.65, 0.9])
@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"restart_marker_rows": 2}, {"subsampling": 0}, {"mode": "CMYK"}], ids=str
)
def test_a_hole_in_a_jpeg_is_damage_for_all(where, options, tmp_path, capfd):
    path = jpeg(tmp_path / "images/a.jpg", lambda data: hole(data, where), **options)
    stored(tmp_path / "masks/a.png", encoded(np.zeros((200, 300), np.uint8), "PNG"))
    source = ImageFolder(tmp_path, "all", classes=["a", "b"])
    for read in (lambda: read_image(path), lambda: read_image(path, 4), lambda: source.read(0)):
        with says("a.jpg: damaged or cut short (a run of zeros"):
            read()
    assert "damaged" in verify(source).faults[0]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("fill", [b"\xff", b"\x00\xff"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"mode": "CMYK", "progressive": True}], ids=str
)
def test_what_libjpeg_warns_of_is_damage(fill, options, tmp_path, capfd):
    path = jpeg(tmp_path / "a.jpg", lambda data: hole(data, 0.4, 100, fill), **options)
    with says("a.jpg: damaged or cut short (it"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_what_is_no_damage(tmp_path):
    """A flat picture, whose scan is zeros by right; zeros in headers, before the end and after it; webcams' bytes."""

    def before_the_end(more):
        return lambda data: data.__setitem__(slice(-2, None), more + b"\xff\xd9")

    spoils = {
        "padded": before_the_end(bytes(50)),
        "webcam": before_the_end(b"\x12\x34"),
        "appended": lambda data: data.extend(bytes(5000) + b"\xff\xd9"),
        "header": lambda data: data.__setitem__(slice(2, 2), b"\xff\xe5\x01\x02" + bytes(256)),
    }
    for name, spoil in spoils.items():
        assert read_image(jpeg(tmp_path / f"{name}.jpg", spoil)).shape == (200, 300, 3), name
    for options in ({"optimize": True}, {"quality": 5, "optimize": True}, {"progressive": True}, {}):
        buffer = io.BytesIO()
        Image.new("RGB", (1600, 1200), (200, 10, 10)).save(buffer, "JPEG", **options)
        assert read_image(stored(tmp_path / "flat.jpg", buffer.getvalue())).shape == (1200, 1600, 3)
        grey = io.BytesIO()
        Image.new("L", (1600, 1200), 128).save(grey, "JPEG", **options)
        assert read_image(stored(tmp_path / "grey.jpg", grey.getvalue())).std() == 0
    with says("damaged"):
        read_image(jpeg(tmp_path / "junk.jpg", before_the_end(bytes(range(1, 60)))))
    with says("damaged or cut short"):  # up to the end, and no padding
        read_image(jpeg(tmp_path / "end.jpg", lambda data: data.__setitem__(slice(-400, -2), bytes(398))))


def test_real_photos_are_sound(shared):
    files = sorted((shared / "data").rglob("*.jpg"))[::16]
    assert len(files) > 100
    for file in files:
        read_image(str(file))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF"])
def test_other_kinds_cut_short(form, tmp_path, capfd):
    picture, _ = scene(300, 400)
    options = {"compression": "tiff_lzw"} if form == "TIFF" else {}
    data = encoded(picture, form, **options)
    for length in (30, len(data) // 2, len(data) - 100):
        with says("a.img"):
            read_image(stored(tmp_path / "a.img", data[:length]))
    if form in ("PNG", "TIFF"):  # these have checks of their own
        spoiled = bytearray(data)
        hole(spoiled)
        with says("a.img: damaged or cut short"):
            read_image(stored(tmp_path / "a.img", bytes(spoiled)))
    assert capfd.readouterr().err == ""


U8, U16 = (RNG.integers(0, 1 << bits, (4, 6, 12)).astype(kind) for bits, kind in ((8, np.uint8), (16, np.uint16)))
GREY16 = np.repeat(U16[..., :1] >> 8, 3, 2)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (tiff(U8[..., :1], 1), np.repeat(U8[..., :1], 3, 2)),
        (tiff(U8[..., :1], 0), np.repeat(255 - U8[..., :1], 3, 2)),
        (tiff(U8[..., :2], 1, (2,)), np.repeat(U8[..., :1], 3, 2)),
        (tiff(U8[..., :3], 2), U8[..., :3]),
        (tiff(U8[..., :3], 2, planar=2), U8[..., :3]),
        (tiff(U8[..., :4], 2, (0,)), U8[..., :3]),
        (tiff(U8[..., :4], 2, (2,)), U8[..., :3]),
        (tiff(U8[..., :5], 2, (0, 0)), U8[..., :3]),
        (tiff(U16[..., :1], 1), GREY16),
        (tiff(U16[..., :1], 0), 255 - GREY16),
        (tiff(U16[..., :1], 1, order=">"), GREY16),
        (tiff(U16[..., :3], 2), U16[..., :3] >> 8),
        (tiff(U16[..., :3], 2, order=">"), U16[..., :3] >> 8),
        (tiff(U8[..., :2], 1, (0,)), "2 bands of 8 bits which are no colours"),
        (tiff(U8[..., :3], 1, (0, 0)), "3 bands of 8 bits which are no colours"),
        (tiff(U8[..., :5], 1, (0,) * 4), "5 bands of 8 bits which are no colours"),
        (tiff(U8, 1, (0,) * 11), "12 bands of 8 bits which are no colours"),
        (tiff(U8[..., :5], 1, (0,) * 4, planar=2), "5 bands of 8 bits which are no colours"),
        (tiff(U16[..., :3], 2, planar=2), "band after band"),
        (tiff(U16[..., :1].astype(np.uint32), 1), "1 band of 32 bits, whose white is not known"),
        (tiff(U8[..., :1], 1, kind=2), "signed or floating-point"),
        (tiff(U8[..., :1].astype(np.float32), 1, kind=3), "signed or floating-point"),
        (tiff(U8[..., :3].astype(np.float64), 2, kind=3), "signed or floating-point"),
    ],
    ids=range(23),
)
def test_tiffs_give_the_right_pixels_or_the_reason(data, shown, tmp_path, capfd):
    path = stored(tmp_path / "a.tif", data)
    if isinstance(shown, str):
        with says(f"{path}: a TIFF of ", shown, "save it as RGB or grey of 8 bits"):
            read_image(path)
    else:
        assert (read_image(path) == shown).all()
        assert size_and_turn(path) == ((4, 6), 1)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "an empty file"),
        (b"<html>", "not an image that is read here (JPEG, PNG,"),
        (b"%PDF-1.7", "(PDF)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\0\0\0\x20ftypheic" + bytes(40), "(HEIC: save it as JPEG)"),
        (b"\0\0\0\x20ftypavif" + bytes(40), "(AVIF: save it as PNG)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "(PostScript)"),
        (b"\xff\xd8\xff\xe0", "damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short"),
        (b"II*\0\x08\0\0\0", "a TIFF"),
        (b"BM", "not an image"),
        (b"RIFF\0\0\0\0WEBP", "not an image"),
    ],
)
def test_what_is_no_image_is_named(data, said, tmp_path):
    path = stored(tmp_path / "a.jpg", data)
    for read in (read_image, size_and_turn, read_mask):
        with says(path, "" if read is read_mask else said):
            read(path)


def test_too_many_pixels(tmp_path):
    """Of the header alone: none of these is decoded."""
    png = bytearray(encoded(np.zeros((8, 8, 3), np.uint8), "PNG"))
    png[16:24] = (30_000).to_bytes(4) * 2
    bmp = bytearray(encoded(np.zeros((8, 8, 3), np.uint8), "BMP"))
    bmp[18:26] = (30_000).to_bytes(4, "little") * 2
    jpg = bytearray(encoded(np.zeros((8, 8, 3), np.uint8), "JPEG"))
    at = jpg.find(b"\xff\xc0") + 5
    jpg[at : at + 4] = (30_000).to_bytes(2) * 2
    for data in (png, bmp, jpg):
        path = stored(tmp_path / "a.img", bytes(data))
        for read in (read_image, size_and_turn):
            with says(path, "900 million pixels", f"at most {MOST_PIXELS // 10**6} million"):
                read(path)


def test_a_side_of_more_than_a_million_pixels(tmp_path):
    line = np.zeros((1, 1_100_000, 3), np.uint8)
    line[0, -1] = 1, 2, 3
    assert (read_image(stored(tmp_path / "a.png", encoded(line, "PNG"))) == line).all()


def test_spoiled_files_are_read_or_refused_and_nothing_else(tmp_path, capfd):
    """Bytes changed anywhere: no other error, no warning, no line of a library's."""
    rng, picture = np.random.default_rng(1), scene()[0]
    wholes = [encoded(picture, form, 6 if form in ("JPEG", "PNG", "WEBP") else None) for form in FORMS]
    wholes += [encoded(picture, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "tiff_adobe_deflate")]
    for whole in wholes * 12:
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 400 if rng.random() < 0.7 else len(data)), rng.integers(1, 6)):
            data[at] = rng.integers(256)
        path = stored(tmp_path / "a.img", bytes(data))
        for read in (read_image, size_and_turn, read_mask):
            with contextlib.suppress(UserError):
                read(path)
    assert capfd.readouterr().err == ""


def test_only_theirs_is_overheard(capfd):
    theirs = re.compile("Corrupt")
    with overheard.overhearing(theirs) as heard:
        os.write(2, b"mine\nCorrupt JPEG data: x\nCorrupt \xff\nand mine")
    assert heard == ["Corrupt JPEG data: x", "Corrupt \ufffd"]
    assert capfd.readouterr().err == "mine\nand mine"
    with pytest.raises(ValueError, match="gone"), overheard.overhearing(theirs):
        raise ValueError("gone")
    os.write(2, b"Corrupt")
    assert capfd.readouterr().err == "Corrupt"


def test_threads_and_forks_hear_their_own(tmp_path, capfd):
    good = jpeg(tmp_path / "a.jpg", len)
    bad = jpeg(tmp_path / "b.jpg", lambda data: hole(data, 0.4, 99, b"\xff"))
    wrong = []

    def read(path, sound):
        for _ in range(20):
            try:
                read_image(path)
            except UserError:
                wrong.append(path) if sound else None
            else:
                wrong.append(path) if not sound else None

    threads = [threading.Thread(target=read, args=(path, path == good)) for path in (good, bad, good, bad)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and capfd.readouterr().err == ""


def test_without_standard_error_it_reads_on(tmp_path):
    path = jpeg(tmp_path / "a.jpg", lambda data: None)
    kept = os.dup(2)
    os.close(2)
    try:
        shape = read_image(path).shape
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    assert shape == (200, 300, 3)
