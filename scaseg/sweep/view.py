"""What a sweep says while it runs: a live table in a terminal, lines elsewhere; and its summary."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from statistics import fmean

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scaseg.sweep.jobs import Job
from scaseg.sweep.process import LOG

LINE_EVERY = 30.0  # seconds between lines on how far it is, where there is no terminal
COLOURS = {"running": "cyan", "elsewhere": "blue", "done": "green", "failed": "red", "cut off": "yellow"}


class View:
    """On standard error. slots: how many jobs run at a time, for the time that is left."""

    def __init__(self, name: str, jobs: Sequence[Job], slots: int, console: Console | None = None) -> None:
        self.name = name
        self.jobs = jobs
        self.slots = slots
        self.console = console or Console(stderr=True)
        self._start = self._line = self._drawn = time.monotonic()
        self._said = dict.fromkeys((job.folder for job in jobs), "waiting")
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None

    def __enter__(self) -> "View":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self.table(), refresh=True)
            self._live.stop()

    def update(self) -> None:
        """Draw, or say what has changed."""
        now = time.monotonic()
        if self._live is not None:
            if now - self._drawn > 0.5:
                self._drawn = now
                self._live.update(self.table(), refresh=True)
            return
        for job in self.jobs:
            if self._said[job.folder] != job.state:
                self._said[job.folder] = job.state
                self._say(f"{job.state}: {job.label}  {outcome(job)}".rstrip())
        if now - self._line > LINE_EVERY:
            self._say(self.headline())

    def headline(self) -> str:
        """`table5-1a2b3c: 12 jobs, 5 done, 2 running, 4 waiting, 1 failed; 0:03:12 left`."""
        count = Counter(job.state for job in self.jobs)
        states = ", ".join(f"{number} {state}" for state in (*COLOURS, "waiting") if (number := count[state]))
        left = time_left(self.jobs, self.slots)
        passed = str(timedelta(seconds=round(time.monotonic() - self._start)))
        ahead = "" if left is None else f", about {timedelta(seconds=round(left))} left"
        return f"{self.name}: {len(self.jobs)} jobs, {states}; {passed} passed{ahead}"

    def table(self) -> Group:
        """The headline and a row for each job; what waits is cut where the terminal is too low."""
        order = ("running", "elsewhere", "failed", "cut off", "done", "waiting")
        jobs = sorted(self.jobs, key=lambda job: order.index(job.state))
        room = max(3, self.console.height - 4)
        table = Table(box=None, pad_edge=False, show_header=False)
        for job in jobs[:room]:
            bar = ProgressBar(total=job.max_steps, completed=job.step, width=16)
            state = Text(job.state, style=COLOURS.get(job.state, "dim"))
            table.add_row(state, bar, f"{job.step}/{job.max_steps}", Text(outcome(job)), Text(job.label, "dim"))
        more = [Text(f"and {len(jobs) - room} more", "dim")] if len(jobs) > room else []
        return Group(Text(self.headline(), "bold"), table, *more)

    def _say(self, text: str) -> None:
        self._line = time.monotonic()
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def outcome(job: Job) -> str:
    """The figures of a job, or its error."""
    if job.state == "done" and job.miou is not None:
        return f"mIoU {job.miou:.2f}, best {job.best:.2f}{' (done before)' if job.before else ''}"
    if job.error is not None:
        return f"{job.error.splitlines()[0]}{' (before; retry=failed starts it again)' if job.before else ''}"
    return "" if job.best is None else f"best mIoU {job.best:.2f}"


def time_left(jobs: Sequence[Job], slots: int) -> float | None:
    """Seconds, by the pace of this sweep's own jobs; None before they have one."""
    paces = [job.seconds / (job.step - job.first_step) for job in jobs if job.seconds and job.step > job.first_step]
    if not paces:
        return None
    left = [job.max_steps - job.step for job in jobs if job.state in ("waiting", "running", "elsewhere")]
    return fmean(paces) * max(sum(left) / slots, max(left, default=0))


def summary(name: str, jobs: Sequence[Job], seconds: float) -> str:
    """How many are done, and each that is not, with its error and its log."""
    count = Counter(job.state for job in jobs)
    before = sum(job.before for job in jobs if job.state == "done")
    lines = [
        f"{name}: {count['done']} of {len(jobs)} jobs done"
        + (f" ({before} of them before)" if before else "")
        + f" in {timedelta(seconds=round(seconds))}"
    ]
    for job in jobs:
        if job.state in ("failed", "cut off"):
            lines += [f"{job.state}: {job.label}", f"  {outcome(job)}", f"  {job.folder / LOG}"]
    if rest := count["waiting"] + count["elsewhere"]:
        lines.append(f"not started: {rest}")
    if count["cut off"] or rest:
        lines.append("the same command goes on with what was not done")
    if count["failed"]:
        lines.append("retry=failed starts what failed again")
    return "\n".join(lines)
