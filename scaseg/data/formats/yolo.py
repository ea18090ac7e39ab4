"""YOLO's segmentation text: images/**/NAME.jpg and labels/**/NAME.txt, a line an object, drawn in the file's order.

https://docs.ultralytics.com/datasets/segment/: `class x1 y1 x2 y2 ...`, in shares of the image's sides; a line with a
coordinate above 2 is taken to be in pixels. Lines of four numbers are boxes, which are not drawn. An image without a
text has no object. Names are those of data.yaml. Its training reads images turned upright by EXIF.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from scaseg.data.classes import read_classes
from scaseg.data.formats import fill
from scaseg.data.formats.export import Annotated, Export, Label, Region, Ring, Shape, ring, sample_name, split_of
from scaseg.data.formats.files import Place
from scaseg.data.sizes import Size
from scaseg.data.text import read_lines
from scaseg.errors import UserError

_IMAGES, _LABELS = "images", "labels"
_PIXELS = 2.0  # no share of a side is above: an object would begin a whole image away


def recognised(place: Place) -> list[Path]:
    """data.yaml, or another of its form, where there are labels too."""
    found = [path for path in place.below(".yaml", ".yml") if _names(path)]
    folder = found[0].parent if found else place.folder
    return found if any(path.suffix == ".txt" for path in _texts(folder)) else []


def read(place: Place) -> Export:
    """All images; splits are those of the folders."""
    found = recognised(place)
    if not found:
        raise UserError(f"source={place.source}: no data.yaml with names beside folders images and labels, as YOLO's")
    names = _names(found[0])
    # An export's yaml lies beside its folders; a copy elsewhere says nothing.
    files = place.image_files() if place.images != Place.images else Place(found[0].parent).image_files()
    images, without = [], 0
    texts = {path.with_suffix("").as_posix(): path for path in _texts(files.folder)}
    for path in files.paths:
        text = texts.get(_text(Path(path), files.folder))
        without += text is None
        images.append(partial(_image, path, files.folder, text, names))
    notes = [f"{without} images have no text in {_LABELS}: without an object, as YOLO takes it"] if without else []
    return Export([Label(name, name) for name in names.values()], images, notes)


def _names(path: Path) -> dict[str, str]:
    """By class number."""
    content = read_classes(path)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = {str(number): name for number, name in enumerate(names)}
    if not isinstance(names, dict) or not all(key.isdecimal() and isinstance(name, str) for key, name in names.items()):
        return {}
    return {str(int(key)): names[key] for key in sorted(names, key=int)}


def _texts(folder: Path) -> list[Path]:
    return [path for path in Place(folder).below(".txt") if path.parent.name == _LABELS or _LABELS in path.parts]


def _text(image: Path, folder: Path) -> str:
    """Where the text of an image lies, without its suffix: `labels` in the place of the last `images`."""
    parts = list(image.relative_to(folder).with_suffix("").parts)
    if _IMAGES in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index(_IMAGES)] = _LABELS
    return folder.joinpath(*parts).as_posix()


def _image(path: str, folder: Path, text: Path | None, names: dict[str, str]) -> Annotated:
    within = Path(path).relative_to(folder)
    split = split_of(*reversed(within.parts[:-1]))
    left = [part for part in within.parts[:-1] if part != _IMAGES and (split is None or split_of(part) != split)]
    shapes, passed = [], []
    for number, line in enumerate(read_lines(text) if text else (), 1):
        where = f"{text}, line {number}"
        name, *numbers = line.split()
        if name.removesuffix(".0") not in names:
            raise UserError(f"{where}: class {name} is none of data.yaml's {len(names)} names")
        points = ring(_numbers(numbers, where), where)
        if len(points) > 2:
            shapes.append(Shape(names[name.removesuffix(".0")], partial(_polygon, points)))
        else:
            passed.append("box" if len(points) == 2 else "line of fewer than three points")
    file = "/".join((*left, within.name))
    return Annotated(sample_name(file), (), str(text or path), shapes, split=split, passed=passed, path=path)


def _numbers(texts: Sequence[str], where: str) -> list[float]:
    try:
        numbers = [float(text) for text in texts]
    except ValueError as error:
        raise UserError(f"{where}: {error}; a line is a class and its points, class x1 y1 x2 y2 ...") from error
    if len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        raise UserError(f"{where}: {len(numbers)} numbers after the class are no points: class x1 y1 x2 y2 ...")
    return numbers


def _polygon(points: Ring, size: Size) -> Region:
    return fill.polygon([points if points.max() > _PIXELS else points * [size[1], size[0]]], size)
