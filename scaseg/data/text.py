"""Text files as people save them: UTF-8 or UTF-16, with a byte-order mark or without, any line ends."""

import codecs
import re
from pathlib import Path

from scaseg.errors import UserError

_MARKS = {  # the longer first: UTF-32's begins as UTF-16's does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: Path) -> str:
    """A file's text; UserError, naming the place and what to do, where it is neither UTF-8 nor UTF-16."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if encoding is None:  # of line ends, and what else is ASCII, one byte of two is zero
        first, second = data[::2].count(0), data[1::2].count(0)
        encoding = "utf-16-be" if first > second else "utf-16-le" if second > first else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x}), so what it says cannot be known: save it"
            " as UTF-8, in an editor or by iconv -f latin1 -t utf-8"
        ) from error


def read_lines(path: Path) -> list[str]:
    """The lines that are not empty, as they are."""
    return [line for line in re.split(r"\r\n|\r|\n", read_text(path)) if line.strip()]
