"""What a part of the report says, kept on disk as it grows; and what a part is told."""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path

from scaseg.benchmark.measurement import Row
from scaseg.complexity.latency import Spread
from scaseg.files import write_json
from scaseg.typed import Json, Plain

DONE, FAILED, OUT_OF_TIME, SKIPPED = "done", "failed", "out of time", "skipped"
LAST_LINES = 15


class SkippedError(Exception):
    """A part, or one measurement of it, cannot be made here; the message says why."""


@dataclass(frozen=True)
class Setting:
    """What a part is told. deadline: when it is ended, in seconds of time.time()."""

    rehearse: bool
    output: Path
    work: Path
    deadline: float
    carry: Path | None = None

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.time()

    def text(self) -> str:
        return json.dumps({name: str(x) if isinstance(x, Path) else x for name, x in asdict(self).items()})

    @classmethod
    def read(cls, text: str) -> "Setting":
        plain = json.loads(text)
        paths = {name: plain[name] and Path(plain[name]) for name in ("output", "work", "carry")}
        return cls(**plain | paths)


@dataclass
class Section:
    """Rows, what was not measured and why, what failed with its last lines, pictures; written at every addition."""

    name: str
    state: str = OUT_OF_TIME  # until it says otherwise
    seconds: float = 0.0
    made: str = ""  # the date, torch's version and the commit: parts of one report may be of several calls
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    path: Path | None = None  # None: it is read, not written

    def add(self, what: str, unit: str, value: Spread | float, goal: str = "") -> None:
        """What is no number, as of a kernel that is wrong, is a failure and no row."""
        spread = value if isinstance(value, Spread) else Spread(value, value, value, 1)
        if not all(map(isfinite, (spread.median, spread.lower, spread.upper))):
            self.failed(what, f"{spread.median}, quartiles {spread.lower} .. {spread.upper}")
            return
        self.rows.append(Row(what, unit, spread, goal))
        print(f"{what}: {spread.median:.4g} {unit}", flush=True)
        self.save()

    def note(self, text: str) -> None:
        """What was skipped, and why, or what a reader must know."""
        self.notes.append(text)
        print(text, flush=True)
        self.save()

    def failed(self, what: str, output: str) -> None:
        """With the last lines of its output."""
        self.failures.append("\n".join([f"{what}:", *output.strip().splitlines()[-LAST_LINES:]]))
        self.save()

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """What fails within is kept as a failure, what cannot be done as a note; the rest of the part goes on."""
        try:
            yield
        except SkippedError as error:
            self.note(f"{what}: skipped, {error}")
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            self.failed(what, traceback.format_exc())

    def save(self) -> None:
        if self.path is not None:
            write_json(self.path, self.plain(), durable=False)

    def plain(self) -> Json:
        return {name: value for name, value in asdict(self).items() if name != "path"}

    @classmethod
    def load(cls, path: Path) -> "Section":
        return cls.read(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def read(cls, plain: Plain) -> "Section":
        rows = [Row(**{**row, "value": Spread(**row["value"])}) for row in plain["rows"]]
        return cls(**{**plain, "rows": rows})


def end_with_parent() -> None:
    """Ends this process group when the pipe at standard input closes, as it does however the parent ends."""
    import signal
    from threading import Thread

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)  # a buffer would be locked when the interpreter ends
        os.killpg(0, signal.SIGKILL)

    if os.getpgrp() == os.getpid():
        Thread(target=wait, daemon=True).start()
