"""Which formats of labels there are, and which one an export is of."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from scaseg.data.formats import coco, cvat, label_studio, labelme, masks, roboflow, supervisely, voc, yolo
from scaseg.data.formats.export import Export
from scaseg.data.formats.files import Place
from scaseg.errors import UserError
from scaseg.typed import check_choice

AUTO = "auto"


class Format(NamedTuple):
    """read: an export of it. recognised: its files in a place, none where it is not of it; None: only when named."""

    read: Callable[[Place], Export]
    recognised: Callable[[Place], Sequence[Path]] | None
    what: str


FORMATS = {
    "coco": Format(coco.read, coco.recognised, "a JSON with images, annotations and categories"),
    "labelme": Format(labelme.read, labelme.recognised, "a JSON with shapes beside each image"),
    "cvat": Format(cvat.read, cvat.recognised, "annotations.xml of CVAT for images 1.1"),
    "label_studio": Format(label_studio.read, label_studio.recognised, "a JSON of tasks"),
    "yolo": Format(yolo.read, yolo.recognised, "data.yaml, folders images and labels"),
    "roboflow": Format(roboflow.read, roboflow.recognised, "_classes.csv beside NAME.jpg and NAME_mask.png"),
    "supervisely": Format(supervisely.read, supervisely.recognised, "meta.json, folders img and ann"),
    "voc": Format(voc.read, voc.recognised, "SegmentationClass and JPEGImages, labelmap.txt where it is CVAT's"),
    "masks": Format(masks.read, masks.recognised, "folders images and masks, of ids, 0 and 255, or colours"),
    "ids": Format(masks.read_ids, None, "the same of ids"),
    "binary": Format(masks.read_binary, None, "the same of 0 and one other"),
    "colours": Format(masks.read_colours, None, "the same of colours"),
}


def read_export(place: Place, name: str = AUTO) -> tuple[str, Export]:
    """The export's format and content; UserError where what it is of is none of these, or may be several."""
    check_choice("format", name, (AUTO, *FORMATS))
    if not place.source.exists():
        raise UserError(f"source={place.source}: no such file or folder")
    if place.source.is_file() and zipfile.is_zipfile(place.source):
        raise UserError(f"source={place.source} is an archive: unpack it, and name the folder")
    if name == AUTO:
        found = [one for one, its in FORMATS.items() if its.recognised is not None and its.recognised(place)]
        if len(found) > 1:
            raise UserError(f"source={place.source} may be of {' or '.join(found)}: say which, format={found[0]}")
        if not found:
            known = "\n".join(f"  {one}: {its.what}" for one, its in FORMATS.items())
            raise UserError(f"source={place.source} is of no format that is recognised:\n{known}\nSay which, format=")
        (name,) = found
    return name, FORMATS[name].read(place)
