"""`hydra/sweeper=optuna`: a search with Optuna; its trials are jobs of the launcher."""

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Options: conf/hydra/sweeper/optuna.yaml."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from scaseg.sweep.search import search  # Hydra imports this module at the start of every command

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        search(self.config, self.hydra_context.config_loader, self.launcher, self.options, arguments)
