"""What a schedule is: a class of one file here, and one YAML in conf/schedule. The warm-up is common to all."""

from abc import ABC, abstractmethod
from collections.abc import Callable


class Schedule(ABC):
    """The factor on the learning rates after the warm-up. Its arguments are what its YAML has."""

    @abstractmethod
    def __call__(self, remaining: float) -> float:
        """The factor where this share of the steps after the warm-up remains: 1 at its end, 0 after the last step."""


def warmed_up(schedule: Schedule, max_steps: int, warmup_steps: int, warmup_ratio: float) -> Callable[[int], float]:
    """The factor at each step: linear from `warmup_ratio` to 1, then the schedule's."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return warmup_ratio + (1 - warmup_ratio) * step / warmup_steps
        return schedule(max(0.0, (max_steps - step) / max(1, max_steps - warmup_steps)))

    return factor
