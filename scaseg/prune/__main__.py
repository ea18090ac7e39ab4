"""python -m scaseg.prune: of a trained model the channels that are worth their cost, as an ordinary checkpoint."""

from scaseg.commands import command
from scaseg.prune.options import PruneConfig


@command("prune", PruneConfig)
def main(cfg: PruneConfig) -> None:
    """Parse, and call scaseg.prune.run.prune."""
    from scaseg.prune.run import prune

    prune(cfg)


if __name__ == "__main__":
    main()
