"""Tables of classes as people write them: names stay what was typed."""

import unicodedata

import numpy as np
import pytest

from scaseg.data.classes import class_table, read_classes
from scaseg.data.labels import IGNORE
from tests.data.test_folder import says

TYPED = ["no", "yes", "on", "off", "null", "~", "True", "2020-01-01", "1e3", "0x10", "12:30", "1_000", "007", ".5", "y"]


def table(tmp_path, text, encoding="utf-8", ignore_ids=(255,)):
    path = tmp_path / "classes.yaml"
    path.write_bytes(text.encode(encoding))
    return class_table(read_classes(path), ignore_ids, str(path))


def test_names_are_what_was_typed(tmp_path):
    assert table(tmp_path, "".join(f"- {name}\n" for name in TYPED)).names == tuple(TYPED)
    named = "".join(f"- {{name: {name}, id: {i + 3}}}\n" for i, name in enumerate(TYPED))
    found = table(tmp_path, named)
    assert found.names == tuple(TYPED)
    assert found.raw_ids == {**{i + 3: i for i in range(len(TYPED))}, 255: IGNORE}
    assert table(tmp_path, "['a: b', \"no\", c d, 'it''s']").names == ("a: b", "no", "c d", "it's")
    assert table(tmp_path, "- &x cat\n- {name: dog, colour: &c [1, 2, 3]}\n").colours[1] == (1, 2, 3)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_as_editors_save_them(encoding, tmp_path):
    assert table(tmp_path, "- Straße\r\n- no\r\n", encoding).names == ("Straße", "no")


def test_latin_1_is_named(tmp_path):
    with says("classes.yaml, line 2: not UTF-8 (byte 0xdf)", "iconv"):
        table(tmp_path, "- a\n- Straße\n", "latin-1")


@pytest.mark.parametrize(
    ("text", "raw_ids"),
    [
        ("0: no\n1: fg\n", {0: 0, 1: 1}),
        ("{5: no, 2: fg}", {5: 0, 2: 1}),
        ("no: 0\nfg: 7\n", {0: 0, 7: 1}),
        ("names: [no, fg]\nnc: 2\npath: x\ntrain: images/train\nval: images/val", {0: 0, 1: 1}),
        ("names:\n  0: no\n  1: fg\n", {0: 0, 1: 1}),
        ("names:\n- {name: no, id: 4}\n- fg\n", {4: 0, 1: 1}),
    ],
)
def test_mappings(text, raw_ids, tmp_path):
    found = table(tmp_path, text)
    assert found.names == ("no", "fg")
    assert found.raw_ids == {**raw_ids, 255: IGNORE}


def test_a_class_may_have_the_ignored_id(tmp_path):
    """Masks of 0 and 255 simply work; what was asked to be ignored on purpose does not give way."""
    text = "- {name: background, id: 0}\n- {name: crack, id: 255}\n"
    found = table(tmp_path, text)
    assert found.raw_ids == {0: 0, 255: 1}
    assert found.encode(np.array([[0, 255]], np.uint8), "").tolist() == [[0, 1]]
    assert found.decode(np.array([[0, 1]], np.uint8)).tolist() == [[0, 255]]
    for ignored in ([0, 255], [7, 255]):
        with says("comes twice (dataset.ignore_ids)"):
            table(tmp_path, text, ignore_ids=ignored)
    assert table(tmp_path, text, ignore_ids=[7]).raw_ids == {0: 0, 255: 1, 7: IGNORE}
    assert table(tmp_path, text, ignore_ids=[]).raw_ids == {0: 0, 255: 1}


def test_several_ids_are_one_class_and_entries_may_be_ignored(tmp_path):
    text = "- {name: vehicle, ids: [7, 9], colour: [1, 2, 3]}\n- {ids: [3, 255], ignore: true}\n- {name: sky, id: 0}\n"
    found = table(tmp_path, text)
    assert found.names == ("vehicle", "sky")
    assert found.colours[0] == (1, 2, 3)
    assert found.raw_ids == {7: 0, 9: 0, 0: 1, 3: IGNORE, 255: IGNORE}
    assert found.encode(np.array([[7, 9, 3, 0]], np.uint8), "").tolist() == [[0, 0, IGNORE, 1]]
    assert found.decode(np.array([[0, 1, IGNORE]], np.uint8)).tolist() == [[7, 0, 3]]
    both = [{"name": "a", "ids": [1, 2]}, {"name": "void", "id": 5, "ignore": True}]
    assert class_table(both, [255], "").raw_ids == {1: 0, 2: 0, 5: IGNORE, 255: IGNORE}
    assert class_table(both, [5], "").raw_ids == {1: 0, 2: 0, 5: IGNORE}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: cat, ids: [1, 2]}\n- {name: dog, id: 2}\n", "id 2 comes twice"),
        ("- {name: cat, ids: [1, 1]}\n", "id 1 comes twice"),
        ("- {name: cat, ids: 7}\n", "entry 1"),
        ("- {name: cat, ids: [300]}\n", "entry 1"),
        ("- {name: cat, ids: []}\n", "entry 1"),
        ("- {name: cat, id: 1, ids: [2]}\n", "entry 1"),
        ("- {name: cat, ignore: maybe}\n", "entry 1"),
        ("- {name: cat, ignore: true}\n", "every entry is ignored"),
        ("- cat\n- {name: dog, id: 4, drop: true}\n", "dog is dropped, which is for scaseg.prepare"),
        ("- cat\n-\n", "entry 2"),
        ("- cat\n- ''\n", "entry 2"),
        ("- cat\n- {name: , id: 1}\n", "entry 2"),
        ("- cat\n- [dog]\n", "entry 2"),
        ("- cat\n- {name: dog, id: one}\n", "entry 2"),
        ("- cat\n- {name: dog, id: -1}\n", "entry 2"),
        ("- cat\n- {name: dog, id: 1.0}\n", "entry 2"),
        ("- cat\n- {name: dog, colour: [1, 2]}\n", "entry 2"),
        ("- cat\n- {name: dog, colour: [1, 2, 256]}\n", "entry 2"),
        ("- cat \n- 'cat '\n", "name cat comes twice"),
        (f"- {unicodedata.normalize('NFC', 'grün')}\n- {unicodedata.normalize('NFD', 'grün')}\n", "comes twice"),
        ("- traffic  light\n- traffic light\n", "name traffic light comes twice"),
        ("names: [a]\nignore: 3\n", "ignore beside `names`"),
        ("{}", "must be a list of names"),
        ("", "must be a list of names"),
        ("cat: dog\n", "entry 1"),
        ("0: cat\n0: dog\n", "the key 0 comes twice"),
        ("0: cat\n00: dog\n", "id 0 comes twice"),
        ("- {name: cat, name: dog}\n", "the key name comes twice"),
        ("- !!python/object/apply:os.system [ls]\n", "entry 1"),
        ("- a\n\t- b\n", "no YAML"),
    ],
)
def test_what_is_no_table_is_named(text, said, tmp_path):
    with says("classes.yaml", said):
        table(tmp_path, text)


def test_lists_of_the_configuration(tmp_path):
    """Where the parser has made other things of some words already, these cannot be had back."""
    assert class_table(["no", 7, "fg"], [], "dataset.classes").names == ("no", "7", "fg")
    for value in (False, 1.5):
        with says("dataset.classes: entry 2,", "put it in quotes"):
            class_table(["bg", value], [], "dataset.classes")
    with says("dataset.classes: entry 1, None, is not a list of names"):
        class_table([None], [], "dataset.classes")
