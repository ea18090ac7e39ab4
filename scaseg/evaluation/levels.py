"""The levels that probabilities of yes are told apart by, and the thresholds between them. Imports no torch.

A probability p has one of STEPS levels, floor(STEPS p), and a threshold is one of k / STEPS, 0 < k < STEPS: p reaches
it exactly where its level reaches k.
"""

from collections.abc import Sequence

from scaseg.errors import UserError

STEPS = 256
EVEN = 0.5  # the threshold where nothing tells a better one


def step_of(threshold: float) -> int:
    """The lowest level that reaches it; thresholds are rounded to the nearest k / STEPS."""
    return min(STEPS - 1, max(1, round(threshold * STEPS)))


def thresholds_asked(asked: float | None, found: Sequence[float], task: str) -> tuple[float, ...]:
    """What `threshold=asked` makes of a model's thresholds, to the nearest step; None leaves them as they are.

    Raises UserError for a model of a task without any.
    """
    if asked is None:
        return tuple(found)
    if not found:
        raise UserError(
            f"threshold={asked}: this model is of task={task}, whose label is the class of the highest score; only"
            " task=binary compares with a threshold"
        )
    return (step_of(asked) / STEPS,) * len(found)
