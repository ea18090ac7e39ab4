"""python -m scaseg.predict: masks of a file, a folder, a pattern or a video."""

import sys

from scaseg.commands import command
from scaseg.predict.options import PredictConfig


@command("predict", PredictConfig)
def main(cfg: PredictConfig) -> None:
    """Parse, check, and call scaseg.predict.run.predict; exit status 1 where a file failed."""
    from scaseg.trained.inputs import find_inputs

    found = find_inputs(cfg.input, cfg.output)
    from scaseg.predict.run import predict

    if predict(cfg, found).failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
