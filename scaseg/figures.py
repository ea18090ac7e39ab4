"""python -m scaseg.figures: the paper's figures of trained models on images of their dataset."""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from scaseg.commands import command
from scaseg.config import check_choices, check_ranges, plain
from scaseg.errors import UserError
from scaseg.schema import Hardware, Which


@dataclass
class FiguresConfig:
    """The command's keys."""

    figure: int = MISSING  # 6: maps before and after each block; 7: two runs' maps and predictions; 8: side by side
    a: str | None = None  # a run folder or a checkpoint; as of scaseg.compare
    b: str | None = None
    c: str | None = None
    d: str | None = None
    e: str | None = None
    f: str | None = None
    g: str | None = None
    h: str | None = None
    checkpoint: Which = Which.last
    split: str | None = None  # null: the first run's validation split
    data_dir: str | None = None
    images: list[str] = field(default_factory=list)  # by name; none: 6, 7 the first, 8 those that differ most
    pictures: int = 4  # figure 8: how many
    stage: int = 1  # figure 7: whose map
    output: str = "figure.png"
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Hardware = field(default_factory=Hardware)


ConfigStore.instance().store(name="figures_schema", node=FiguresConfig)


@command("figures")
def main(cfg: DictConfig) -> None:
    """Draw, and print the picture's path."""
    check_choices(cfg)
    check_ranges(cfg)
    if cfg.figure not in (6, 7, 8):
        raise UserError(
            f"figure={cfg.figure}: 6, 7 or 8 (8 to 11 are alike); figure 1 is python -m scaseg.report figure=FILE"
        )
    if cfg.pictures < 1:
        raise UserError(f"pictures={cfg.pictures} must be at least 1")
    if cfg.stage not in (1, 2, 3, 4):
        raise UserError(f"stage={cfg.stage}: 1, 2, 3 or 4")
    from scaseg.compare.figures import figure

    print(figure(plain(cfg)))


if __name__ == "__main__":
    main()
