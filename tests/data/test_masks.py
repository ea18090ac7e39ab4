"""Masks of every kind that holds ids without loss; the others are refused with the reason."""

import io

import numpy as np
import pytest
from PIL import Image

from scaseg.data.masks import read_mask
from tests.data.test_folder import says
from tests.data.tiff import tiff

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 200, (9, 13), np.uint8)
BITS = IDS > 99
GREY = Image.fromarray(IDS)
COLOURS = RNG.integers(0, 256, 768).tolist()


def palette():
    image = Image.fromarray(IDS)
    image.putpalette(COLOURS)
    return image


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def one_band(dtype):
    return IDS[..., None].astype(dtype)


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        *((saved(image(), form), IDS) for form in ("PNG", "BMP", "TIFF") for image in (lambda: GREY, palette)),
        *((saved(Image.fromarray(BITS), form), BITS) for form in ("PNG", "BMP", "TIFF")),
        (saved(GREY, "TIFF", compression="tiff_lzw"), IDS),
        (saved(GREY, "PPM"), IDS),
        (tiff(one_band(np.uint8), 1), IDS),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_ids_come_as_they_are_stored(data, ids, name, tmp_path):
    (tmp_path / name).write_bytes(data)
    mask = read_mask(str(tmp_path / name))
    assert (mask == ids).all() and mask.dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (saved(GREY, "JPEG"), "is a JPEG, whose compression changes ids"),
        (saved(GREY, "JPEG", quality=100), "is a JPEG, whose compression changes ids"),
        (saved(GREY, "TIFF", compression="jpeg"), "is a TIFF compressed as JPEG is"),
        (saved(GREY, "WEBP", lossless=True), "is a WebP, which has no one-channel form"),
        (saved(GREY, "GIF"), "is a GIF, whose writers renumber"),
        (saved(GREY, "JPEG2000"), "is a JPEG 2000"),
        (saved(GREY.convert("RGB"), "PNG"), "is an RGB PNG"),
        (saved(GREY.convert("RGB"), "BMP"), "is an RGB BMP"),
        (saved(GREY.convert("RGBA"), "PNG"), "is an RGB PNG"),
        (saved(GREY.convert("LA"), "PNG"), "is a grey with alpha PNG"),
        (saved(Image.fromarray(IDS.astype(np.uint16)), "PNG"), "is a 16-bit PNG"),
        (tiff(one_band(np.uint8), 0), "is a TIFF of signed numbers, or of white first"),
        (tiff(one_band(np.uint16), 1), "is a 16-bit TIFF"),
        (tiff(one_band(np.uint32), 1), "is a 32-bit TIFF"),
        (tiff(one_band(np.float32), 1, kind=3), "is a 32-bit TIFF"),
        (tiff(np.repeat(one_band(np.uint8), 3, 2), 2), "is an RGB TIFF"),
        (tiff(np.repeat(one_band(np.uint8), 5, 2), 1, (0,) * 4), "5 bands of 8 bits"),
        (saved(GREY, "TIFF")[:60], "a.png: "),
    ],
    ids=range(18),
)
def test_what_holds_no_ids_is_refused_with_the_reason(data, said, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    with says("a.png", said.removeprefix("a.png: ")):
        read_mask(str(tmp_path / "a.png"))
