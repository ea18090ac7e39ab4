"""The constant schedule, with a cooldown where one is asked for (Hägele et al., Scaling laws and compute-optimal
training beyond fixed training durations, NeurIPS 2024).
"""

from scaseg.schedules.schedule import Schedule


class Constant(Schedule):
    """1, and over the last `cooldown` (a share of the steps) linear down to 0."""

    def __init__(self, cooldown: float = 0.0) -> None:
        self.cooldown = cooldown

    def __call__(self, remaining: float) -> float:
        return min(1.0, remaining / self.cooldown) if self.cooldown else 1.0
