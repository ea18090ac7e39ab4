"""python -m scaseg.compare: two or more checkpoints on one split, image by image."""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from scaseg.commands import command
from scaseg.config import check_choices, check_ranges, plain
from scaseg.errors import UserError
from scaseg.schema import Hardware, Which


@dataclass
class CompareConfig:
    """The command's keys; a to h are run folders, checkpoints, or globs of repetitions with other seeds."""

    a: str | None = None
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
    boundary_widths: list[float] = field(default_factory=lambda: [0.005, 0.01, 0.02])  # shares of the diagonal
    trimap_widths: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16])  # pixels
    object_sizes: list[int] = field(default_factory=lambda: [1024, 9216])  # pixels; COCO's 32 x 32 and 96 x 96
    calibration_bins: int = 15
    resamples: int = 2000
    level: float = 0.95
    seed: int = 0  # of the resamples
    pictures: int = 6  # images on which the models differ most
    images: list[str] = field(default_factory=list)  # these in their place, by name
    output: str | None = None  # a folder; null: under comparisons
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Hardware = field(default_factory=Hardware)


ConfigStore.instance().store(name="compare_schema", node=CompareConfig)


def check(cfg: DictConfig) -> None:
    """Raise UserError for values that are well typed and make no sense."""
    check_choices(cfg)
    check_ranges(cfg)
    for key, least in (("calibration_bins", 1), ("resamples", 100), ("pictures", 0)):
        if cfg[key] < least:
            raise UserError(f"{key}={cfg[key]} must be at least {least}")
    if not 0 < cfg.level < 1:
        raise UserError(f"level={cfg.level}: between 0 and 1, such as 0.95")
    if any(not 0 < width < 1 for width in cfg.boundary_widths):
        raise UserError(f"boundary_widths={cfg.boundary_widths}: shares of the image's diagonal, between 0 and 1")
    if any(width < 1 for width in cfg.trimap_widths):
        raise UserError(f"trimap_widths={cfg.trimap_widths}: pixels, at least 1")
    if list(cfg.object_sizes) != sorted(set(cfg.object_sizes)):
        raise UserError(f"object_sizes={cfg.object_sizes}: areas in pixels, the smallest first")


@command("compare")
def main(cfg: DictConfig) -> None:
    """Print the tables and where the page is."""
    check(cfg)
    from scaseg.compare.page import text
    from scaseg.compare.run import compare

    result = compare(plain(cfg))
    print(text(result))
    print(f"page: {result['folder']}/index.html")


if __name__ == "__main__":
    main()
