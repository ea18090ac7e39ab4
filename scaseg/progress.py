"""What a long work is at, on standard error: done, failed and time left of what is counted; else a stage's seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 10.0  # seconds
FIRST_LINE = 1.0  # seconds: what takes less says nothing


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Say of what is not counted that it goes on: its seconds as they pass, and at the end how many they were."""
    begun, ended = time.perf_counter(), Event()
    live = sys.stderr.isatty()

    def say(end: str) -> None:
        print(f"{text}: {time.perf_counter() - begun:.0f} s", end=end, file=sys.stderr, flush=True)

    def tell() -> None:
        wait = FIRST_LINE
        while not ended.wait(wait):
            say("\r" if live else "\n")
            wait = FIRST_LINE if live else LINE_EVERY

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if time.perf_counter() - begun >= FIRST_LINE:
            say("\n")


def counting(title: str) -> Callable[[int, int], None]:
    """A report of (done, total) that writes share and time left to standard error, every two seconds."""
    start = last = time.perf_counter()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last > 2 and done:
            last = now
            left = timedelta(seconds=round((now - start) / done * (total - done)))
            end = "\r" if sys.stderr.isatty() else "\n"
            print(f"{title}: {100 * done / total:.0f} %, {left} left", end=end, file=sys.stderr, flush=True)

    return report


class ProgressLine:
    """Use as a context manager; `unit` names what is counted."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.unit = total, unit
        self.done = 0
        self.console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        self._bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self._task = self._bar.add_task(unit, total=total)

    def __enter__(self) -> "ProgressLine":
        self._bar.start()
        self._start = self._last = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """So many more are done, well or not."""
        self.done += count
        self._bar.update(self._task, completed=self.done)
        now = time.perf_counter()
        if not self.console.is_terminal and now - self._last >= LINE_EVERY:
            self._last = now
            left = (now - self._start) / self.done * (self.total - self.done)
            self.say(f"{self.done}/{self.total} {self.unit}, {timedelta(seconds=round(left))} left")

    @contextmanager
    def within(self, name: str, total: int, unit: str) -> Iterator[Callable[[], None]]:
        """Of what is long in itself: a function to call when one of `total` more is done. It has a bar of its own."""
        task = self._bar.add_task(name, total=total)
        begun = last = time.perf_counter()
        done = 0

        def advance() -> None:
            nonlocal done, last
            done += 1
            self._bar.update(task, completed=done)
            now = time.perf_counter()
            if not self.console.is_terminal and now - last >= LINE_EVERY:
                last = now
                left = timedelta(seconds=round((now - begun) / done * (total - done)))
                self.say(f"{name}: {done}/{total} {unit}, {left} left")

        try:
            yield advance
        finally:
            self._bar.remove_task(task)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
