"""python -m scaseg.validate: read a submission back as the benchmark's server would."""

from dataclasses import dataclass
from pathlib import Path

from scaseg.commands import command
from scaseg.config import DataConfig
from scaseg.progress import counting
from scaseg.typed import REQUIRED


@dataclass
class ValidateConfig(DataConfig):
    """What python -m scaseg.validate takes."""

    submission: str = REQUIRED
    split: str = "test"


@command("validate", ValidateConfig)
def main(cfg: ValidateConfig) -> None:
    """Check the files; print their figures where the split has masks."""
    from scaseg.data.build import build_source

    source = build_source(cfg.part, cfg.data_dir, cfg.split)
    from scaseg.evaluation.metrics import scores, table
    from scaseg.evaluation.submission import check

    matrix = check(Path(cfg.submission), source, counting("reading back"))
    if source.labelled:
        print(table(scores(matrix), source.labels.names))
    print(f"{cfg.submission}: {len(source)} predictions, nothing that {cfg.part.name} would refuse")


if __name__ == "__main__":
    main()
