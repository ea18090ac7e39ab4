"""python -m scaseg.train: train one model, or a sweep of them with --multirun."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from scaseg.commands import command
from scaseg.errors import UserError
from scaseg.runs import store


def refuse_failed(config: dict[str, Any], name: str) -> None:
    """UserError for a sweep's run that failed before; hydra/launcher=local knows this before it starts a job."""
    if HydraConfig.get().mode is not RunMode.MULTIRUN or config["fresh"] or config["retry"] == "failed":
        return
    said = store.read(Path(config["output_dir"]) / name)
    if said["status"] == "failed":
        raise UserError(f"{name} failed before ({said.get('error')}): retry=failed starts it again")


@command("train")
def main(cfg: DictConfig) -> None:
    """Parse, check, and call scaseg.training.run."""
    from scaseg.config import check
    from scaseg.runs.asked import asked

    check(cfg)
    run = asked(cfg)
    refuse_failed(run.config, run.name)
    from scaseg.training.run import train  # takes seconds: after all that may be wrong with what was asked

    train(run)


if __name__ == "__main__":
    main()
