"""A user's table of classes, from YAML or from the configuration: names as they were typed, ids, colours."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scaseg.data.labels import IGNORE, Colour, LabelTable, distinct_colours
from scaseg.data.listing import normal
from scaseg.data.text import read_text
from scaseg.errors import UserError
from scaseg.typed import Yaml

FORM = "a list of names, or of {name: ..., id: ..., colour: [r, g, b]}"
MORE = "(ids: [7, 9] for several; ignore: true where it is not learned)"
MOST = 253
REST = "rest"  # as `labels`: all that no other entry names
_NUMBER = re.compile(r"\d{1,3}")
_YOLO = {"names", "nc", "path", "train", "val", "test", "download"}  # keys of its data.yaml
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True)
class Entry:
    """A row of a table. ids: that masks hold, those of a class together, the first being the one that is written.

    ignore: its pixels are not learned. labels: what an export calls it, several being one class; () where that is not
    said, [REST] for all others. drop: not drawn when an export is read. own_ids, own_colour: whether they were given.
    """

    name: str
    ids: tuple[int, ...]
    colour: Colour
    ignore: bool = False
    drop: bool = False
    labels: tuple[str, ...] = ()
    own_ids: bool = True
    own_colour: bool = True


def read_classes(path: Path) -> Any:
    """What a YAML file lists, every scalar as text: YAML's own rules make False of `no` and numbers of dates."""
    try:
        return yaml.load(read_text(path), _AsTyped)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML that can be read: {' '.join(str(error).split())}") from error


class _AsTyped(yaml.BaseLoader):  # type: ignore[misc]
    """Scalars as text, and no key twice, of which YAML's own reader keeps the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


def class_table(classes: Any, ignore_ids: Sequence[int], where: str) -> LabelTable:
    """The table of a list: of names, whose ids are their places, or of mappings {name, id, colour}.

    Also of {id: name} or {name: id}, and of YOLO's {names: ...}. `ids: [7, 9]` makes one class of several ids, and
    `ignore: true` none. `ignore_ids` are not learned; [255], the default, gives way to an entry of that id. `where`
    names the list in messages. Raises UserError.
    """
    rows = table_entries(classes, where)
    if dropped := next((row for row in rows if row.drop), None):
        raise UserError(
            f"{where}: {dropped.name or dropped.ids[0]} is dropped, which is for scaseg.prepare, as each pixel of a"
            " mask has an id: give its ids to another class, or ignore: true"
        )
    claimed = {raw for row in rows for raw in row.ids}
    ignored = [] if list(ignore_ids) == [IGNORE] and IGNORE in claimed else list(ignore_ids)
    learned = [row for row in rows if not row.ignore]
    if clash := [raw for row in learned for raw in row.ids if raw in ignored]:
        raise UserError(f"{where}: id {clash[0]} comes twice (dataset.ignore_ids)")
    if not learned:
        raise UserError(f"{where}: every entry is ignored, and at least one class must be learned")
    raw_ids = {raw: train for train, row in enumerate(learned) for raw in row.ids}
    raw_ids |= {raw: IGNORE for row in rows if row.ignore for raw in row.ids} | dict.fromkeys(ignored, IGNORE)
    return LabelTable(tuple(row.name for row in learned), tuple(row.colour for row in learned), raw_ids)


def table_entries(classes: Any, where: str) -> list[Entry]:
    """The rows of such a list, in order; UserError for one that is not right, and for what comes twice."""
    rows: list[Entry] = []
    names, ids = set[str](), set[int]()
    for place, (given, entry) in enumerate(_entries(classes, where)):
        row = _row(entry, place, f"{where}: entry {place + 1}, {given!r},")
        twice = next((raw for raw in row.ids if not row.drop and (raw in ids or row.ids.count(raw) > 1)), None)
        if (row.name and row.name in names) or twice is not None:
            what = f"name {row.name}" if row.name in names else f"id {twice}"
            raise UserError(f"{where}: {what} comes twice")
        rows.append(row)
        names.add(row.name)
        ids.update(() if row.drop else row.ids)
    if (count := sum(not row.ignore and not row.drop for row in rows)) > MOST:
        raise UserError(f"{where} lists {count} classes; 8-bit masks leave room for {MOST}")
    return rows


def written(rows: Sequence[Entry], comment: str = "") -> str:
    """Such a list as YAML, each row with its ids and colour, after lines of comment."""
    lines = [f"# {line}" for line in comment.splitlines()]
    for row in rows:
        ids = f"id: {row.ids[0]}" if len(row.ids) == 1 else f"ids: {list(row.ids)}"
        ignore = ", ignore: true" * row.ignore
        name = f"name: {_typed(row.name)}, " if row.name else ""
        lines.append(f"- {{{name}{ids}, colour: {list(row.colour)}{ignore}}}")
    return "\n".join([*lines, ""])


def _typed(name: str) -> str:
    """In quotes where YAML would read something else."""
    plain = re.fullmatch(r"\w[\w ./()-]*", name) and name == name.strip()
    return name if plain else json.dumps(name, ensure_ascii=False)


def _row(entry: Yaml, place: int, where: str) -> Entry:
    """One entry; `place` is its number, from which an id and a colour follow that are not given."""
    name = _name(entry.pop("name", None), where)
    ignore, drop = _yes(entry.pop("ignore", False)), _yes(entry.pop("drop", False))
    own_ids, own_colour = bool(entry.keys() & {"id", "ids"}), entry.get("colour") is not None
    given = entry.pop("ids") if "ids" in entry and "id" not in entry else [entry.pop("id", place)]
    ids = [_byte(raw) for raw in given] if isinstance(given, list | tuple) and given else [None]
    colour = _colour(entry.pop("colour", None), place)
    labels = entry.pop("labels", ())
    labels = [labels] if isinstance(labels, str | int) else labels
    texts = [_name(label, where) for label in labels] if isinstance(labels, list | tuple) else [None]
    unnamed = name is None and not (ignore or drop)
    if unnamed or ignore is None or drop is None or None in ids or None in texts or colour is None or entry:
        raise UserError(f"{where} is not {FORM}; ids and colours are 0..255 {MORE}")
    known = tuple(raw for raw in ids if raw is not None)
    said = tuple(text for text in texts if text is not None)
    return Entry(name or "", known, colour, bool(ignore), bool(drop), said, own_ids, own_colour)


def _entries(classes: Any, where: str) -> list[tuple[Any, Yaml]]:
    """(as given, as a mapping) of each class."""
    if isinstance(classes, Mapping) and "names" in classes:
        if other := [str(key) for key in classes if key not in _YOLO]:
            raise UserError(f"{where}: {', '.join(other)} beside `names`: give {FORM}")
        classes = classes["names"]
    if isinstance(classes, Mapping) and classes:
        by_id = all(_byte(key) is not None for key in classes)
        pairs = [(name, raw) if by_id else (raw, name) for raw, name in classes.items()]
        return [({raw: name} if by_id else {name: raw}, {"name": name, "id": raw}) for name, raw in pairs]
    if not isinstance(classes, list | tuple) or not classes:
        raise UserError(f"{where} must be {FORM}")
    return [(given, dict(given) if isinstance(given, Mapping) else {"name": given}) for given in classes]


def _name(given: Any, where: str) -> str | None:
    """The name, composed and without blanks around it; None where there is none."""
    if isinstance(given, bool | float) or given is None:  # of a configuration, which says `null` for nothing
        if given is None:
            return None
        raise UserError(f"{where} is no name as it was typed: put it in quotes")
    return (plain_name(str(given)) or None) if isinstance(given, str | int) else None


def plain_name(text: str) -> str:
    """Composed, and with single blanks, none around it."""
    return " ".join(normal(text).split())


def _yes(given: Any) -> bool | None:
    """Whether it is set; None for what is neither yes nor no."""
    if isinstance(given, bool):
        return given
    return True if str(given).lower() in _TRUE else False if str(given).lower() in _FALSE else None


def _byte(value: Any) -> int | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255 else None


def _colour(given: Any, place: int) -> Colour | None:
    """Three bytes; where none are given, unlike ones for any number of classes."""
    if given is None:
        return distinct_colours()[min(place, MOST - 1)]
    if not isinstance(given, list | tuple) or len(given) != 3:
        return None
    red, green, blue = (_byte(value) for value in given)
    return None if red is None or green is None or blue is None else (red, green, blue)
