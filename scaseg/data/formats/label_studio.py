"""Label Studio's JSON and JSON-MIN: polygons, rectangles, ellipses in percent of the image's sides, and brush strokes.

https://labelstud.io/guide/export and https://labelstud.io/guide/task_format. Regions are drawn in the file's order; of
one with several labels the last holds. Of several annotations of a task the ground truth is taken, else the one changed
last; predictions are not. The browser, in which people draw, turns images upright by EXIF.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from scaseg.data import images
from scaseg.data.formats import brush, fill
from scaseg.data.formats.export import (
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
    understood,
)
from scaseg.data.formats.files import Place
from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.typed import Json

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what the tool puts before the name of a file that is uploaded


def recognised(place: Place) -> list[Path]:
    """The export's files, where it is one of these."""
    return place.jsons("label_studio")


def read(place: Place) -> Export:
    """All tasks that someone has annotated; labels in the order of their names."""
    paths = recognised(place)
    if not paths:
        raise UserError(f"source={place.source}: no JSON of tasks with data and annotations, as Label Studio's are")
    found, left_out = [], 0
    for path in paths:
        for task in read_json(path):
            where = f"{path}, task {task.get('id')}"
            with understood(where):
                results = _results(task)
            left_out += results is None
            if results is not None:
                found.append(later(where, _image, path, task, results))
    used: set[str] = set()
    for image in found:
        with suppress(UserError):  # said when it is drawn
            used |= {shape.label for shape in image().shapes}
    notes = [f"{left_out} tasks that nobody has annotated: left out"] if left_out else []
    return Export([Label(name, name) for name in sorted(used)], found, notes)


def _results(task: Json) -> Sequence[Any] | None:
    """The regions of a task; None where it is not annotated."""
    if not isinstance(task.get("data"), Mapping):  # JSON-MIN, by the names of the interface's tags
        lists = [value for value in task.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        return [region for regions in lists for region in regions]
    done = task.get("annotations") or task.get("completions") or []
    done = [one for one in done if not one.get("was_cancelled") and isinstance(one.get("result"), list)]
    if not done:
        return None
    chosen = max(done, key=lambda one: (bool(one.get("ground_truth")), str(one.get("updated_at") or "")))
    return list(chosen["result"])


def _image(path: Path, task: Json, results: Sequence[Any]) -> Annotated:
    where = f"{path}, task {task.get('id')}"
    files = _files(task, where)
    shapes, passed = [], []
    size: Size | None = None
    for entry in results:
        entry = {**entry, **entry["value"]} if isinstance(entry.get("value"), Mapping) else entry  # JSON-MIN has one
        names = next((value for key, value in entry.items() if key.endswith("labels") and isinstance(value, list)), [])
        draw = _drawn(entry, where)
        if draw is None or not names:
            passed.append(f"{entry.get('type', 'region')} " + ("without a label" if draw else "(no area)"))
            continue
        if entry.get("image_rotation"):
            raise UserError(
                f"{where}: labelled on an image turned by {entry['image_rotation']} degrees in the tool, and which"
                " way its regions lie is not told: turn it back there and export again"
            )
        size = size or size_of(entry.get("original_height"), entry.get("original_width"))
        shapes += [Shape(str(name), draw) for name in names]
    return Annotated(
        sample_name(files[0].rpartition("/")[2]), files, where, shapes, size=size, passed=passed, near=path.parent
    )


def _files(task: Json, where: str) -> list[str]:
    """What the image may be called: its address without what the tool adds."""
    data = task["data"] if isinstance(task.get("data"), Mapping) else task
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    given = [texts[key] for key in ("image", "img", "$image") if key in texts]
    given += [text for text in texts.values() if Path(urlsplit(text).path).suffix.lower() in images.SUFFIXES]
    given += [str(task["file_upload"])] if task.get("file_upload") else []
    if not given:
        raise UserError(f"{where}: its data names no image: {', '.join(texts) or 'nothing'}")
    found = []
    for text in given:
        address = urlsplit(text)
        place = parse_qs(address.query).get("d", [address.path])[0]  # local files: /data/local-files/?d=...
        place = unquote(place)
        folder, slash, file = place.rpartition("/")
        found += [place, f"{folder}{slash}{_UPLOADED.sub('', file)}"]
    return list(dict.fromkeys(found))


def _drawn(entry: Json, where: str) -> "partial[Region] | None":
    keys = entry.keys()
    if "rle" in keys:
        return partial(_brush, entry["rle"], where)
    if "points" in keys and entry.get("closed", True):
        return partial(_in_percent, ring(entry["points"], where))
    if {"x", "y", "radiusX", "radiusY"} <= keys:
        centre, radii = ring([entry["x"], entry["y"]], where)[0], ring([entry["radiusX"], entry["radiusY"]], where)[0]
        return partial(_ellipse, centre, radii, float(entry.get("rotation") or 0))
    if {"x", "y", "width", "height"} <= keys:
        box = ring([[entry["x"], entry["y"]], [entry["width"], entry["height"]]], where)
        return partial(_rectangle, box, float(entry.get("rotation") or 0))
    return None


def _brush(packed: Sequence[int], where: str, size: Size) -> Region:
    return Region(brush.decode(packed, size, where))


def _in_percent(points: Any, size: Size) -> Region:
    return fill.polygon([points * _percent(size)], size)


def _ellipse(centre: Any, radii: Any, degrees: float, size: Size) -> Region:
    return fill.ellipse(centre * _percent(size), radii * _percent(size), degrees, size)


def _rectangle(box: Any, degrees: float, size: Size) -> Region:
    """Turned about its top left corner, as the tool does."""
    (x, y), (width, height) = (box * _percent(size)).tolist()
    corners = fill.rectangle(x, y, x + width, y + height)
    return fill.polygon([fill.turned(corners, degrees, corners[0]) if degrees else corners], size)


def _percent(size: Size) -> Any:
    return np.array([size[1] / 100, size[0] / 100])
