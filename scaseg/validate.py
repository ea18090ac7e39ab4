"""python -m scaseg.validate: read an export back as the benchmark's server would."""

from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from scaseg.commands import command
from scaseg.config import plain
from scaseg.progress import counting
from scaseg.schema import DataConfig


@dataclass
class ValidateConfig(DataConfig):
    """What python -m scaseg.validate takes."""

    export: str = MISSING
    split: str = "test"


ConfigStore.instance().store(name="validate_schema", node=ValidateConfig)


@command("validate")
def main(cfg: DictConfig) -> None:
    """Check the files; print their figures where the split has masks."""
    from scaseg.data.build import build_source

    source = build_source(plain(cfg.dataset), cfg.data_dir, cfg.split)
    from scaseg.evaluation.metrics import scores, table
    from scaseg.evaluation.submission import check

    matrix = check(Path(cfg.export), source, counting("reading back"))
    if source.labelled:
        print(table(scores(matrix), source.labels.names))
    print(f"{cfg.export}: {len(source)} predictions, nothing that {cfg.dataset.name} would refuse")


if __name__ == "__main__":
    main()
