"""A region as a small PNG within an export's JSON."""

import base64
import binascii
import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.errors import UserError


def from_base64(text: Any, where: str) -> bytes:
    """What a text of base64 holds; UserError where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise UserError(f"{where} is no base64 text ({error}): export it again") from error


def decompressed(data: bytes, where: str) -> bytes:
    """What zlib packed; UserError where it did not."""
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise UserError(f"{where} is cut short or damaged ({error}): export it again") from error


def pixels(data: bytes, where: str) -> npt.NDArray[np.bool_]:
    """A PNG's (H, W): where alpha is above 0, if it has some, else where the pixel is."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            found = np.asarray(image.getchannel("A") if "A" in image.getbands() else image)
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"{where} holds no picture that can be read ({type(error).__name__}): export it again"
        ) from error
    return np.asarray(found.reshape(*found.shape[:2], -1).any(axis=2), bool)
