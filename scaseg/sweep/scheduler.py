"""Runs the jobs of a sweep, several at a time, until each is done, has failed or was stopped."""

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scaseg.errors import BusyError
from scaseg.runs import store
from scaseg.sweep.jobs import Job
from scaseg.sweep.process import JobProcess

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK = 0.1  # seconds between looks at the processes
LOOK = 1.0  # seconds between looks at runs that other sweeps work on


class Scheduler:
    """program: the command without overrides. slots: environments, one a job at a time. watch: called at each tick.

    A job whose run is done is not started, nor one that failed before, unless it says retry; one that was cut off
    goes on. A run that another process works on is waited for.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        program: Sequence[str],
        slots: Sequence[Mapping[str, str]],
        grace: float,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self.jobs = jobs
        self.program = program
        self.grace = grace
        self.watch = watch
        self.stops = 0
        self._free = list(slots)
        self._waiting = deque(jobs)
        self._running: list[tuple[Job, JobProcess, Mapping[str, str]]] = []
        self._elsewhere: list[Job] = []
        self._looked = 0.0
        self._stopped = 0.0

    def stop(self, *_: Any) -> None:
        """End the running jobs so that they can be resumed; asked twice, at once."""
        self.stops += 1

    def run(self) -> None:
        """Returns when nothing is left to do, or when it was stopped."""
        handlers = {
            number: signal.signal(number, self.stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            while self._running or (not self.stops and (self._waiting or self._elsewhere)):
                self._start_some()
                self._end_some()
                self._look_elsewhere()
                self.watch()
                time.sleep(TICK)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for _, process, _ in self._running:  # an error of the sweep's own
                process.kill()

    def _start_some(self) -> None:
        while self._free and self._waiting and not self.stops:
            job = self._waiting.popleft()
            if self._to_start(job):
                slot = self._free.pop(0)
                process = JobProcess([*self.program, *job.overrides], job.folder, slot)
                self._running.append((job, process, slot))
                job.state = "running"

    def _to_start(self, job: Job) -> bool:
        """Whether a process is to be started for the job; else its state says why not."""
        try:
            if job.fresh and (job.folder / "config.yaml").exists():
                store.set_aside(job.folder)
        except BusyError:
            self._wait_for(job)
            return False
        if job.fresh:
            job.fresh = False
            job.overrides.append("fresh=false")  # the sweep has done it, and the job's log stays where it is
        said = store.read(job.folder)
        if said["status"] == "running" or store.is_held(job.folder):
            self._wait_for(job)
            return False
        if said["status"] == "done":
            job.before = True
            self._read(job, said)
            job.state = "done"
            return False
        if said["status"] == "failed" and not job.retry:
            job.before = True
            job.state, job.error = "failed", said.get("error")
            return False
        job.retry = False  # once in this sweep
        job.folder.mkdir(parents=True, exist_ok=True)
        if said["status"] in ("new", "failed"):
            store.write(job.folder, status="pending", error=None)
        return True

    def _wait_for(self, job: Job) -> None:
        job.state = "elsewhere"
        self._elsewhere.append(job)

    def _look_elsewhere(self) -> None:
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        for job in list(self._elsewhere):
            self._read(job, store.read(job.folder))
            if not store.is_held(job.folder):
                self._elsewhere.remove(job)
                job.state = "waiting"
                self._waiting.appendleft(job)

    def _end_some(self) -> None:
        if self.stops and not self._stopped:
            self._stopped = time.monotonic()
            for _, process, _ in self._running:
                process.stop()
        late = self._stopped and time.monotonic() - self._stopped > self.grace
        for entry in list(self._running):
            job, process, slot = entry
            if self.stops > 1 or late:
                process.kill()
            status = process.ended()
            job.seconds = process.seconds
            said = store.read(job.folder)
            if status is None:
                self._read(job, said)
                continue
            self._running.remove(entry)
            self._free.append(slot)
            self._conclude(job, process, status, said)

    def _conclude(self, job: Job, process: JobProcess, status: int, said: store.Status) -> None:
        self._read(job, said)
        if said["status"] == "done":
            job.state = "done"
        elif status == BusyError.exit_status:
            self._wait_for(job)
        elif self.stops:
            job.state, job.error = "cut off", "stopped"
            store.write(job.folder, status="pending", error=None)
        elif said["status"] == "failed":
            job.state, job.error = "failed", said.get("error")
        elif status in (-signal.SIGTERM, -signal.SIGKILL, -signal.SIGINT, 128 + signal.SIGTERM):
            number = signal.Signals(-status if status < 0 else status - 128)
            job.state, job.error = "cut off", f"ended by {number.name} at step {job.step}"
            store.write(job.folder, status="pending", error=job.error)
        else:
            what = f"{signal.Signals(-status).name}: " if status < 0 else ""
            job.state, job.error = "failed", f"{what}{process.last_words()}"
            store.write(job.folder, status="failed", error=job.error)

    def _read(self, job: Job, said: store.Status) -> None:
        job.step = said.get("step") or 0
        job.first_step = said.get("first_step") or 0
        job.best = said.get("best_mIoU")
        if said["status"] == "done":
            job.step = job.max_steps
            job.miou, job.best = store.scores(job.folder)
