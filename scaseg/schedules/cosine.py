"""The cosine schedule (Loshchilov and Hutter, SGDR, ICLR 2017, without restarts)."""

from math import cos, pi

from scaseg.schedules.schedule import Schedule


class Cosine(Schedule):
    """floor + (1 - floor) (1 + cos(pi progress)) / 2."""

    def __init__(self, floor: float = 0.0) -> None:
        self.floor = floor

    def __call__(self, remaining: float) -> float:
        return self.floor + (1 - self.floor) * (1 - cos(pi * remaining)) / 2
