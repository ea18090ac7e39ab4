"""What `predict` takes in Python -> RGB (H, W, 3) uint8, upright; files are read as all other commands read them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.data.by_pillow import Picture as Picture
from scaseg.data.by_pillow import as_rgb
from scaseg.data.images import read_image
from scaseg.errors import UserError


def as_picture(image: str | Path | Image.Image | npt.NDArray[np.uint8]) -> Picture:
    """A file, a PIL image or an RGB array (H, W, 3) uint8 -> the array; UserError where it is none of these."""
    if isinstance(image, (str, Path)):
        return read_image(str(image))
    if isinstance(image, Image.Image):
        return as_rgb(image, "the image")
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"predict takes a path, a PIL image or a uint8 array (H, W, 3) in RGB order, not {found}")
    if 0 in image.shape:
        raise UserError(f"predict: the image is empty, {image.shape}")
    return image
