"""python -m scaseg.train: train one model, or a sweep of them with --multirun."""

from omegaconf import DictConfig

from scaseg.commands import command


@command("train")
def main(cfg: DictConfig) -> None:
    """Parse, check, and call scaseg.training.run."""
    from scaseg.config import check, run_config, run_name
    from scaseg.data.build import build_source
    from scaseg.errors import UserError

    check(cfg)
    config, name = run_config(cfg), run_name(cfg)
    dataset, data_dir = config["dataset"], config["data_dir"]
    train_source = build_source(dataset, data_dir, dataset["train_split"])
    val_source = build_source(dataset, data_dir, dataset["val_split"])
    for key, source in (("train_split", train_source), ("val_split", val_source)):
        if not source.labelled:
            raise UserError(f"dataset.{key}={dataset[key]} has no masks: choose another split of {dataset['name']}")
    from scaseg.training.run import train  # takes seconds: after all that may be wrong with what was asked

    train(config, name, train_source, val_source)


if __name__ == "__main__":
    main()
