"""COCO's JSON of instances: polygons and run lengths, drawn as pycocotools draws them, in the order of the file.

https://cocodataset.org/#format-data. A crowd (`iscrowd`) covers things that were not told apart: it is ignored.
"""

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

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
    split_of,
    understood,
)
from scaseg.data.formats.files import Place
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.typed import Json


def recognised(place: Place) -> list[Path]:
    """The export's files, where it is one of these."""
    return place.jsons("coco")


def read(place: Place) -> Export:
    """All files together; each image's split is what its file's name or folder says."""
    paths = recognised(place)
    if not paths:
        raise UserError(f"source={place.source}: no JSON with images, annotations and categories, as COCO's has them")
    labels: dict[str, Label] = {}
    images: list[Callable[[], Annotated]] = []
    listed: dict[tuple[str | None, str], Path] = {}
    notes: list[str] = []
    for path in paths:
        content = read_json(path)
        categories = _categories(content["categories"], path)
        with understood(path):
            shapes, twice = _by_image(content["annotations"]), _by_file(content["images"], path)
        for name in dict.fromkeys(categories.values()):
            labels.setdefault(name, Label(name, name))
        split = split_of(path.stem, path.parent.name)
        for file, entries in twice.items():
            if (other := listed.setdefault((split, file), path)) != path:
                raise UserError(f"{path} and {other} both annotate {file}: give one of them as source=")
            of_image = [entry for image in entries for entry in shapes.pop(image["id"], [])]
            if len(entries) > 1:
                notes.append(f"{file} is listed {len(entries)} times in {path.name}: all shapes are drawn on one")
            images.append(later(f"{path}, {file}", _image, path, entries[0], of_image, categories, split))
        if lost := sum(map(len, shapes.values())):
            notes.append(f"{lost} annotations in {path.name} are of images that it does not list: left out")
    return Export(list(labels.values()), images, notes)


def _by_image(annotations: Sequence[Json]) -> dict[Any, list[Json]]:
    found = defaultdict[Any, list[Json]](list)
    for entry in annotations:
        found[entry.get("image_id")].append(entry)
    return found


def _by_file(images: Sequence[Json], path: Path) -> dict[str, list[Json]]:
    found = defaultdict[str, list[Json]](list)
    for image in images:
        if "id" not in image or not image.get("file_name"):
            raise UserError(f"{path}: an entry of images has no id, or no file_name: {image}")
        found[str(image["file_name"])].append(image)
    return found


def _categories(entries: Sequence[Json], path: Path) -> dict[Any, str]:
    """Names by id, in the order of ids."""
    try:
        return {entry["id"]: str(entry["name"]) for entry in sorted(entries, key=lambda entry: entry["id"])}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: categories are not a list of {{id, name}}: export it again") from error


def _image(
    path: Path, image: Json, entries: Sequence[Json], categories: Mapping[Any, str], split: str | None
) -> Annotated:
    file = str(image["file_name"])
    size = size_of(image.get("height"), image.get("width"))
    shapes, passed = [], []
    for entry in entries:
        where = f"{path}, annotation {entry.get('id')} of {file}"
        if entry.get("category_id") not in categories:
            raise UserError(f"{where}: category_id {entry.get('category_id')} is none of the file's categories")
        label = IGNORED if entry.get("iscrowd") else categories[entry["category_id"]]
        segmentation = entry.get("segmentation")
        if isinstance(segmentation, Mapping):
            shapes.append(Shape(label, partial(_run_lengths, segmentation, where)))
            continue
        # Of four numbers pycocotools makes a box, and of fewer nothing.
        polygons = [ring(one, where).ravel() for one in segmentation or () if len(one) > 4]
        if polygons:
            shapes.append(Shape(label, partial(_polygons, [one.tolist() for one in polygons])))
        else:
            passed.append("annotation without a polygon" + " (a box alone)" * ("bbox" in entry))
    return Annotated(
        sample_name(file), (file,), f"{path}, {file}", shapes, size=size, split=split, passed=passed, near=path.parent
    )


def _polygons(polygons: Sequence[Sequence[float]], size: Size) -> Region:
    return _region(coco.merge(coco.frPyObjects(polygons, *size)))


def _run_lengths(segmentation: Mapping[str, Any], where: str, size: Size) -> Region:
    counts = segmentation.get("counts")
    if tuple(segmentation.get("size", ())) != size:
        raise UserError(f"{where}: run lengths of {segmentation.get('size')}, and its image is {list(size)}")
    if isinstance(counts, list):
        if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != size[0] * size[1]:
            raise UserError(f"{where}: run lengths that are not {size[0] * size[1]} pixels together: export it again")
        return _region(coco.frPyObjects(dict(segmentation), *size))
    try:
        return _region({"size": list(size), "counts": str(counts).encode("ascii")})
    except (ValueError, UnicodeEncodeError) as error:
        raise UserError(f"{where}: run lengths that cannot be read ({error}): export it again") from error


def _region(runs: Any) -> Region:
    """The box alone in which there are pixels: of a large image most of it is empty."""
    left, top, width, height = map(int, coco.toBbox(runs))
    return Region(_decode(runs)[top : top + height, left : left + width], top, left)


def _decode(runs: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    with warnings.catch_warnings():  # pycocotools 2.0.11 is older than numpy 2's copy keyword, and no worse for it
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        return np.asarray(coco.decode(runs), bool)
