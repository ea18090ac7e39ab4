"""What `hydra/launcher=local` does: plan the jobs, run them, say how they ended."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from scaseg.errors import UserError
from scaseg.runs import store
from scaseg.sweep.jobs import Job, command, plan
from scaseg.sweep.resources import slots
from scaseg.sweep.scheduler import Scheduler
from scaseg.sweep.view import View, summary


class NotDone(JobReturn):
    """A job's result that ends the program with status 1 when it is read: the summary has said all there is."""

    @property
    def return_value(self) -> Any:
        raise SystemExit(1)

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


def launch(
    config: DictConfig,
    loader: ConfigLoader,
    task_function: Callable[..., Any],
    options: Mapping[str, Any],
    overrides: Sequence[Sequence[str]],
) -> list[JobReturn]:
    """One result a list of overrides: the run's mIoU, or a failure with which Hydra's sweeper ends the program.

    Does not return where the sweep was stopped or asked for something impossible.
    """
    try:
        sweep = plan(config, loader, overrides)
        environments = slots(
            options["max_parallel"],
            len(sweep.jobs),
            max(job.devices for job in sweep.jobs),
            config.hardware.accelerator,
        )
        for job in sweep.jobs:
            _make_pending(job, sweep.name)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    start = time.monotonic()
    with View(sweep.name, sweep.jobs, len(environments)) as view:
        program = command(config, task_function)
        scheduler = Scheduler(sweep.jobs, program, environments, float(options["grace_s"]), view.update)
        scheduler.run()
    print(summary(sweep.name, sweep.jobs, time.monotonic() - start), file=sys.stderr)
    if scheduler.stops:
        sys.exit(130)
    return [_result(sweep.jobs[index], mine) for index, mine in zip(sweep.indices, overrides, strict=True)]


def _make_pending(job: Job, sweep: str) -> None:
    new = store.read(job.folder)["status"] == "new"
    store.make_folder(job.folder)
    if new:
        store.write(job.folder, status="pending", label=job.label, sweep=sweep)


def _result(job: Job, overrides: Sequence[str]) -> JobReturn:
    result = (JobReturn if job.state == "done" else NotDone)(overrides=list(overrides), working_dir=str(Path.cwd()))
    result.status = JobStatus.COMPLETED if job.state == "done" else JobStatus.FAILED
    result._return_value = job.miou
    return result
