"""python -m scaseg.evaluate: the figures of a checkpoint on one split."""

from scaseg.commands import command
from scaseg.schema import EvaluateConfig


@command("evaluate", EvaluateConfig)
def main(cfg: EvaluateConfig) -> None:
    """Parse and call scaseg.training.evaluate."""
    from scaseg.training.evaluate import evaluate

    evaluate(cfg)


if __name__ == "__main__":
    main()
