"""What libraries in C say on standard error and nowhere else: libjpeg's warnings, libtiff's errors, FFmpeg's."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
_alone = threading.Lock()  # the descriptor is the whole process's
_into: int | None = None


@contextmanager
def overhearing(theirs: re.Pattern[str]) -> Iterator[list[str]]:
    """Lines written to file descriptor 2 within it that match `theirs`: in the list when it ends, not on the screen.

    All else goes on to where it was meant for, at the end. A few microseconds; other threads that listen wait. Where
    nothing can be redirected (a program without standard error) the list stays empty.
    """
    heard: list[str] = []
    with _alone:
        try:
            real = os.dup(STDERR)
        except OSError:
            yield heard
            return
        into = _file()
        os.dup2(into, STDERR)
        try:
            yield heard
        finally:
            os.dup2(real, STDERR)
            length = os.lseek(into, 0, os.SEEK_CUR)
            if length:
                _share(os.pread(into, length, 0), theirs, heard, real)
                os.ftruncate(into, 0)
                os.lseek(into, 0, os.SEEK_SET)
            os.close(real)


def _share(said: bytes, theirs: re.Pattern[str], heard: list[str], real: int) -> None:
    for line in said.splitlines(keepends=True):
        text = line.decode(errors="replace").strip()
        if theirs.match(text):
            heard.append(text)
        else:
            os.write(real, line)


def _file() -> int:
    """This process's own: one that a fork shared would have one position for both."""
    global _into
    if _into is None:
        if hasattr(os, "memfd_create"):
            _into = os.memfd_create("overheard")
        else:
            descriptor, path = tempfile.mkstemp()
            os.unlink(path)  # noqa: PTH108
            _into = descriptor
    return _into


def _forget() -> None:
    global _into, _alone
    _into, _alone = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
