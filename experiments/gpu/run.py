"""Everything that only a GPU can say, in one command and one report.

    python -m experiments.gpu.run [--rehearse] [KEY=VALUE ...]

    minutes=25          of this call; parts come in order of worth, and what is done when they end is kept
    output=runs/gpu     report.md, report.json and pictures; the same call again makes the parts that are not done there
    parts=1,2           these alone, by number or name; all unless said
    carry=FOLDER        CamVid and weights, as experiments/gpu/carry.py lays them out
    work=OUTPUT/work    runs and logs: another folder where few files can be taken away

--rehearse needs no GPU: every part once on a CPU, in small, the kernels in Triton's interpreter.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from experiments.gpu.parts import PARTS, Part
from scaseg.errors import UserError
from scaseg.typed import check_range

if TYPE_CHECKING:
    from experiments.gpu.section import Section

ROOT = Path(__file__).resolve().parents[2]
MARGIN = 2.0  # seconds of the minutes that the report itself has
MINUTES = 25.0
REHEARSED = {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
REHEARSAL_MINUTES = 10.0  # a limit for machines that are busy; on two cores of their own all parts take less than 3


@dataclass(frozen=True)
class Asked:
    """The command line."""

    minutes: float | None = None
    output: Path = Path("runs/gpu")
    carry: Path | None = None
    work: Path | None = None
    parts: str = ""
    rehearse: bool = False

    @property
    def seconds(self) -> float:
        return 60 * (self.minutes or (REHEARSAL_MINUTES if self.rehearse else MINUTES))


def main(arguments: Sequence[str], parts: Sequence[Part] = PARTS) -> int:
    """The exit status: 1 where a part failed, and in a rehearsal where one is not done."""
    start = time.time()
    asked = read(arguments)
    chosen = choose(asked.parts, parts)
    from experiments.gpu.report import Report  # torch, which --help has no need of
    from experiments.gpu.section import DONE, FAILED, SKIPPED, Section

    if asked.carry is not None and not asked.carry.is_dir():
        raise UserError(f"carry={asked.carry} is no folder: python -m experiments.gpu.carry {asked.carry} makes it")
    report = Report.of(asked.output, asked.rehearse)
    report.write(parts)
    end = start + asked.seconds - MARGIN
    for part in chosen:
        if report.state(part.name) == DONE:
            print(f"{part.name}: done before", file=sys.stderr)
            continue
        left = end - time.time()
        if left < (1 if asked.rehearse else part.least):
            why = f"{max(0.0, left):.0f} seconds were left, and it is not begun with less than {part.least:.0f}"
            section = Section(part.name, SKIPPED, notes=[f"Skipped: {why}."])
        else:
            section = made(part, asked, time.time() + min(left, part.limit))
        report.put(section)
        report.write(parts)
    print(report.path)
    states = [report.state(part.name) for part in chosen]
    return int(FAILED in states or (asked.rehearse and states != [DONE] * len(states)))


def read(arguments: Sequence[str]) -> Asked:
    """UserError for what is no key, or no value of it."""
    asked = Asked()
    known = [one.name for one in fields(Asked) if one.name != "rehearse"]
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument == "--rehearse":
            asked = replace(asked, rehearse=True)
        elif not equals or key not in known:
            raise UserError(f"{argument}: give --rehearse or KEY=VALUE, where KEY is one of {', '.join(known)}")
        elif key == "minutes":
            try:
                asked = replace(asked, minutes=float(value))
            except ValueError:
                raise UserError(f"minutes={value}: a number") from None
            check_range(key, asked.minutes, (0.001, 10_000))
        else:
            asked = replace(asked, **{key: value if key == "parts" else Path(value)})
    return asked


def choose(wanted: str, parts: Sequence[Part]) -> list[Part]:
    """By number or name, in order of worth; all where none is named."""
    by = {str(number): part for number, part in enumerate(parts, 1)} | {part.name: part for part in parts}
    names = [name for name in wanted.split(",") if name]
    if unknown := [name for name in names if name not in by]:
        listed = ", ".join(f"{number} {part.name}" for number, part in enumerate(parts, 1))
        raise UserError(f"parts={wanted}: {unknown[0]} is none of {listed}")
    return [part for part in parts if not names or part in [by[name] for name in names]]


def made(part: Part, asked: Asked, deadline: float) -> "Section":
    """The part's section, whatever became of its process."""
    from experiments.gpu.section import FAILED, OUT_OF_TIME, Section, Setting
    from scaseg.progress import stage

    work = (asked.work or asked.output / "work").resolve()
    work.mkdir(parents=True, exist_ok=True)
    path, log = work / f"{part.name}.json", work / f"{part.name}.log"
    path.unlink(missing_ok=True)
    setting = Setting(asked.rehearse, asked.output.resolve(), work, deadline, asked.carry and asked.carry.resolve())
    command = [sys.executable, "-m", "experiments.gpu.part", part.module, str(path), setting.text()]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(REHEARSED if asked.rehearse else {})}
    begun = time.time()
    with stage(f"{part.name}, at most {deadline - begun:.0f} s"), log.open("w", encoding="utf-8") as output:
        status = ended(command, environment, output, deadline)
    section = Section.load(path) if path.is_file() else Section(part.name)
    if status is None:
        section.seconds = time.time() - begun
        section.note(f"Ended after {section.seconds:.0f} s, its limit; what was measured until then is kept.")
        if log.stat().st_size:
            section.notes.append("The last of its output: " + log.read_text(errors="replace").splitlines()[-1])
    elif section.state == OUT_OF_TIME:  # it ended before it could say how
        section.state, section.seconds = FAILED, time.time() - begun
        section.failed(f"ended with status {status}", log.read_text(errors="replace") or "no output")
    return section


def ended(command: list[str], environment: dict[str, str], output: TextIO, deadline: float) -> int | None:
    """The exit status of a process, or None where it, and all that it began, had to be ended at the deadline."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,  # it ends when this process does
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(max(0.0, deadline - time.time()))
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(OSError):  # it may have left others behind
                os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    if {"--help", "-h"} & set(sys.argv):
        print(__doc__)
        sys.exit()
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; the same call goes on with what is not done", file=sys.stderr)
        sys.exit(130)
