"""Masks of ids of 1, 8 or 16 bits or indexed, of 0 and 255, or of colours, beside images of the same names.

dataset.images, dataset.masks and the suffixes say where they lie and what they are called, as for training. What the
masks hold is counted first. Colours are classes, black being the background; colours that are greys throughout are
ids. Of 0 and 1, or 0 and 255, the second is the foreground. Other ids are classes; 255 beside ids without a gap is not
labelled. What else holds 255 may mean several things: it is listed, and a table asked for.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from scaseg.data.classes import MOST
from scaseg.data.formats.export import Export, Label
from scaseg.data.formats.files import Place
from scaseg.data.formats.numbered import Numbers, as_colours, as_numbers, hexadecimal, pairs, read_upright
from scaseg.data.labels import IGNORE
from scaseg.data.listing import Listing, images_in, masks_in
from scaseg.data.masks import Stored
from scaseg.errors import UserError
from scaseg.progress import stage

Meaning = Callable[[Stored], Numbers | None]
_IGNORE_16 = 65535  # of 16 bits, what 255 is of 8
_FEW = 3  # values, of which 255 may be a class as well as none
_SHOWN = 12  # values that one message lists


def recognised(place: Place) -> list[Path]:
    """The two folders, where both are there."""
    folders = [place.source / place.images, place.source / place.masks]
    return folders if all(folder.is_dir() for folder in folders) else []


def read(place: Place) -> Export:
    """By what the masks hold: see the top of this file."""
    images, masks = _files(place)
    values = _counted(masks, as_numbers)
    if values is None:
        return read_colours(place)
    if values.keys() <= {0, 1} or values.keys() == {0, IGNORE}:
        return _binary(images, masks, values)
    rest = sorted(values.keys() - {IGNORE})
    unclear = max(values, default=0) == IGNORE and (len(values) <= _FEW or rest != list(range(len(rest))))
    return replace(_of_ids(images, masks, values), unclear=_asks(masks, values) if unclear else None)


def read_ids(place: Place) -> Export:
    """Each number is a class but 255, or 65535 where there are ids above 255, which is ignored."""
    images, masks = _files(place)
    return _of_ids(images, masks, _numbers(masks))


def read_binary(place: Place) -> Export:
    """0 is the background, and the one other number the foreground."""
    images, masks = _files(place)
    values = _numbers(masks)
    if len(values.keys() - {0}) > 1:
        raise UserError(f"format=binary: {_asks(masks, values)}")
    return _binary(images, masks, values)


def read_colours(place: Place) -> Export:
    """Each colour is a class, in the order of how often it comes; indexed masks are of their palettes' colours."""
    images, masks = _files(place)
    values = _counted(masks, as_colours) or Counter()
    order = [0] * (0 in values) + [value for value, _ in values.most_common(MOST + 1) if value]
    labels = []
    for number, value in enumerate(order, start=int(0 not in values)):
        name = "background" if value == 0 else hexadecimal(value)
        labels.append(Label(hexadecimal(value), name, (value >> 16, value >> 8 & 255, value & 255), number))
    keys = {value: hexadecimal(value) for value in values}
    found, notes = pairs(images, masks, partial(_read, as_colours), keys, hexadecimal)
    unclear = f"source={place.source}: the masks hold {len(values)} colours, so borders are blurred, or it is a picture"
    unclear += ": export them without smoothing, or say which colours are classes, dataset.classes=FILE"
    return Export(labels, found, notes, unclear if len(order) > MOST else None)


def _files(place: Place) -> tuple[Listing, Listing]:
    shown, drawn = place.folder / place.images, place.folder / place.masks
    for key, folder in (("images", shown), ("masks", drawn)):
        if not folder.is_dir():
            raise UserError(f"source={place.source}: no folder {folder.absolute()}: name it, dataset.{key}=FOLDER")
    together = shown.resolve() == drawn.resolve()
    images = images_in(shown, place.image_suffix, True, place.mask_suffix if together else None, but=drawn)
    return images, masks_in(drawn, place.mask_suffix, True, alone=not together, but=shown)


def _of_ids(images: Listing, masks: Listing, values: Mapping[int, int]) -> Export:
    fit = max(values, default=0) <= IGNORE
    ignored = IGNORE if fit else _IGNORE_16
    numbers = sorted(values.keys() - {ignored})
    labels = [Label(str(number), f"id {number}", id=number if fit else place) for place, number in enumerate(numbers)]
    found, notes = pairs(images, masks, partial(_read, as_numbers), {value: str(value) for value in values}, str)
    if not fit:
        notes.append("ids above 255 are there: all were numbered anew, in their order")
    if ignored in values:
        labels.append(Label(str(ignored), "not labelled", ignore=True))
    return Export(labels, found, notes)


def _binary(images: Listing, masks: Listing, values: Mapping[int, int]) -> Export:
    one = max(values, default=1) or 1
    labels = [Label("0", "background", (0, 0, 0), 0), Label(str(one), "foreground", None, 1)]
    found, notes = pairs(images, masks, partial(_read, as_numbers), {0: "0", one: str(one)}, str)
    return Export(labels, found, [*notes, f"0 is background, {one} foreground"])


def _read(meaning: Meaning, path: str) -> Numbers:
    found: Numbers | None = read_upright(path, meaning)
    if found is None:
        what = "16-bit numbers, which are no colours" if meaning is as_colours else "colours, and others hold ids"
        raise UserError(f"{path} holds {what}: export it again, or name what all are, format=")
    return found


def _numbers(masks: Listing) -> Counter[int]:
    values = _counted(masks, as_numbers)
    if values is None:
        raise UserError("the masks hold colours and no ids: format=colours")
    return values


def _counted(masks: Listing, meaning: Meaning) -> Counter[int] | None:
    """Pixels of each number; None where a mask holds what has no such meaning. Damage is said when masks are read."""
    counts = Counter[int]()
    with stage("looking at what the masks hold"):
        for path in masks.files.values():
            with suppress(UserError):
                numbers = read_upright(path, meaning)
                if numbers is None:
                    return None
                values, times = np.unique(numbers, return_counts=True)
                counts.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
    return counts


def _asks(masks: Listing, values: Counter[int]) -> str:
    """What the masks hold, and how to say what it means."""
    total, several = sum(values.values()), sorted(values)
    shares = [f"{value} ({100 * values[value] / total:.2g} % of the pixels)" for value in several[:_SHOWN]]
    more = f" and {len(several) - _SHOWN} more" if len(several) > _SHOWN else ""
    names = ("background", "foreground", "unclear")
    rows = [(0, ""), (several[-1], ""), (several[1], ", ignore: true")] if len(several) == _FEW else []
    table = "".join(
        f"\n  - {{name: {name}, labels: [{value}]{ignore}}}" for name, (value, ignore) in zip(names, rows, strict=False)
    )
    return (
        f"the masks, such as {next(iter(masks.files.values()))}, hold {', '.join(shares)}{more}, and 255 may be a class"
        " or not labelled. format=ids: it is not, and the others are classes. Else say what each is,"
        f" dataset.classes=FILE{', with lines such as' if table else ''}{table}"
    )
