"""CVAT for images 1.1: one annotations.xml. Shapes are drawn by their z_order, those of one in the file's order.

https://docs.cvat.ai/docs/dataset_management/formats/format-cvat: polygons, boxes, ellipses and masks (run lengths of
the rows of a box, beginning with what is outside). Lines, points, cuboids and tags have no area. The tool turns images
upright by EXIF.
"""

import math
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from scaseg.data.formats import fill
from scaseg.data.formats.export import (
    Annotated,
    Export,
    Label,
    Region,
    Shape,
    colour_of,
    later,
    ring,
    sample_name,
    size_of,
    split_of,
    understood,
)
from scaseg.data.formats.files import Place
from scaseg.data.sizes import Size
from scaseg.errors import UserError

_HEAD = 4096  # bytes, in which an XML file's first element begins


def recognised(place: Place) -> list[Path]:
    """The export's files, where it is one of these."""
    return [path for path in place.below(".xml") if b"<annotations" in _head(path)]


def read(place: Place) -> Export:
    """All files; labels in the order in which the project has them."""
    paths = recognised(place)
    if not paths:
        raise UserError(f"source={place.source}: no XML that begins with <annotations>, as CVAT's do")
    labels: dict[str, Label] = {}
    images = []
    for path in paths:
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            raise UserError(f"{path} is no XML that can be read ({error}): export it again") from error
        if root.find("track") is not None:
            raise UserError(f"{path} is of CVAT for video 1.1, whose frames are not drawn: export CVAT for images 1.1")
        for label in root.iterfind("./meta//labels/label"):
            name = label.findtext("name", "").strip()
            if name and label.find("parent") is None:  # points of a skeleton have one
                labels[name] = Label(name, name, colour_of(label.findtext("color", "")))
        for image in root.iterfind("image"):
            for shape in image:
                if name := shape.get("label", ""):
                    labels.setdefault(name, Label(name, name))
            images.append(later(f"{path}, {image.get('name')}", _image, path, image))
    return Export(list(labels.values()), images)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _image(path: Path, image: ElementTree.Element) -> Annotated:
    file = image.get("name", "")
    where = f"{path}, {file}"
    shapes, passed = [], []
    for element in sorted(image, key=lambda one: int(one.get("z_order", 0))):
        with understood(f"{where}, {element.tag}"):
            draw = _drawn(element, where)
        if draw is None:
            passed.append(f"{element.tag} (no area)")
        else:
            shapes.append(Shape(element.get("label", ""), draw))
    size = size_of(image.get("height"), image.get("width"))
    return Annotated(
        sample_name(file),
        (file,),
        where,
        shapes,
        size=size,
        split=split_of(image.get("subset", "")),
        passed=passed,
        near=path.parent,
    )


def _drawn(element: ElementTree.Element, where: str) -> "partial[Region] | None":
    def numbers(*names: str) -> list[float]:
        found = [float(element.get(name, "nan")) for name in names]
        if not all(map(math.isfinite, found)):
            raise ValueError(f"{', '.join(names)} are not all numbers")
        return found

    turn = float(element.get("rotation", 0))
    if element.tag == "polygon":
        points = [point.split(",") for point in element.get("points", "").split(";")]
        return partial(fill.polygon, [ring(points, where)])
    if element.tag == "box":
        left, top, right, bottom = numbers("xtl", "ytl", "xbr", "ybr")
        return partial(fill.polygon, [fill.rectangle(left, top, right, bottom, turn)])
    if element.tag == "ellipse":
        return partial(fill.ellipse, np.array(numbers("cx", "cy")), np.array(numbers("rx", "ry")), turn)
    if element.tag == "mask":
        left, top, width, height = map(round, numbers("left", "top", "width", "height"))
        counts = np.array([int(count) for count in element.get("rle", "").split(",")])
        if counts.min() < 0 or counts.sum() != width * height:
            raise ValueError(f"run lengths of {counts.sum()} pixels for {width}x{height}")
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
        return partial(_region, Region(inside, top, left))
    return None


def _region(region: Region, size: Size) -> Region:
    return region
