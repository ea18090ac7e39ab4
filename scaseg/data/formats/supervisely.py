"""Supervisely: a project's meta.json, and of each dataset in it img/NAME.jpg and ann/NAME.jpg.json.

https://developer.supervisely.com/getting-started/supervisely-annotation-format: polygons with holes, rectangles and
bitmaps (a PNG, compressed, as base64, its first pixel at `origin`), drawn in the file's order. Points are measured from
the image's corner, as the labelling tool shows them. Lines and points have no area. The tool turns images upright.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scaseg.data.formats import fill
from scaseg.data.formats.bitmap import decompressed, from_base64, pixels
from scaseg.data.formats.export import (
    Annotated,
    Export,
    Label,
    Region,
    Shape,
    colour_of,
    later,
    read_json,
    ring,
    sample_name,
    size_of,
    split_of,
    understood,
)
from scaseg.data.formats.files import Place
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.typed import Plain


def recognised(place: Place) -> list[Path]:
    """The export's files, where it is one of these."""
    return place.jsons("supervisely")


def read(place: Place) -> Export:
    """All datasets; labels in the order of meta.json."""
    paths, metas = recognised(place), place.jsons("supervisely_meta")
    if not paths or not metas:
        raise UserError(
            f"source={place.source}: no meta.json with classes beside ann/*.json, as Supervisely's projects"
        )
    with understood(metas[0]):
        classes = read_json(metas[0])["classes"]
        labels = [Label(one["title"], one["title"], colour_of(str(one.get("color", "")))) for one in classes]
    return Export(labels, [later(path, _image, path, metas[0].parent) for path in paths])


def _image(path: Path, project: Path) -> Annotated:
    content = read_json(path)
    shapes, passed = [], []
    for number, entry in enumerate(content["objects"], 1):
        where = f"{path}, object {number}"
        label = entry.get("classTitle")
        if not isinstance(label, str):
            raise UserError(f"{where}: no classTitle: export it again")
        with understood(where):
            draw = _drawn(entry, where)
        if draw is None:
            passed.append(f"{entry.get('geometryType')} (no area)")
        else:
            shapes.append(Shape(label, draw))
    size, dataset = content["size"], path.parent.parent
    file = (dataset / "img" / path.stem).relative_to(project).as_posix()
    split = split_of(dataset.name)
    name = path.stem if split else file.replace("/img/", "/", 1)
    return Annotated(
        sample_name(name),
        (file,),
        str(path),
        shapes,
        size=size_of(size.get("height"), size.get("width")),
        split=split,
        passed=passed,
        near=path.parent,
    )


def _drawn(entry: Plain, where: str) -> "partial[Region] | None":
    kind = entry.get("geometryType")
    if kind == "polygon":
        points = entry["points"]
        return partial(fill.polygon, [ring(one, where) for one in (points["exterior"], *points.get("interior", ()))])
    if kind == "rectangle":
        (left, top), (right, bottom) = np.sort(ring(entry["points"]["exterior"], where), axis=0).tolist()
        return partial(fill.polygon, [fill.rectangle(left, top, right, bottom)])
    if kind == "bitmap":
        return partial(_bitmap, entry["bitmap"], where)
    return None


def _bitmap(bitmap: Mapping[str, Any], where: str, size: Size) -> Region:
    where = f"{where}: bitmap"
    inside = pixels(decompressed(from_base64(bitmap.get("data"), where), where), where)
    left, top = ring(bitmap.get("origin"), where)[0].round().astype(int).tolist()
    return Region(inside, top, left)
