"""The polynomial schedule of segmentation codes since DeepLab (Liu et al., ParseNet, 2015)."""

from scaseg.schedules.schedule import Schedule


class Poly(Schedule):
    """(1 - progress)^power."""

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

    def __call__(self, remaining: float) -> float:
        return float(remaining**self.power)
