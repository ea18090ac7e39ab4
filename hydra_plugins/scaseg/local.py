"""`hydra/launcher=local`: each job of a sweep is a process of its own. Hydra finds launchers in this package only."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """Options: conf/hydra/launcher/local.yaml. Returns each job's mIoU, for sweepers that search."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.task_function = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from scaseg.sweep.launch import launch  # Hydra imports this module at the start of every command

        loader = self.hydra_context.config_loader
        return launch(self.config, loader, self.task_function, self.options, job_overrides)
