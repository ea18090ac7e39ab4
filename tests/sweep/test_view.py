"""What a sweep shows of itself, in a terminal and elsewhere, and how it foresees its end."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from scaseg.sweep.jobs import Job
from scaseg.sweep.view import View, summary, time_left


def job(label: str, state: str, step: int = 0, **fields: object) -> Job:
    made = Job(label, Path("runs") / label, [], devices=1, fresh=False, retry=False, max_steps=100)
    made.state, made.step = state, step
    for name, value in fields.items():
        setattr(made, name, value)
    return made


JOBS = [
    job("seed=0", "done", 100, miou=41.5, best=42.0, seconds=50.0),
    job("seed=1", "running", 60, best=38.25, seconds=30.0),
    job("seed=2", "failed", 20, error="ValueError: broken\nmore"),
    job("seed=3", "waiting"),
]


def test_time_left_follows_from_the_pace_and_the_jobs_at_a_time() -> None:
    assert time_left([job("a", "waiting")], 1) is None
    assert time_left(JOBS, 1) == pytest.approx(0.5 * 140)
    assert time_left(JOBS, 2) == pytest.approx(0.5 * 100)  # the last job alone takes that long
    resumed = job("a", "running", 60, first_step=50, seconds=10.0)
    assert time_left([resumed], 1) == pytest.approx(40)


def test_a_terminal_shows_all_jobs_and_cuts_what_waits() -> None:
    text = io.StringIO()
    jobs = [*JOBS, *(job(f"seed={i}", "waiting") for i in range(4, 60))]
    console = Console(file=text, force_terminal=True, width=100, height=12, color_system=None)
    with View("table5-ab", jobs, 1, console):
        pass
    shown = text.getvalue()
    for said in ("60 jobs, 1 running, 1 done, 1 failed, 57 waiting", "60/100", "best mIoU 38.25", "and 52 more"):
        assert said in shown
    assert "ValueError: broken" in shown
    assert shown.index("seed=1") < shown.index("seed=2") < shown.index("seed=0")


def test_elsewhere_each_change_is_a_line() -> None:
    text = io.StringIO()
    running = job("[a]", "waiting")  # no markup
    view = View("s", [running], 1, Console(file=text, width=200))
    for state in ("waiting", "running", "running", "failed"):
        running.state, running.error = state, "no [b]" if state == "failed" else None
        view.update()
    assert text.getvalue() == "running: [a]\nfailed: [a]  no [b]\n"


def test_the_summary_names_each_failure() -> None:
    said = summary("s", JOBS, 61)
    assert said.startswith("s: 1 of 4 jobs done in 0:01:01\n")
    assert "failed: seed=2\n  ValueError: broken\n  runs/seed=2/job.log\n" in said
    assert "not started: 1" in said
