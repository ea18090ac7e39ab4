"""What `predict` takes in Python -> the model's form, upright; files are read as all other commands read them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.data import arrays
from scaseg.data.by_pillow import Picture as Picture
from scaseg.data.by_pillow import as_rgb, size_and_turn
from scaseg.data.images import read_image
from scaseg.data.orientation import upright
from scaseg.errors import UserError
from scaseg.form import RGB, Form


def as_picture(image: str | Path | Image.Image | npt.NDArray[Any], form: Form = RGB) -> Picture:
    """A file, a PIL image or an array (H, W, 3) uint8 in RGB order -> the array; UserError where it is none of these.

    Of another form: a file or an array (H, W, C) of its numbers, or of what its reader makes of them, float32.
    """
    if isinstance(image, (str, Path)):
        return read_image(str(image), form=form)
    if isinstance(image, Image.Image) and form.is_rgb:
        return as_rgb(image, "the image")
    if isinstance(image, Image.Image):
        _, turn = size_and_turn(image)
        return arrays.checked(upright(arrays.of_pillow(image, "the image"), turn), form, "the image")
    if not form.is_rgb:
        return _of_form(image, form)
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"predict takes a path, a PIL image or a uint8 array (H, W, 3) in RGB order, not {found}")
    if 0 in image.shape:
        raise UserError(f"predict: the image is empty, {image.shape}")
    return image


def _of_form(image: Any, form: Form) -> Picture:
    if not isinstance(image, np.ndarray) or image.ndim != 3:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"predict takes a path or an array (H, W, {form.channels}) of {form.dtype}, not {found}")
    as_read = image.dtype == np.float32 and form.dtype != "uint8"
    return arrays.checked(image, Form(form.channels, "float32", form.names) if as_read else form, "the image")
