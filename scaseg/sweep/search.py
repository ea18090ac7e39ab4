"""A search for the best mIoU: Optuna proposes, the launcher trains, the run store remembers."""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from scaseg.errors import UserError
from scaseg.files import replacing
from scaseg.runs import store

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


def search(
    config: DictConfig, loader: ConfigLoader, launcher: Launcher, options: Mapping[str, Any], arguments: Sequence[str]
) -> None:
    """Run trials until there are options["trials"] of them, finished or failed.

    A trial that was cut off keeps its values, and its run goes on. Exits with a message for what the user can put
    right, and with status 1 where no trial finished.
    """
    try:
        _search(config, loader, launcher, options, arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


def _search(
    config: DictConfig, loader: ConfigLoader, launcher: Launcher, options: Mapping[str, Any], arguments: Sequence[str]
) -> None:
    try:
        import optuna
    except ImportError as error:
        raise UserError("hydra/sweeper=optuna needs Optuna: pip install 'scaseg[search]'") from error
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    params = [f"{key}={value}" for key, value in options["params"].items()]
    given = OverridesParser.create(config_loader=loader).parse_overrides([*params, *arguments])
    overrides = {override.get_key_element(): override for override in given}  # the later one wins
    space = {key: _distribution(one) for key, one in overrides.items() if one.is_sweep_override()}
    fixed = [str(one.input_line) for one in overrides.values() if not one.is_sweep_override()]
    for logger, values in config.logger.items():
        if values and "group" in values and values.group is None:
            fixed.append(f"logger.{logger}.group={options['study']}")
    if not space:
        raise UserError("nothing to search: give some key=interval(low,high) or key=choice(a,b)")
    folder = Path(config.hydra.sweep.dir) / f"{options['study']}.optuna"
    folder.mkdir(parents=True, exist_ok=True)
    with store.held(folder):
        storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
        study = optuna.create_study(
            storage=storage, study_name=options["study"], direction="maximize", load_if_exists=True
        )
        _check_same(study, fixed, space, folder)
        parallel = options["parallel"] or config.hydra.launcher.get("max_parallel") or 1
        while batch := _next(study, space, options, parallel):
            launched = [[*fixed, *(f"{key}={value}" for key, value in values.items())] for _, values in batch]
            results = launcher.launch(launched, initial_job_idx=len(study.trials) - len(batch))
            for (number, _), result in zip(batch, results, strict=True):
                if result.status is JobStatus.COMPLETED:
                    study.tell(number, float(result.return_value))
                else:
                    study.tell(number, state=optuna.trial.TrialState.FAIL)
            _write(study, folder / "trials.csv")
    _say(study, folder)


def _next(
    study: "optuna.Study", space: Mapping[str, "BaseDistribution"], options: Mapping[str, Any], parallel: int
) -> Sequence[tuple[int, Mapping[str, Any]]]:
    """Number and values of the next trials; first those that an earlier process left unfinished."""
    import optuna

    left = []
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        if trial.params.keys() == space.keys():
            left.append((trial.number, dict(trial.params)))
        else:  # cut off while its values were drawn
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    if left:
        return left[:parallel]
    count = min(parallel, options["trials"] - len(study.trials))
    asked = []
    for _ in range(count):
        # a sampler of its own for each trial: the same draws, wherever the search was cut off before
        study.sampler = optuna.samplers.TPESampler(seed=options["seed"] + len(study.trials), constant_liar=True)
        new = study.ask(dict(space))
        asked.append((new.number, dict(new.params)))
    return asked


def _distribution(override: Override) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if not isinstance(value, IntervalSweep):
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    low, high, log = value.start, value.end, "log" in value.tags
    if low is None or high is None or not low < high or (log and low <= 0):
        raise UserError(f"{override.input_line}: the lower end first, and above 0 where it is tagged log")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _check_same(study: "optuna.Study", fixed: list[str], space: Mapping[str, "BaseDistribution"], folder: Path) -> None:
    """A study holds trials of one question."""
    question = {"fixed": sorted(fixed), "space": {key: repr(space[key]) for key in sorted(space)}}
    before = study.user_attrs.get("question", question)
    if before != question:
        raise UserError(
            f"{folder} holds trials of another search ({before}): name this one with hydra.sweeper.study=NAME"
        )
    study.set_user_attr("question", question)


def _write(study: "optuna.Study", path: Path) -> None:
    keys = list(dict.fromkeys(key for trial in study.trials for key in trial.params))
    with replacing(path, durable=False) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "state", "mIoU", *keys])
        for trial in study.trials:
            value = "" if trial.value is None else f"{trial.value:.4f}"
            writer.writerow([trial.number, trial.state.name.lower(), value, *(trial.params.get(key) for key in keys)])


def _say(study: "optuna.Study", folder: Path) -> None:
    finished = [trial for trial in study.trials if trial.value is not None]
    print(f"{len(finished)} of {len(study.trials)} trials finished: {folder / 'trials.csv'}")
    if not finished:
        sys.exit(1)
    values = " ".join(f"{key}={value}" for key, value in study.best_params.items())
    print(f"best mIoU {study.best_value:.2f}, trial {study.best_trial.number}: {values}")
