"""What an annotation tool exports, whichever it is: labels, and of each image its shapes, or a mask of numbers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scaseg.data.labels import Colour
from scaseg.data.listing import normal
from scaseg.data.sizes import Size
from scaseg.data.text import read_text
from scaseg.errors import UserError

Ring = npt.NDArray[np.float64]  # (N, 2), x and y in pixels from the image's top left corner
IGNORED = "__ignore__"  # a label that is drawn and not learned; the name is LabelMe's
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Region(NamedTuple):
    """Pixels (h, w) bool of an image, the first of them at (top, left)."""

    inside: npt.NDArray[np.bool_]
    top: int = 0
    left: int = 0


@dataclass(frozen=True)
class Label:
    """A class as the export has it. key: what shapes and masks call it; id: the one that masks hold, if they do.

    ignore: it is not learned, unless the user's table says what it is.
    """

    key: str
    name: str
    colour: Colour | None = None
    id: int | None = None
    ignore: bool = False


@dataclass(frozen=True)
class Shape:
    """A region of one label. draw: from (H, W) of the image as the tool showed it to the pixels."""

    label: str
    draw: Callable[[Size], Region]


@dataclass(frozen=True)
class Numbered:
    """A mask file. read: its numbers (H, W); labels: the key of each, others being an error; shown: as messages do."""

    path: str
    read: Callable[[], npt.NDArray[np.int32]]
    labels: Mapping[int, str]
    shown: Callable[[int], str]


@dataclass(frozen=True)
class Annotated:
    """An image and its labels: shapes in drawing order, later ones over earlier ones, or a mask.

    name: the sample's, with folders and without the file's suffix. files: what the image's file may be called, the
    likeliest first; path: where it is, if that is known; near: a folder that it may be in, of several of one name.
    where: file and entry, for messages. size: (H, W) of the image
    as the tool showed it. content: of the image's file, where the export holds it. passed: what has no area.
    """

    name: str
    files: Sequence[str]
    where: str
    shapes: Sequence[Shape] = ()
    mask: Numbered | None = None
    size: Size | None = None
    split: str | None = None
    content: Callable[[], bytes] | None = None
    passed: Sequence[str] = ()
    path: str | None = None
    near: Path | None = None


@dataclass(frozen=True)
class Export:
    """labels: in the order of their ids. images: each is read when it is called; UserError where it is not right.

    notes: what was understood of the whole, for the report. unclear: why it cannot be read without a table of classes.
    """

    labels: Sequence[Label]
    images: Sequence[Callable[[], Annotated]]
    notes: Sequence[str] = field(default_factory=list)
    unclear: str | None = None


def sample_name(file: str) -> str:
    """The name of an image from the path that an export has for it: NFC, without suffix, drive and upward steps."""
    parts = [part for part in normal(file).replace("\\", "/").split("/") if part not in ("", ".", "..")]
    parts = [part for part in parts if not part.endswith(":")]
    if not parts:
        raise UserError(f"{file!r} is no name of an image: export it again")
    return str(PurePosixPath(*parts).with_suffix(""))


def split_of(*names: str) -> str | None:
    """The split that one of these names says, as train2017, instances_val or valid do."""
    for name in names:
        for word in "".join(c if c.isalpha() else " " for c in name.lower()).split():
            if word in _SPLITS:
                return _SPLITS[word]
    return None


def ring(points: Any, where: str) -> Ring:
    """A polygon's points, [[x, y], ...] or [x, y, x, y, ...]; UserError for what is none."""
    try:
        found = np.asarray(points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {_short(points)} are no points x, y: export it again") from error
    if not np.isfinite(found).all():
        raise UserError(f"{where}: {_short(points)} have coordinates that are no numbers: export it again")
    return found


def colour_of(text: str) -> Colour | None:
    """#rrggbb; None for another form."""
    digits = text.removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        return None
    return red, green, blue


def read_json(path: Path) -> Any:
    """A JSON file's content; UserError with line and column where it is none."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"{path} is no JSON that can be read ({error.msg}, {where}): export it again") from error


def whole(value: Any) -> int | None:
    """A whole number, also one that is written as text or as 640.0; None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number == int(number) else None


def size_of(height: Any, width: Any) -> Size | None:
    """(H, W) where both are told."""
    rows, columns = whole(height), whole(width)
    return (rows, columns) if rows and columns else None


@contextmanager
def understood(where: str | Path) -> Iterator[None]:
    """Within it what is not of the form that a tool writes is a UserError, naming the file and the place in it."""
    try:
        yield
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: not of the form that its tool writes ({error!r}): export it again") from error


def later(where: str | Path, read: Callable[..., Annotated], *given: Any) -> Callable[[], Annotated]:
    """An image that is read when it is called, by `read(*given)`; what is not of its form is a UserError."""

    def reading() -> Annotated:
        with understood(where):
            return read(*given)

    return reading


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 60 else f"{text[:57]}..."
