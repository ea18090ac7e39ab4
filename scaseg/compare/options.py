"""What python -m scaseg.compare and scaseg.figures take. Imports nothing heavy."""

from dataclasses import dataclass, field

from scaseg.errors import UserError
from scaseg.schema import Device, Which
from scaseg.typed import REQUIRED, Checked, number

LETTERS = tuple("abcdefgh")  # what results and pages call the models


@dataclass
class Models(Checked):
    """The keys that both share; ckpt: each a run's folder, a checkpoint, or a glob of repetitions with other seeds."""

    ckpt: list[str] = REQUIRED
    checkpoint: Which = Which.last
    split: str | None = None  # null: the first run's validation split
    data_dir: str | None = None
    images: list[str] = field(default_factory=list)  # by name; none: those on which the models differ most
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Device = field(default_factory=Device)

    @property
    def asked(self) -> dict[str, str]:
        """What each letter stands for; UserError where there are more models than letters."""
        if len(self.ckpt) > len(LETTERS):
            raise UserError(f"ckpt has {len(self.ckpt)} models: at most {len(LETTERS)} at once")
        return dict(zip(LETTERS, self.ckpt, strict=False))


@dataclass
class CompareConfig(Models):
    """The command's keys."""

    boundary_widths: list[float] = field(default_factory=lambda: [0.005, 0.01, 0.02])  # shares of the diagonal
    trimap_widths: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16])  # pixels
    object_sizes: list[int] = field(default_factory=lambda: [1024, 9216])  # pixels; COCO's 32 x 32 and 96 x 96
    calibration_bins: int = number(15, 1)
    level: float = 0.95  # of the intervals
    groups: str | None = None  # regular expression: images in whose names it finds the same depend on each other
    pictures: int = number(6, 0)  # images on which the models differ most
    output: str | None = None  # a folder; null: under comparisons

    def check(self) -> None:
        if len(self.ckpt) < 2:
            raise UserError(
                "give at least two models: ckpt=[RUN,RUN], each a run's folder, a checkpoint, or a glob of repetitions"
            )
        if not 0 < self.level < 1:
            raise UserError(f"level={self.level}: between 0 and 1, such as 0.95")
        if any(not 0 < width < 1 for width in self.boundary_widths):
            raise UserError(f"boundary_widths={self.boundary_widths}: shares of the image's diagonal, between 0 and 1")
        if any(width < 1 for width in self.trimap_widths):
            raise UserError(f"trimap_widths={self.trimap_widths}: pixels, at least 1")
        if self.object_sizes != sorted(set(self.object_sizes)):
            raise UserError(f"object_sizes={self.object_sizes}: areas in pixels, the smallest first")


@dataclass
class FiguresConfig(Models):
    """The command's keys."""

    figure: int = REQUIRED  # 6: maps before and after each block; 7: two runs' maps and predictions; 8: side by side
    pictures: int = number(4, 1)  # figure 8: how many
    stage: int = 1  # figure 7: whose map
    output: str = "figure.png"

    def check(self) -> None:
        if self.figure not in FEWEST:
            raise UserError(
                f"figure={self.figure}: 6, 7 or 8 (8 to 11 are alike); figure 1 is python -m scaseg.report figure=FILE"
            )
        if self.stage not in (1, 2, 3, 4):
            raise UserError(f"stage={self.stage}: 1, 2, 3 or 4")
        if len(self.ckpt) < FEWEST[self.figure]:
            needed = "one model: ckpt=[RUN]" if self.figure == 6 else "two models: ckpt=[RUN,RUN]"
            raise UserError(f"figure={self.figure} needs {needed}")


FEWEST = {6: 1, 7: 2, 8: 2}  # models of a figure
