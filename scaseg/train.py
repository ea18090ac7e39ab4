"""python -m scaseg.train: train one model, or a sweep of them with --multirun."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from scaseg import run_store
from scaseg.commands import command
from scaseg.errors import UserError


def refuse_failed(config: dict[str, Any], name: str) -> None:
    """UserError for a sweep's run that failed before; hydra/launcher=local knows this before it starts a job."""
    if HydraConfig.get().mode is not RunMode.MULTIRUN or config["fresh"] or config["retry"] == "failed":
        return
    said = run_store.read(Path(config["output_dir"]) / name)
    if said["status"] == "failed":
        raise UserError(f"{name} failed before ({said.get('error')}): retry=failed starts it again")


@command("train")
def main(cfg: DictConfig) -> None:
    """Parse, check, and call scaseg.training.run."""
    from scaseg.config import check, run_config, run_name
    from scaseg.data.build import build_source
    from scaseg.errors import UserError

    check(cfg)
    config, name = run_config(cfg), run_name(cfg)
    refuse_failed(config, name)
    dataset, data_dir = config["dataset"], config["data_dir"]
    wanted = ("train_split", "val_split") if config["training"]["max_steps"] else ("val_split",)
    sources = {key: build_source(dataset, data_dir, dataset[key]) for key in wanted}
    for key, source in sources.items():
        if not source.labelled:
            raise UserError(f"dataset.{key}={dataset[key]} has no masks: choose another split of {dataset['name']}")
    from scaseg.training.run import train  # takes seconds: after all that may be wrong with what was asked

    train(config, name, sources.get("train_split"), sources["val_split"])


if __name__ == "__main__":
    main()
