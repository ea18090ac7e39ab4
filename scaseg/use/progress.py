"""Done, failed and time left on standard error: a live bar in a terminal, a line now and then elsewhere."""

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 10.0  # seconds


class ProgressLine:
    """Use as a context manager; `unit` names what is counted."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.unit = total, unit
        self.done = 0
        self.console = Console(stderr=True)
        columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left"))
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

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
