"""The jobs of a sweep: what each is called, where its run is, and the command that starts it."""

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from scaseg.config import run_config
from scaseg.config_errors import ERRORS, explained, keys_of
from scaseg.errors import UserError
from scaseg.runs.asked import name_of
from scaseg.runs.records import take
from scaseg.schema import check_trainable


@dataclass
class Job:
    """One run of a sweep. label: what tells it from the others; state: waiting, running, elsewhere, done, failed,
    cut off; error: why it is not done; miou: of its last step, best: of its best so far, both in percent.
    """

    label: str
    folder: Path
    overrides: list[str]
    devices: int
    fresh: bool
    retry: bool
    max_steps: int
    records: str | None = None
    state: str = "waiting"
    step: int = 0
    first_step: int = 0
    seconds: float = 0.0
    miou: float | None = None
    best: float | None = None
    error: str | None = None
    before: bool = field(default=False)  # it was done, or had failed, before this sweep started


@dataclass
class Plan:
    """A sweep: its name (the same for the same jobs) and its jobs; `indices[i]` is the job of the i-th overrides."""

    name: str
    jobs: list[Job]
    indices: list[int]


def plan(config: DictConfig, loader: ConfigLoader, overrides: Sequence[Sequence[str]]) -> Plan:
    """Compose and check every job before the first starts; jobs with one run folder are one job.

    config: the sweep's own. overrides: of each job, as its command line has them. Raises UserError naming the job.
    """
    jobs: dict[Path, Job] = {}
    tags: dict[Path, list[str]] = {}
    indices: list[int] = []
    known: dict[str, dict[str, str]] = {}
    for varied, mine in zip(_varied(config, overrides), overrides, strict=True):
        label = " ".join(varied or mine) or "(no overrides)"
        try:
            cfg = loader.load_sweep_config(config, list(mine))
            if missing := {key for key in OmegaConf.missing_keys(cfg) if not key.startswith("hydra")}:
                raise UserError(f"{', '.join(sorted(missing))} must be given")
            run = run_config(cfg)
            check_trainable(run)
            name = name_of(run, known)
        except (UserError, *ERRORS) as error:
            said = error if isinstance(error, UserError) else explained(error, keys_of(config))
            raise UserError(f"the job {label}: {said} (no job was started)") from error
        if run.hardware.num_nodes > 1:
            raise UserError("hydra/launcher=local is for one machine: hardware.num_nodes needs hydra/launcher=slurm")
        folder = Path(run.output_dir) / name
        if folder not in jobs:
            tags[folder] = varied
            jobs[folder] = Job(
                label,
                folder,
                list(mine),
                devices=run.hardware.devices,
                fresh=run.fresh,
                retry=run.retry == "failed",
                records=run.records,
                max_steps=run.training.max_steps,
            )
        indices.append(list(jobs).index(folder))
    name = _name(config, list(jobs))
    for job in jobs.values():
        if not job.fresh:
            take(job.folder.name, job.folder, job.records)
        job.overrides += _for_logger(config, name, tags[job.folder])
    return Plan(name, list(jobs.values()), indices)


def command(config: DictConfig, task_function: Callable[..., Any]) -> list[str]:
    """What starts the program that this process is, without its overrides."""
    module = task_function.__module__
    main = sys.modules["__main__"]
    if module == "__main__" and main.__spec__ is None:
        program = [sys.executable, str(Path(sys.argv[0]).resolve())]
    else:
        program = [sys.executable, "-m", main.__spec__.name if module == "__main__" and main.__spec__ else module]
    for source in config.hydra.runtime.config_sources:
        if source.provider == "command-line":
            program += ["--config-dir", source.path]
    # of hydra's own keys the only one that a job's composition needs: its overrides have none of them
    program += [text for text in config.hydra.overrides.hydra if text.startswith("hydra.searchpath=")]
    return [*program, "--config-name", config.hydra.job.config_name]


def _varied(config: DictConfig, overrides: Sequence[Sequence[str]]) -> list[list[str]]:
    """Of each job the overrides that not all jobs have; of a single one those that the command line has not."""
    everywhere = set(overrides[0]).intersection(*overrides)
    if len(overrides) == 1:
        everywhere = set(config.hydra.overrides.task)
    return [[text for text in mine if text not in everywhere] for mine in overrides]


def _name(config: DictConfig, folders: Sequence[Path]) -> str:
    choice = OmegaConf.select(config, "hydra.runtime.choices.experiment")
    digest = hashlib.sha256("\n".join(sorted(folder.name for folder in folders)).encode()).hexdigest()
    return f"{choice or 'sweep'}-{digest[:6]}"


def _for_logger(config: DictConfig, name: str, varied: Sequence[str]) -> list[str]:
    """Group and tags of a job for loggers that have them, where none are given; no part of a run's identity."""
    tags = ",".join(f"'{text[:64]}'" for text in varied if "'" not in text)
    told = {"group": f"'{name}'", "tags": f"[{tags}]"}
    return [
        f"logger.{logger}.{key}={value}"
        for logger, options in config.logger.items()
        for key, value in told.items()
        if options and key in options and not options[key]
    ]
