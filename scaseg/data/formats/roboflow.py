"""Roboflow's semantic segmentation masks: NAME.jpg, NAME_mask.png and _classes.csv, a folder a split.

_classes.csv has a line `Pixel Value, Class` and one a class; masks are of these numbers.
"""

import csv
from collections.abc import Callable
from pathlib import Path

from scaseg.data.formats.export import Annotated, Export, Label, split_of
from scaseg.data.formats.files import Place
from scaseg.data.formats.numbered import Numbers, as_numbers, pairs, read_upright
from scaseg.data.listing import images_in, masks_in
from scaseg.data.text import read_lines
from scaseg.errors import UserError

CLASSES, SUFFIX = "_classes.csv", "_mask.png"


def recognised(place: Place) -> list[Path]:
    """The lists of classes, where it is one of these."""
    return [path for path in place.below(".csv") if path.name == CLASSES]


def read(place: Place) -> Export:
    """All folders; labels with the numbers that masks have for them."""
    lists = recognised(place)
    if not lists:
        raise UserError(f"source={place.source}: no {CLASSES}, which Roboflow's masks come with")
    every: dict[int, Label] = {}
    images: list[Callable[[], Annotated]] = []
    notes: list[str] = []
    for path in lists:
        names = _names(path)
        if clash := next((n for n, name in names.items() if n in every and every[n].name != name), None):
            raise UserError(
                f"{path}: {clash} is {names[clash]}, and {every[clash].name} in {lists[0]}: prepare them apart"
            )
        every |= {number: Label(name, name, id=number) for number, name in names.items()}
        masks = masks_in(path.parent, SUFFIX)
        shown = images_in(path.parent, masks_too=SUFFIX)
        found, more = pairs(shown, masks, _numbers, names, str, _split(path, shown.files))
        images, notes = images + found, notes + [f"{path.parent.name}: {note}" for note in more]
    return Export([every[number] for number in sorted(every)], images, notes)


def _split(path: Path, names: dict[str, str]) -> dict[str, str]:
    """That of the list's folder, for all of them."""
    split = split_of(path.parent.name)
    return dict.fromkeys(names, split) if split else {}


def _names(path: Path) -> dict[int, str]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(read_lines(path))]
    try:
        return {int(value): name for value, name in (row[:2] for row in rows[1:])}
    except ValueError as error:
        raise UserError(f"{path} is no list of `Pixel Value, Class` ({error}): export it again") from error


def _numbers(path: str) -> Numbers:
    found: Numbers | None = read_upright(path, as_numbers)
    if found is None:
        raise UserError(f"{path} holds colours, and {CLASSES} has numbers for classes: export it again")
    return found
