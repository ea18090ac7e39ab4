"""The parts in order of worth: of half an hour on a GPU the first minutes buy most."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A module with `run(setting, section)`. limit: the most seconds it may take; with less than `least` left it is
    not begun.
    """

    module: str
    title: str
    limit: float
    least: float = 20.0

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]


PARTS = (
    Part(f"{__name__}.kernels", "The kernels against float64", 240),
    Part(f"{__name__}.strip", "Strip attention beside the plain form, SDPA and pykeops", 240),
    Part(f"{__name__}.models", "Forward pass and training step beside public models", 420, 60),
    Part(f"{__name__}.frames", "Frames a second of Tables V and VII", 180),
    Part(f"{__name__}.training", "Training in half precision, accumulation, average, resume, two processes", 420, 90),
    Part(f"{__name__}.loader", "Waiting for data", 240, 40),
    Part(f"{__name__}.camvid", "CamVid from ImageNet weights, the full budget", 900, 120),
    Part(f"{__name__}.table5", "Table V on CamVid, three seeds", 7200, 120),
)
