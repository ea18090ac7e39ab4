"""A user's table of classes, from YAML or from the configuration: names as they were typed, ids, colours."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scaseg.data.labels import IGNORE, Colour, LabelTable, distinct_colours
from scaseg.data.listing import normal
from scaseg.data.text import read_text
from scaseg.errors import UserError
from scaseg.typed import Yaml

FORM = "a list of names, or of {name: ..., id: ..., colour: [r, g, b]}"
MOST = 253
_NUMBER = re.compile(r"\d{1,3}")
_YOLO = {"names", "nc", "path", "train", "val", "test", "download"}  # keys of its data.yaml


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

    Also of {id: name} or {name: id}, and of YOLO's {names: ...}. `ignore_ids` are not learned; [255], the default,
    gives way to a class of that id. `where` names the list in messages. Raises UserError.
    """
    names: list[str] = []
    colours: list[Colour] = []
    raw_ids: dict[int, int] = {}
    entries = _entries(classes, where)
    claimed = {_byte(entry.get("id")) for _, entry in entries}
    ignored = [] if list(ignore_ids) == [IGNORE] and IGNORE in claimed else list(ignore_ids)
    for place, (given, entry) in enumerate(entries):
        name = _name(entry.pop("name", None), f"{where}: entry {place + 1}, {given!r},")
        raw = _byte(entry.pop("id", place))
        colour = _colour(entry.pop("colour", None), place)
        if name is None or raw is None or colour is None or entry:
            raise UserError(f"{where}: entry {place + 1}, {given!r}, is not {FORM}; ids and colours are 0..255")
        if name in names or raw in raw_ids or raw in ignored:
            what = f"name {name}" if name in names else f"id {raw}"
            raise UserError(f"{where}: {what} comes twice" + (" (dataset.ignore_ids)" if raw in ignored else ""))
        names.append(name)
        colours.append(colour)
        raw_ids[raw] = place
    if len(names) > MOST:
        raise UserError(f"{where} lists {len(names)} classes; 8-bit masks leave room for {MOST}")
    return LabelTable(tuple(names), tuple(colours), raw_ids | dict.fromkeys(ignored, IGNORE))


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
    return (" ".join(normal(str(given)).split()) or None) if isinstance(given, str | int) else None


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
