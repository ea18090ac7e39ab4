"""Pictures of any channels and numbers: what files store, and what is said of those that are of another form."""

import io
import sys

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from scaseg.data import arrays
from scaseg.data.image_folder import ImageFolder
from scaseg.data.images import read_image, size_and_turn, size_of
from scaseg.data.orientation import upright
from scaseg.form import Form
from tests.data.test_folder import says
from tests.data.test_images import encoded, stored
from tests.data.tiff import tiff

RNG = np.random.default_rng(0)
SEVEN = RNG.integers(0, 65536, (20, 28, 7)).astype(np.uint16)
FLOATS = RNG.normal(100, 30, (20, 28, 5)).astype(np.float32)
BYTES = RNG.integers(0, 256, (20, 28, 5)).astype(np.uint8)


def written(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, photometric="minisblack", **options)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def with_overview(array):
    """The image, and after it the same at half its size, as GDAL adds overviews."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(array, photometric="minisblack", planarconfig="contig", metadata=None)
        file.write(array[::2, ::2], photometric="minisblack", planarconfig="contig", metadata=None, subfiletype=1)
    return buffer.getvalue()


def png(array):
    """By OpenCV, whose colours come as blue, green, red."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    return cv2.imencode(".png", array[..., order])[1].tobytes()


def first(array):
    return np.ascontiguousarray(np.moveaxis(array, 2, 0))


GEO = [  # of GeoTIFF: the pixels' size, a tie point, keys; GDAL's nodata
    (33550, 12, 3, (10.0, 10.0, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 4e5, 5e6, 0.0), True),
    (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32632), True),
    (42113, 2, 2, "0", True),
]
TIFFS = {
    "our own writer": (tiff(SEVEN, 1, (0,) * 6), SEVEN),
    "band after band": (tiff(SEVEN, 1, (0,) * 6, planar=2), SEVEN),
    "big-endian": (tiff(SEVEN, 1, (0,) * 6, order=">"), SEVEN),
    "signed": (tiff(SEVEN.view(np.int16), 1, (0,) * 6, kind=2), SEVEN.view(np.int16)),
    "beside each other": (written(SEVEN, planarconfig="contig"), SEVEN),
    "planes": (written(first(SEVEN), planarconfig="separate"), SEVEN),
    "tiles": (written(SEVEN, planarconfig="contig", tile=(16, 16)), SEVEN),
    "tiles of planes": (written(first(SEVEN), planarconfig="separate", tile=(16, 16), compression="deflate"), SEVEN),
    "pages": (written(first(SEVEN), metadata=None), SEVEN),
    "predictor": (written(SEVEN, planarconfig="contig", compression="deflate", predictor=True), SEVEN),
    "lzw": (written(SEVEN, planarconfig="contig", compression="lzw"), SEVEN),
    "bigtiff": (written(SEVEN, planarconfig="contig", bigtiff=True), SEVEN),
    "GeoTIFF": (written(SEVEN, planarconfig="contig", tile=(16, 16), extratags=GEO), SEVEN),
    "overviews": (with_overview(SEVEN), SEVEN),
    "one band": (written(SEVEN[..., 0]), SEVEN[..., :1]),
    "floats": (written(FLOATS, planarconfig="contig", compression="deflate", predictor=3), FLOATS),
    "doubles": (written(FLOATS.astype(np.float64), planarconfig="contig"), FLOATS),
    "8 bits": (written(BYTES, planarconfig="contig"), BYTES),
}
OTHERS = {
    "npy": (npy(SEVEN), SEVEN),
    "npy, channels first": (npy(first(SEVEN)), SEVEN),
    "npy, one channel": (npy(SEVEN[..., 0]), SEVEN[..., :1]),
    "npy, Fortran's order": (npy(np.asfortranarray(SEVEN)), SEVEN),
    "npy, float": (npy(FLOATS), FLOATS),
    "png, grey of 16 bits": (png(SEVEN[..., :1]), SEVEN[..., :1]),
    "png, RGB of 16 bits": (png(SEVEN[..., :3]), SEVEN[..., :3]),
    "png, RGBA of 16 bits": (png(SEVEN[..., :4]), SEVEN[..., :4]),
    "png, grey": (encoded(BYTES[..., 0], "PNG"), BYTES[..., :1]),
    "png, RGBA": (encoded(BYTES[..., :4], "PNG"), BYTES[..., :4]),
    "png, grey and alpha": (encoded(BYTES[..., :2], "PNG"), BYTES[..., :2]),
    "webp, RGBA": (encoded(BYTES[..., :4], "WEBP", exact=True), BYTES[..., :4]),
    "bmp, grey": (encoded(BYTES[..., 0], "BMP"), BYTES[..., :1]),
}


def form_of(array):
    return Form(array.shape[2], array.dtype.name)


@pytest.mark.parametrize("kind", [*TIFFS, *OTHERS])
def test_the_numbers_that_files_store(kind, tmp_path):
    data, array = {**TIFFS, **OTHERS}[kind]
    form = form_of(array)
    path = stored(tmp_path / "a.img", data)
    found = read_image(path, form=form)
    assert found.dtype == (np.uint8 if array.dtype == np.uint8 else np.float32) and found.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(found, array)
    assert size_and_turn(path, form) == ((20, 28), 1) and size_of(data, path, form) == (20, 28)


@pytest.mark.parametrize("turn", range(1, 9))
def test_turned_upright_as_images_are(turn, tmp_path):
    tag = [(274, 3, 1, turn, True)]
    files = {
        "tiff": (written(SEVEN, planarconfig="contig", extratags=tag), SEVEN),
        "png": (encoded(BYTES[..., :4], "PNG", turn), BYTES[..., :4]),
    }
    for name, (data, array) in files.items():
        path = stored(tmp_path / f"{name}{turn}", data)
        found = read_image(path, form=form_of(array))
        np.testing.assert_array_equal(found, upright(array, turn))
        assert size_and_turn(path, form_of(array)) == (found.shape[:2], turn)


def test_grey_jpegs_are_one_channel_and_may_come_reduced(tmp_path):
    path = stored(tmp_path / "a.jpg", encoded(np.tile(np.arange(56, dtype=np.uint8), (40, 1)), "JPEG"))
    grey, reduced = read_image(path, form=Form(1)), read_image(path, 4, Form(1))
    assert grey.shape == (40, 56, 1) and reduced.shape == (10, 14, 1)
    np.testing.assert_array_equal(grey[..., 0], read_image(path)[..., 0])


def test_arrays_of_three_bytes_are_rgb(tmp_path):
    path = stored(tmp_path / "a.npy", npy(BYTES[..., :3]))
    np.testing.assert_array_equal(read_image(path), BYTES[..., :3])


FORM = Form(7, "uint16")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            written(SEVEN[..., :4], planarconfig="contig"),
            "4 channels of uint16, and what is asked for is 7 channels",
        ),
        (written(SEVEN[..., :4], planarconfig="contig"), "dataset.channels=4 dataset.dtype=uint16"),
        (written(SEVEN.astype(np.uint8), planarconfig="contig"), "dataset.channels=7 dataset.dtype=uint8"),
        (npy(SEVEN.astype(np.int64)), "7 channels of int64"),
        (npy(SEVEN[0, 0]), "(7,): one picture"),
        (npy(SEVEN[None]), "(1, 20, 28, 7): one picture"),
        (npy(SEVEN)[:300], "damaged or cut short"),
        (npy(np.array([{}])), "damaged or cut short"),
        (encoded(BYTES[..., :3], "JPEG"), "3 channels of uint8"),
        (encoded(BYTES[..., :3], "GIF"), "3 channels of uint8"),
        (written(np.stack([first(SEVEN)] * 2)), "one picture and its channels"),
        (written(SEVEN, planarconfig="contig")[:5_000], "damaged or cut short"),
        (written(SEVEN, planarconfig="contig", compression="lzw")[:5_000], "damaged or cut short"),
        (b"II*\0" + bytes(40), "damaged or cut short"),
        (png(SEVEN[..., :3])[:-20], "damaged or cut short"),
        (b"<html>", "not an image that is read here"),
        (b"", "an empty file"),
    ],
    ids=range(17),
)
def test_what_is_of_another_form_is_one_message_with_the_file(data, said, tmp_path, capfd):
    path = stored(tmp_path / "a.tif", data)
    with says(path, said):
        read_image(path, form=FORM)
    assert capfd.readouterr().err == ""


def test_numbers_that_are_none_are_named_with_their_place(tmp_path):
    spoiled = FLOATS.copy()
    spoiled[3, 4, 2] = np.nan
    path = stored(tmp_path / "a.tif", written(spoiled, planarconfig="contig"))
    with says(path, "nan in nir at row 3, column 4", "id 255 (ignored)"):
        read_image(path, form=Form(5, "float32", ("r", "g", "nir", "b", "x")))


def test_palettes_are_no_numbers(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(BYTES[..., 0]).convert("P").save(buffer, "TIFF")
    path = stored(tmp_path / "a.tif", buffer.getvalue())
    with says(path, "palette"):
        read_image(path, form=Form(1))


def test_what_is_not_installed_is_told_with_how_to_get_it(tmp_path, monkeypatch):
    path = stored(tmp_path / "a.tif", TIFFS["tiles"][0])
    monkeypatch.setitem(sys.modules, "tifffile", None)
    arrays._tifffile.cache_clear()
    with says(path, "tifffile reads its numbers", "pip install 'scaseg[tiff]'"):
        read_image(path, form=FORM)


def test_a_codec_that_is_not_installed(tmp_path, monkeypatch):
    def fails(*args, **options):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", fails)
    path = stored(tmp_path / "a.tif", TIFFS["lzw"][0])
    with says(path, "compressed: pip install 'scaseg[tiff]' (<COMPRESSION.LZW: 5>"):
        read_image(path, form=FORM)


def test_rgb_runs_are_told_that_other_pictures_can_be_trained_on(tmp_path):
    path = stored(tmp_path / "a.tif", TIFFS["our own writer"][0])
    with says(path, "a TIFF of 7 bands of 16 bits", "dataset.channels, dataset.dtype"):
        read_image(path)


def folder(root, images, masks=("a", "b")):
    for name, data in images.items():
        stored(root / "images" / name, data)
    for name in masks:
        stored(root / "masks" / f"{name}.png", encoded(np.zeros((20, 28), np.uint8), "PNG"))
    (root / "classes.yaml").write_text("[ground, water]")
    return root


def test_a_folder_of_arrays_and_one_in_which_arrays_lie_beside_images(tmp_path):
    arrays_alone = ImageFolder(folder(tmp_path / "a", {"a.npy": npy(SEVEN), "b.npy": npy(SEVEN)}), "all")
    arrays_alone.form = FORM
    np.testing.assert_array_equal(arrays_alone.read(1)[0], SEVEN)
    rgb = encoded(BYTES[..., :3], "PNG")
    beside = ImageFolder(folder(tmp_path / "b", {"a.png": rgb, "b.png": rgb, "a.npy": npy(SEVEN)}), "all")
    assert [pair.image[-5:] for pair in beside.pairs] == ["a.png", "b.png"]


def test_sizes_that_differ_are_told_by_their_headers(tmp_path):
    source = ImageFolder(folder(tmp_path, {"a.tif": TIFFS["planes"][0], "b.tif": tiff(SEVEN[:10], 1, (0,) * 6)}), "all")
    source.form = FORM
    source.check_size(0)
    for look in (source.check_size, source.read):
        with says("Image and mask differ in size", "b.tif is 28x10", "b.png is 28x20"):
            look(1)
