"""python -m scaseg.evaluate: the figures of a checkpoint on one split."""

from omegaconf import DictConfig

from scaseg.commands import command


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Parse and call scaseg.training.evaluate."""
    from scaseg.config import check_choices, check_ranges, plain

    check_choices(cfg)
    check_ranges(cfg)
    from scaseg.training.evaluate import evaluate

    evaluate(plain(cfg))


if __name__ == "__main__":
    main()
