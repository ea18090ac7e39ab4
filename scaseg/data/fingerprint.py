"""Which data these are, wherever they lie: a short hash of a split's files, of a class table, of a weights file.

The rule: every file's name and size, and its first, middle and last bytes (PNGs and zip archives end in checksums of
all that they hold); of a split with more than MOST_OPENED pairs that many are opened, evenly spread, and of the others
name and size count. A file that is changed in place between these bytes, to the same size, is not seen.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from scaseg.data.labels import LabelTable
from scaseg.data.source import Chosen
from scaseg.errors import UserError

BLOCK = 16_384  # bytes read at the beginning, in the middle and at the end
MOST_OPENED = 2_048  # pairs: some tenths of a second where the files are in memory
DIGITS = 16  # of 16 each


def of_split(source: Any) -> str:
    """Of a split's samples: their names, and of a dataset on disk its files; the folder's own place is left out."""
    found = hashlib.sha256()
    pairs = getattr(source, "pairs", None)
    if isinstance(source, Chosen):
        found.update(f"{of_split(source.source)} {list(source.chosen)}".encode())
        return found.hexdigest()[:DIGITS]
    if pairs is None:  # made by a program: its configuration says all
        found.update(f"{type(source).__qualname__} {len(source)}".encode())
        return found.hexdigest()[:DIGITS]
    opened = _spread(len(pairs))
    for number, (name, *paths) in enumerate(pairs):
        found.update(f"\0{name}".encode(errors="surrogateescape"))
        for path in paths:
            found.update(b"\1" if path is None else _file(path, number in opened))
    return found.hexdigest()[:DIGITS]


def of_classes(labels: LabelTable) -> str:
    """Of a class table: names in their order and the ids that masks hold; colours change no figure."""
    told = [*labels.names, *(f"{raw}={train}" for raw, train in sorted(labels.raw_ids.items()))]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:DIGITS]


def of_file(path: str | Path) -> str:
    """Of a file's size and bytes."""
    return hashlib.sha256(_file(os.fspath(path), True)).hexdigest()[:DIGITS]


def _spread(count: int) -> set[int]:
    most = min(count, MOST_OPENED)
    return {i * count // most for i in range(most)}


def _file(path: str, opened: bool) -> bytes:
    try:
        if not opened:
            return f"\2{os.stat(path).st_size}\3".encode()  # noqa: PTH116 (Path is slower)
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            size = os.fstat(file.fileno()).st_size
            places = (0, (size - BLOCK) // 2, size - BLOCK) if size > 3 * BLOCK else (0, BLOCK, 2 * BLOCK)
            return b"".join([f"\2{size}\3".encode(), *(os.pread(file.fileno(), BLOCK, at) for at in places)])
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
