"""Tiny exports of annotation tools, in the structure that each writes; and a second reading of what they mean.

`inside` draws by the stated rule, pixel by pixel, in fractions: points to 1/1024 of a pixel; a pixel belongs to a
polygon where a ray from its centre to the left crosses the rings an odd number of times.
"""

import json
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from scaseg.config import compose, typed
from scaseg.prepare import PrepareConfig, prepare

SIZE = (20, 30)  # height, width
NAMES = ("a", "straße 1", "sub/b")  # of the images of an export
EXIF_TURN = 6  # shown a quarter turn clockwise


def inside(rings, size=SIZE):
    """(H, W) bool."""
    mask = np.zeros(size, bool)
    half = Fraction(1, 2)
    edges = []
    for ring in rings:
        points = [tuple(Fraction(round(value * 1024), 1024) for value in point) for point in ring]
        edges += zip(points, points[1:] + points[:1], strict=True)
    for row in range(size[0]):
        y = row + half
        crossed = [x0 + (y - y0) * (x1 - x0) / (y1 - y0) for (x0, y0), (x1, y1) in edges if (y0 <= y) != (y1 <= y)]
        for column in range(size[1]):
            mask[row, column] = sum(x <= column + half for x in crossed) % 2
    return mask


def drawn(shapes, size=SIZE):
    """Shapes (label, mask) in their order -> (H, W) of labels, "" where there is none."""
    labels = np.full(size, "", object)
    for label, mask in shapes:
        labels[mask] = label
    return labels


def polygons(seed, size=SIZE, count=5, labels=("road", "car", "tree")):
    """Random ones (label, ring): whole and half coordinates, whose edges meet pixel centres, and others; some beyond
    the image's border.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        ring = rng.uniform(-6, np.array(size[::-1]) + 6, (int(rng.integers(3, 9)), 2))
        ring = [ring.round(), (2 * ring).round() / 2, ring][number % 3]
        found.append((labels[number % len(labels)], ring.tolist()))
    return found


def photo(path, size=SIZE, seed=0, turn=1):
    """An image of this size as it is stored; `turn`: its EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path, **({"exif": exif} if turn > 1 else {}))
    return path


def put(path, content):
    """JSON or text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


@cache
def _asked():
    """Composed once: it takes longer than what is tested."""
    return typed(compose("prepare", ["dataset=folder", "workers=0"]), PrepareConfig)


def prepared(source, to, form="auto", **options):
    """What scaseg.prepare makes of an export: its figures. options: keys of `dataset`."""
    known = _asked()
    assert options.keys() <= known.dataset.keys()
    asked = replace(known, dataset={**known.dataset, **options}, source=str(source), data_dir=str(to), format=form)
    return prepare(asked)


def read_back(folder):
    """{name: (H, W) of labels}, "" for the background, of the masks of a prepared folder; read by PIL and PyYAML."""
    rows = yaml.safe_load((Path(folder) / "classes.yaml").read_text(encoding="utf-8"))
    names = {row["id"]: str(row["name"]) for row in rows}
    names = {number: "" if name == "background" else name for number, name in names.items()}
    found = {}
    for path in sorted((Path(folder) / "masks").rglob("*.png")):
        ids = np.asarray(Image.open(path))
        labels = np.full(ids.shape, "?", object)
        for number, name in names.items():
            labels[ids == number] = name
        found[path.relative_to(Path(folder) / "masks").with_suffix("").as_posix()] = labels
    return found


def same(found, expected):
    """Whether labels are equal pixel by pixel, of all samples."""
    assert found.keys() == expected.keys()
    for name, labels in expected.items():
        assert found[name].shape == labels.shape, name
        assert (found[name] == labels).all(), f"{name}: {(found[name] != labels).sum()} pixels differ"
