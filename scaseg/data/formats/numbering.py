"""From an export's labels to the ids of masks and to a table of classes: the user's, or a first one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from scaseg.data.classes import MOST, REST, Entry, plain_name
from scaseg.data.formats.export import IGNORED, Label
from scaseg.data.formats.numbered import hexadecimal
from scaseg.data.labels import IGNORE, distinct_colours
from scaseg.errors import UserError

BACKGROUND = ("background", "_background_", "__background__")  # in any case: what several tools call it


@dataclass(frozen=True)
class Numbering:
    """ids: of each label, None where it is not drawn. background: of what no shape covers. rows: of the table."""

    ids: Mapping[str, int | None]
    background: int
    rows: Sequence[Entry]

    def table(self, used: Collection[int]) -> list[Entry]:
        """The rows of ids that the masks hold."""
        return [row for row in self.rows if set(row.ids) & set(used)]


def first_numbering(labels: Sequence[Label]) -> Numbering:
    """Each label a class: with the export's own id and colour where it has them, else numbered from 1 in its order."""
    if len(labels) > MOST - 1:
        raise UserError(
            f"the export has {len(labels)} labels, and 8-bit masks leave room for {MOST - 1}: say which are one class"
            " and which are dropped, dataset.classes=FILE"
        )
    taken = {label.id for label in labels if label.id is not None}
    free = iter([number for number in range(1, IGNORE) if number not in taken])
    ids: dict[str, int | None] = {}
    rows: dict[int, Entry] = {}
    numbers: dict[str, int] = {}  # of names, which may differ in blanks alone
    for label in (label for label in labels if not label.ignore):
        name = plain_name(label.name) or "unnamed"
        name = BACKGROUND[0] if name.lower() in BACKGROUND else name
        if name not in numbers:
            own = 0 if name == BACKGROUND[0] and 0 not in taken else label.id
            numbers[name] = next(free) if own is None else own
        ids[label.key] = number = numbers[name]
        colour = label.colour or ((0, 0, 0) if number == 0 else distinct_colours()[number])
        rows.setdefault(number, Entry(name, (number,), colour))
    rows.setdefault(0, Entry("background", (0,), (0, 0, 0)))
    rows[IGNORE] = Entry("not labelled", (IGNORE,), (255, 255, 255), ignore=True)
    ids |= {IGNORED: IGNORE} | {label.key: IGNORE for label in labels if label.ignore}
    return Numbering(ids, 0, [rows[number] for number in sorted(rows)])


def numbering(labels: Sequence[Label], rows: Sequence[Entry], where: str) -> Numbering:
    """By the user's table: a label belongs to the row that names it, by `labels`, by its name, id or colour.

    What no shape covers is the row's that has `background` among these, else it is ignored. UserError for labels that
    no row has, and for one that two have.
    """
    by_key: dict[str, Entry] = {}
    for row in rows:
        for key in _keys(row):
            if by_key.setdefault(key, row) is not row:
                raise UserError(f"{where}: two entries are for {key}: {by_key[key].name} and {row.name}")
    rest = next((row for row in rows if REST in row.labels), None)
    ids: dict[str, int | None] = {}
    without = []
    for label in labels:
        found = by_key.get(plain_name(label.key), by_key.get(plain_name(label.name), None if label.ignore else rest))
        if found is not None:
            ids[label.key] = None if found.drop else found.ids[0]
        elif not label.ignore:
            without.append(label.key)
    if without:
        raise UserError(
            f"{where} has no entry for {', '.join(without[:8])}"
            + (f" and {len(without) - 8} more" if len(without) > 8 else "")
            + ", which the export has: give each one, or {labels: rest, drop: true} for all of them"
        )
    ignored = next((row.ids[0] for row in rows if row.ignore), None)
    own = {raw for row in rows for raw in row.ids if not row.drop}
    kept = [replace(row, ids=row.ids[:1]) for row in rows if not row.drop]
    if ignored is None:
        ignored = max(set(range(IGNORE + 1)) - own)
        kept.append(Entry("not labelled", (ignored,), (255, 255, 255), ignore=True))
    covers = next((by_key[key] for key in by_key if key.lower() in BACKGROUND), None)
    background = ignored if covers is None or covers.drop else covers.ids[0]
    return Numbering(dict.fromkeys([IGNORED, *(label.key for label in labels)], ignored) | ids, background, kept)


def _keys(row: Entry) -> list[str]:
    keys = [label for label in row.labels if label != REST] or ([row.name] if row.name and not row.labels else [])
    if not row.labels:
        keys += [str(raw) for raw in row.ids] * row.own_ids + [hexadecimal(row.colour)] * row.own_colour
    return keys
