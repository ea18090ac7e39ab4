"""Regions of files against the same files read whole, bit for bit; and that no more of a file is read than it takes."""

import cv2
import numpy as np
import pytest
import tifffile

from scaseg.data import tiff_pieces
from scaseg.data.by_pillow import MOST_PIXELS
from scaseg.data.georeference import NOWHERE, TAGS, georeference, is_map
from scaseg.data.images import read_image
from scaseg.data.regions import in_parts, opened
from scaseg.errors import UserError
from scaseg.form import RGB, Form
from tests.data.test_arrays import BYTES, FLOATS, GEO, OTHERS, SEVEN, TIFFS, form_of, npy, written
from tests.data.test_folder import says
from tests.data.test_images import encoded, stored

RNG = np.random.default_rng(0)
PHOTO = cv2.GaussianBlur(RNG.integers(0, 256, (150, 203, 3), np.uint8), (5, 5), 2)
PARTS = [(0, 150, 0, 203), (33, 97, 60, 131), (64, 65, 64, 65), (149, 150, 0, 203), (0, 128, 192, 203)]


def tif(path, array, **options):
    tifffile.imwrite(path, array, **{"photometric": "rgb", "rowsperstrip": None if "tile" in options else 16} | options)
    return str(path)


@pytest.mark.parametrize("kind", [*TIFFS, *OTHERS])
def test_regions_are_parts_of_the_whole(kind, tmp_path):
    data, array = {**TIFFS, **OTHERS}[kind]
    path, form = stored(tmp_path / "a.img", data), form_of(array)
    whole = read_image(path, form=form)
    with opened(path, form) as regions:
        assert regions.size == (20, 28) and regions.held == ("png" in kind or "webp" in kind or "bmp" in kind)
        for top, bottom, left, right in ((0, 20, 0, 28), (3, 17, 5, 6), (15, 17, 14, 28), (19, 20, 0, 1)):
            part = regions.read(top, bottom, left, right)
            assert part.dtype == whole.dtype and part.flags["C_CONTIGUOUS"]
            np.testing.assert_array_equal(part, whole[top:bottom, left:right])


@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("packed", [None, "lzw", "deflate", "packbits", "zstd", "lzma"])
def test_rgb_as_pillow_reads_it(packed, planes, tile, tmp_path):
    array = np.moveaxis(PHOTO, 2, 0) if planes else PHOTO
    more = {"tile": tile} if tile else {}
    planar = "separate" if planes else "contig"
    path = tif(tmp_path / "a.tif", array, planarconfig=planar, compression=packed, **more)
    whole = read_image(path)
    with in_parts(path, RGB) as regions:
        assert regions.same
        for top, bottom, left, right in PARTS:
            np.testing.assert_array_equal(regions.read(top, bottom, left, right), whole[top:bottom, left:right])


def test_grey_and_alpha_as_pillow_reads_them(tmp_path):
    four = np.dstack([PHOTO, PHOTO[..., 0]])
    for name, array, options, read in (
        ("grey", four[..., 0], {"photometric": "minisblack"}, True),
        ("alpha", four, {"extrasamples": ["unassalpha"]}, True),
        ("unspecified", four, {"extrasamples": ["unspecified"]}, True),
        ("associated", four, {"extrasamples": ["assocalpha"]}, False),
        ("white first", four[..., 0], {"photometric": "miniswhite"}, False),
        ("16 bits", four[..., 0].astype(np.uint16) * 256, {"photometric": "minisblack"}, False),
        ("bits", four[..., 0] > 128, {"photometric": "minisblack"}, False),
        ("turned", PHOTO, {"extratags": [(274, 3, 1, 6, True)]}, False),
    ):
        path = tif(tmp_path / "a.tif", array, compression="deflate", **options)
        with in_parts(path, RGB) as regions, opened(path, RGB) as other:
            assert (regions is not None) == read, name
            height, width = other.size
            np.testing.assert_array_equal(other.read(0, height, 0, width), read_image(path), name)


def test_jpeg_in_tiles_is_read_and_said_to_depend_on_its_decoder(tmp_path):
    path = tif(tmp_path / "a.tif", PHOTO, photometric="ycbcr", compression="jpeg", tile=(64, 64), subsampling=(2, 2))
    with in_parts(path, RGB) as regions:
        assert not regions.same
        assert np.abs(regions.read(0, 150, 0, 203).astype(int) - read_image(path)).max() <= 3


def test_from_top_to_bottom_each_piece_is_read_once(tmp_path, monkeypatch):
    path = tif(tmp_path / "a.tif", PHOTO, compression="deflate", tile=(64, 64))
    seen = []
    once = tiff_pieces.Pieces._decoded
    monkeypatch.setattr(
        tiff_pieces.Pieces, "_decoded", lambda *given: (seen.append(one[2:]) or one for one in once(*given))
    )
    with in_parts(path, RGB) as regions:
        rolling = regions.from_top_to_bottom()
        for top, bottom in ((0, 64), (32, 96), (64, 128), (86, 150)):
            for left, right in ((0, 64), (40, 104), (139, 203)):
                part = rolling.read(top, bottom, left, right)
                np.testing.assert_array_equal(part, PHOTO[top:bottom, left:right])
        assert len(seen) == len(set(seen)) == 12
        seen.clear()
        regions.read(70, 100, 70, 100)
        assert seen == [(64, 64)]  # of twelve


def test_what_lies_in_one_large_piece_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_pieces, "LARGEST", 50_000)
    strip = tif(tmp_path / "strip.tif", PHOTO, compression="deflate", rowsperstrip=150)
    plain = tif(tmp_path / "plain.tif", PHOTO, rowsperstrip=150)
    with in_parts(strip, RGB) as whole, in_parts(plain, RGB) as parts:
        assert whole is None and parts is not None


def test_nodata_is_padding_and_told(tmp_path):
    floats = FLOATS.copy()
    floats[3:5, 7:9] = np.nan
    form = Form(5, "float32", mean=(1.0, 2.0, 3.0, 4.0, 5.0), std=(1.0,) * 5)
    path = stored(tmp_path / "a.tif", written(floats, planarconfig="contig", extratags=[(42113, 2, 4, "nan", True)]))
    with opened(path, form) as regions:
        picture, nothing = regions.measured(2, 20, 6, 28)
        assert np.argwhere(nothing).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
        assert (picture[1, 1] == form.mean).all() and (picture[0] == floats[2, 6:]).all()
        assert regions.measured(10, 20, 0, 28)[1] is None
        with says(path, "nan in channel 0 at row 3, column 7"):
            regions.read(2, 20, 6, 28)
    zeros = np.array(BYTES)
    zeros[0, 0], zeros[1, 1, 0] = 0, 0  # of the second, one channel
    path = stored(tmp_path / "b.tif", written(zeros, planarconfig="contig", extratags=[(42113, 2, 2, "0", True)]))
    with opened(path, Form(5, mean=(9.0,) * 5, std=(1.0,) * 5)) as regions:
        _, nothing = regions.measured(0, 20, 0, 28)
        assert np.argwhere(nothing).tolist() == [[0, 0]]
    path = stored(tmp_path / "c.tif", written(zeros, planarconfig="contig", extratags=[(42113, 2, 5, "none", True)]))
    with says(path, "'none', no number", "-unsetnodata"), opened(path, Form(5)):
        pass


def test_a_number_that_is_none_is_named_by_its_place_in_the_file(tmp_path):
    floats = FLOATS.copy()
    floats[12, 20, 4] = np.inf
    path = stored(tmp_path / "a.tif", written(floats, planarconfig="contig"))
    with in_parts(path, Form(5, "float32")) as regions:
        regions.read(0, 12, 0, 28)
        with says(path, "inf in channel 4 at row 12, column 20"):
            regions.read(10, 20, 10, 28)


@pytest.mark.parametrize("options", [{}, {"compression": "deflate"}, {"compression": "lzw", "tile": (64, 64)}])
def test_files_cut_short_are_named(options, tmp_path):
    path = tmp_path / "a.tif"
    tif(path, PHOTO, **options)
    path.write_bytes(path.read_bytes()[:-3000])
    with says(str(path), "damaged or cut short"), opened(str(path), RGB) as regions:
        regions.read(0, 150, 0, 203)
    array = stored(tmp_path / "a.npy", npy(SEVEN)[:-3000])
    with says(array, "damaged or cut short"), opened(array, form_of(SEVEN)) as regions:
        regions.read(0, 20, 0, 28)


def test_georeference_as_it_lies_in_the_file(tmp_path):
    for order in "<", ">":
        path = stored(tmp_path / "a.tif", written(SEVEN, planarconfig="contig", extratags=GEO, byteorder=order))
        found = georeference(path)
        assert [tag[0] for tag in found.tags] == [33550, 33922, 34735]
        scale, _, keys = (tag[3] for tag in found.tags)
        assert np.frombuffer(scale, "<f8").tolist() == [10, 10, 0]
        assert np.frombuffer(keys, "<u2").tolist() == [1, 1, 0, 1, 3072, 0, 1, 32632]
        assert is_map(path) and set(TAGS) > {tag[0] for tag in found.tags}
    plain = stored(tmp_path / "b.tif", written(SEVEN, planarconfig="contig"))
    for path in plain, stored(tmp_path / "c.png", encoded(BYTES[..., 0], "PNG")), stored(tmp_path / "d.tif", b"II*\0"):
        assert not is_map(path)
    assert georeference(plain) == NOWHERE


def test_a_picture_too_large_to_be_read_whole_says_what_is_read(tmp_path):
    png = bytearray(encoded(np.zeros((8, 8, 3), np.uint8), "PNG"))
    png[16:24] = (30_000).to_bytes(4) * 2
    path = stored(tmp_path / "a.png", bytes(png))
    with says(path, "900 million pixels", f"{MOST_PIXELS // 10**6} million", "TIFF of tiles"), opened(path, RGB):
        pass
    with pytest.raises(UserError, match=r"none\.tif: cannot be read"), opened(str(tmp_path / "none.tif"), RGB):
        pass
