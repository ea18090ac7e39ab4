"""python -m scaseg.evaluate: the figures of a checkpoint on one split."""

from scaseg.commands import command
from scaseg.schema import EvaluateConfig


@command("evaluate", EvaluateConfig)
def main(cfg: EvaluateConfig) -> None:
    """Parse and call scaseg.training.evaluate, or with key_ratios scaseg.training.key_ratios."""
    if cfg.key_ratios:
        from scaseg.training.key_ratios import compare

        compare(cfg)
        return
    from scaseg.training.evaluate import evaluate

    evaluate(cfg)


if __name__ == "__main__":
    main()
