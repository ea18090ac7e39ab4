"""What masks hold is said before training, with what to write."""

import time

import numpy as np
import pytest
from PIL import Image

from scaseg.data.camvid import CamVid
from scaseg.data.image_folder import ImageFolder
from scaseg.data.labels import IGNORE
from scaseg.data.shapes import Shapes
from scaseg.data.survey import _spread, survey
from scaseg.data.verify import verify
from tests.data.test_folder import says

RNG = np.random.default_rng(0)


def folder(root, classes, masks, **options):
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for i, ids in enumerate(masks):
        mask = np.resize(np.array(ids, np.uint8), (8, 12))
        Image.fromarray(mask).save(root / f"masks/{i:02d}.png")
        Image.fromarray(RNG.integers(0, 255, (8, 12, 3), np.uint8)).save(root / f"images/{i:02d}.png")
    return ImageFolder(root, "all", classes=classes, **options)


BINARY = (
    ": no pixel in the 3 masks of the all split, where the masks hold 0 and 255; 255 is ignored (dataset.ignore_ids). "
)


@pytest.mark.parametrize(
    ("classes", "masks", "said"),
    [
        (["a", "b"], [[0, 1]] * 3, []),
        (["a", "b"], [[0], [0], [1]], []),
        (["a", "b", "c", "d"], [[0, 1]] * 3, ["c and d: no pixel in the 3 masks", "hold 0 and 1", "take it out"]),
        (["bg", "fg"], [[0, 255]] * 3, [f"fg{BINARY}All that is labelled is bg.", "- {name: bg, id: 0}\n", "id: 255}"]),
        (
            ["crack"],
            [[0, 255]] * 3,
            ["crack is the table's one class", "- {name: background, id: 0}\n", "crack, id: 255}"],
        ),
        (["crack"], [[255]] * 3, ["no pixel is labelled in the 3 masks of the all split: the masks hold 255"]),
        (["one"], [[0]] * 3, ["one is the table's one class", "the masks hold 0."]),
        (["a", "b", "c"], [[1]] * 3, ["a and c: no pixel", "All that is labelled is b.", "{name: ..., id: N}"]),
        (["a b", "c"], [[0, 255]] * 3, ['- {name: "a b", id: 0}']),
        ([{"name": "bg", "id": 0}, {"name": "crack", "id": 255}], [[0, 255]] * 3, []),
    ],
)
def test_sentences(classes, masks, said, tmp_path):
    source = folder(tmp_path, classes, masks)
    for found in (survey(source), survey(source, whole=True), verify(source).survey):
        text = "\n".join(found.sentences())
        assert (text == "") == (said == [])
        assert all(part in text for part in said), text


def test_counts_are_of_what_is_stored(tmp_path):
    classes = [{"name": "a", "id": 3}, {"name": "b", "id": 9}]
    source = folder(tmp_path, classes, [[3, 9, 7, 255]] * 2, ignore_ids=[7, 255])
    found = survey(source, whole=True)
    assert {i: n for i, n in enumerate(found.stored.tolist()) if n} == {3: 48, 9: 48, 7: 48, 255: 48}
    assert found.pixels.tolist() == [48, 48, 96]
    assert (found.present, found.absent) == ([0, 1], [])


def test_it_ends_when_every_class_was_seen(tmp_path):
    source = folder(tmp_path, ["a", "b"], [[0], *[[0, 1]] * 40])
    reports = []
    found = survey(source, report=lambda done, count: reports.append((done, count)))
    assert (found.seen, found.masks, reports) == (2, 41, [(1, 41), (2, 41)])
    assert survey(source, whole=True).seen == 41
    assert survey(source, 1).seen == 1
    assert "b: no pixel in 1 of the 41 masks of the all split" in survey(source, 1).sentences()[0]


def test_the_first_few_are_spread_over_the_split():
    for length, count in ((367, 367), (367, 50), (1, 1), (5, 3), (1000, 30)):
        places = _spread(length, count)
        assert len(places) == len(set(places)) == count and max(places) < length
    few = _spread(367, 367)[:18]
    assert max(np.diff([0, *sorted(few), 367])) < 45


def test_an_id_that_is_none_is_named(tmp_path):
    source = folder(tmp_path, ["a", "b"], [[0], [0, 7]])
    with says("masks/01.png: the mask holds id 7"):
        survey(source)


def test_other_sources():
    found = survey(Shapes(size=[64, 80], length=5), whole=True)
    assert found.stored.sum() == 5 * 64 * 80 and found.pixels[-1] == 0


def test_camvid_takes_less_than_a_second(shared):
    source = CamVid(shared / "data/CamVid", "train")
    seconds = []
    for _ in range(2):
        start = time.process_time()
        found = survey(source, whole=True)
        seconds.append(time.process_time() - start)
    assert found.seen == 367 and found.sentences() == [] and found.pixels.sum() == 367 * 360 * 480
    assert found.stored[11] == found.pixels[-1] and IGNORE not in np.flatnonzero(found.stored)
    assert min(seconds) < 1.5  # 0.4 alone
