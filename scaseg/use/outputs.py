"""The folder that predictions go into: id masks, overlays, the legend, and a record that says of which model."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from scaseg.data import draw
from scaseg.data.labels import LabelTable, Mask
from scaseg.errors import UserError
from scaseg.use.pictures import Picture

KINDS = ("masks", "overlays")
RECORD = "predictions.json"
JPEG_QUALITY = 92


@dataclass
class Outputs:
    """Where the results of each input go; every file is written whole or not at all."""

    folder: Path
    kinds: tuple[str, ...]
    labels: LabelTable

    def files(self, name: PurePosixPath) -> dict[str, Path]:
        """The files of an image: `masks/NAME.png`, `overlays/NAME.jpg`."""
        suffix = {"masks": ".png", "overlays": ".jpg"}
        return {kind: self.folder / kind / name.with_name(name.name + suffix[kind]) for kind in self.kinds}

    def there(self, name: PurePosixPath) -> bool:
        """Whether all files of an image exist."""
        return all(path.exists() for path in self.files(name).values())

    def write(self, name: PurePosixPath, image: Picture, mask: Mask) -> None:
        """Write an image's files."""
        for kind, path in self.files(name).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "masks":
                write_mask(path, mask, self.labels)
            else:
                write_jpeg(path, draw.overlay(image, mask, self.labels))

    def begin(self, record: dict[str, Any], overwrite: bool) -> None:
        """Make the folder, its record and its legend; UserError where it holds something else.

        record: what the results depend on. A folder with the same record is gone on with.
        """
        path = self.folder / RECORD
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"output={self.folder} is a file; name a folder")
        if not overwrite and self.folder.is_dir() and any(self.folder.iterdir()):
            try:
                before = json.loads(path.read_text())["of"]
            except (OSError, ValueError, KeyError, TypeError):
                raise UserError(
                    f"output={self.folder} holds files that are not this command's (no {RECORD}); name another"
                    " folder, or overwrite=true"
                ) from None
            if before != record:
                different = [key for key in record if before.get(key) != record[key]]
                raise UserError(
                    f"output={self.folder} holds predictions with another {', '.join(different)}; name another folder,"
                    " or overwrite=true"
                )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.finish(record, {"status": "running"})
            draw.write_png(self.folder / "legend.png", draw.legend(self.labels, 480))
        except OSError as error:
            raise UserError(f"output={self.folder} cannot be written: {error.strerror}") from error

    def finish(self, record: dict[str, Any], outcome: dict[str, Any]) -> None:
        """Write the record with classes, colours and what came of it."""
        classes = [
            {"id": i, "name": name, "colour": list(colour)}
            for i, (name, colour) in enumerate(zip(self.labels.names, self.labels.colours, strict=True))
        ]
        beside = self.folder / (RECORD + ".part")
        beside.write_text(json.dumps({"of": record, **outcome, "classes": classes}, indent=2) + "\n")
        beside.replace(self.folder / RECORD)


def write_mask(path: Path, mask: Mask, labels: LabelTable) -> None:
    """Write ids (H, W) uint8 as a PNG of one channel whose palette shows them in the classes' colours."""
    picture = Image.fromarray(np.ascontiguousarray(mask))
    picture.putpalette(palette(labels).tobytes())
    beside = path.with_name(path.name + ".part")
    picture.save(beside, format="PNG")
    beside.replace(path)


def palette(labels: LabelTable) -> npt.NDArray[np.uint8]:
    """(256, 3): the classes' colours, then the ignored label's."""
    return labels.colourise(np.arange(256, dtype=np.uint8))


def write_jpeg(path: Path, picture: Picture) -> None:
    """Write an RGB picture, whole or not at all; as PNG content where a side is too long for JPEG."""
    ending = ".jpg" if max(picture.shape[:2]) < 65500 else ".png"
    ok, data = cv2.imencode(ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {picture.shape}")
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(data.tobytes())
    beside.replace(path)
