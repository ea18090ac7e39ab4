"""counts.npz, what each image adds to a result's figures: written here, read here. Intervals over images are of it."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scaseg.errors import UserError
from scaseg.files import write_bytes

COUNTS = "counts.npz"


@dataclass(frozen=True)
class ImageCounts:
    """names: of the N images. region: (N, 3, K), pixels in which both have the class, the prediction's, the truth's."""

    names: tuple[str, ...]
    region: npt.NDArray[np.int64]


def write_counts(folder: Path, counts: ImageCounts) -> None:
    """Whole or not at all."""
    whole = io.BytesIO()
    np.savez_compressed(whole, names=np.array(counts.names, dtype=np.str_), region=counts.region)
    write_bytes(folder / COUNTS, whole.getbuffer())


def has_counts(folder: Path) -> bool:
    """Whether what the folder is of kept them."""
    return (folder / COUNTS).is_file()


def read_counts(folder: Path) -> ImageCounts:
    """A folder's counts; UserError where they cannot be read."""
    try:
        with np.load(folder / COUNTS, allow_pickle=False) as content:
            names, region = tuple(str(name) for name in content["names"]), content["region"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{folder / COUNTS} can't be read ({error})") from error
    if region.ndim != 3 or region.shape[:2] != (len(names), 3):
        raise UserError(f"{folder / COUNTS} holds counts of shape {region.shape} for {len(names)} images")
    return ImageCounts(names, region.astype(np.int64))
