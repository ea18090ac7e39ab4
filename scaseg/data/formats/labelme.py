"""LabelMe: a JSON an image, beside it. Shapes are drawn in the file's order.

https://github.com/wkentaro/labelme: polygons, rectangles, circles (centre and a point on them) and masks (a PNG as
base64, between its first and its last pixel). Lines and points have no area. The tool turns images upright by EXIF.
`_background_` and `__ignore__` are what labelme's own scripts take them for.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scaseg.data.formats import fill
from scaseg.data.formats.bitmap import from_base64, pixels
from scaseg.data.formats.export import (
    IGNORED,
    Annotated,
    Export,
    Label,
    Region,
    Shape,
    later,
    read_json,
    ring,
    sample_name,
    size_of,
)
from scaseg.data.formats.files import Place
from scaseg.data.sizes import Size
from scaseg.errors import UserError


def recognised(place: Place) -> list[Path]:
    """The export's files, where it is one of these."""
    return place.jsons("labelme")


def read(place: Place) -> Export:
    """All files; labels in the order of their names."""
    paths = recognised(place)
    if not paths:
        raise UserError(f"source={place.source}: no JSON with shapes and imagePath, as LabelMe's have them")
    images = [later(path, _image, path, place.folder) for path in paths]
    used: set[str] = set()
    for image in images:
        with suppress(UserError):  # said when it is drawn
            used |= {shape.label for shape in image().shapes}
    return Export([Label(name, name) for name in sorted(used - {IGNORED})], images)


def _image(path: Path, folder: Path) -> Annotated:
    content = read_json(path)
    shapes, passed = [], []
    for number, entry in enumerate(content["shapes"], 1):
        where = f"{path}, shape {number}"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("label"), str):
            raise UserError(f"{where}: no label: name it in LabelMe and save")
        kind = entry.get("shape_type") or "polygon"  # that of old versions, which had no other
        points = ring(entry.get("points"), where)
        if kind in ("polygon", "rotation") or (kind == "rectangle" and len(points) == 4):  # X-AnyLabeling's corners
            shape = Shape(entry["label"], partial(fill.polygon, [points]))
        elif kind == "rectangle" and len(points) == 2:
            (left, top), (right, bottom) = np.sort(points, axis=0).tolist()
            shape = Shape(entry["label"], partial(fill.polygon, [fill.rectangle(left, top, right, bottom)]))
        elif kind == "circle" and len(points) == 2:
            radii = np.full(2, np.hypot(*(points[1] - points[0])))
            shape = Shape(entry["label"], partial(fill.ellipse, points[0], radii, 0.0))
        elif kind == "mask" and len(points) == 2:
            shape = Shape(entry["label"], partial(_mask, entry.get("mask"), points, where))
        else:
            passed.append(f"{kind} (no area)" if kind != "polygon" else kind)
            continue
        shapes.append(shape)
    file = str(content.get("imagePath") or "")
    stem = path.relative_to(folder).with_suffix("").as_posix()
    suffix = Path(file.replace("\\", "/")).suffix or ".jpg"
    data = content.get("imageData")
    return Annotated(
        sample_name(stem + suffix),
        [name for name in (file, stem + suffix) if name],
        str(path),
        shapes,
        size=size_of(content.get("imageHeight"), content.get("imageWidth")),
        content=partial(from_base64, data, f"{path}: imageData") if data else None,
        passed=passed,
        near=path.parent,
    )


def _mask(data: Any, points: Any, where: str, size: Size) -> Region:
    """A PNG between two pixels, both of which belong to it."""
    where = f"{where}: mask"
    inside = pixels(from_base64(data, where), where)
    (left, top), (right, bottom) = points.round().astype(int).tolist()
    if inside.shape != (bottom - top + 1, right - left + 1):
        raise UserError(f"{where} of {inside.shape} between {points.tolist()}: export it again")
    return Region(inside, top, left)
