"""python -m scaseg.rank: of a trained SCASeg the query/key channels that each head needs, as an ordinary checkpoint."""

from scaseg.commands import command
from scaseg.rank.options import RankConfig


@command("rank", RankConfig)
def main(cfg: RankConfig) -> None:
    """Parse, check, and call scaseg.rank.run.rank."""
    from scaseg.trained.inputs import find_inputs

    images = [one.path for one in find_inputs(cfg.calibration).inputs if not one.is_video]
    from scaseg.rank.run import rank

    rank(cfg, images[:: max(1, len(images) // cfg.calibration_images)][: cfg.calibration_images])


if __name__ == "__main__":
    main()
