"""Exports with something in them taken out or put in another's place: read all the same, or one message, never more."""

import json
import random

import pytest

from scaseg.errors import UserError
from tests.data.formats import test_coco, test_cvat, test_label_studio, test_labelme, test_supervisely, test_yolo
from tests.data.formats.exports import prepared

TOOLS = {
    "coco": (test_coco.export, ".json"),
    "labelme": (test_labelme.export, ".json"),
    "label_studio": (test_label_studio.export, ".json"),
    "supervisely": (test_supervisely.export, ".json"),
    "cvat": (test_cvat.export, ".xml"),
    "yolo": (test_yolo.export, ".txt"),
}
OTHERS = [None, "", 0, -1, 3.5, "x", [], {}, [1], [[1, 2]], {"a": 1}, True, 1e9, "9" * 30, float("inf")]


def places(content, way=()):
    """The ways to all that a JSON holds."""
    if way:
        yield way
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield from places(value, (*way, key))


def spoil(path, draws):
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        *way, last = draws.choice(list(places(content)))
        within = content
        for key in way:
            within = within[key]
        if draws.random() < 0.3:
            del within[last]
        else:
            within[last] = draws.choice(OTHERS)
        path.write_text(json.dumps(content))
    else:
        text = path.read_text()
        start = draws.randrange(len(text))
        path.write_text(
            text[:start] + draws.choice(["", "0", "x", "-", "\n", '"']) + text[start + draws.randrange(8) :]
        )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("tool", TOOLS)
def test_nothing_but_messages(tool, seed, tmp_path):
    draws = random.Random(f"{tool}{seed}")
    make, suffix = TOOLS[tool]
    make(tmp_path / "export")
    spoil(draws.choice(sorted((tmp_path / "export").rglob(f"*{suffix}"))), draws)
    said = None
    try:
        prepared(tmp_path / "export", tmp_path / "to", form=tool)
    except UserError as error:
        said = str(error)
    assert said is None or str(tmp_path / "export") in said
    assert (tmp_path / "to").exists() == (said is None)
