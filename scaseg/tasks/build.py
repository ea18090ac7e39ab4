"""The task that a configuration names, for a table of classes."""

from collections.abc import Sequence

from scaseg.errors import UserError
from scaseg.schema import SEMANTIC
from scaseg.tasks.binary import Binary
from scaseg.tasks.semantic import Semantic
from scaseg.tasks.task import Task


def build_task(name: str, classes: Sequence[str]) -> Task:
    """Of `task=name`; UserError where these classes, by their names, do not fit it."""
    if name == SEMANTIC:
        return Semantic(len(classes))
    if len(classes) != 2:
        raise UserError(
            f"task=binary tells a foreground from a background, and the dataset has {len(classes)} classes"
            f" ({', '.join(classes)}): merge them into two, as in classes.yaml {{name: ..., ids: [...]}}, or"
            " task=semantic"
        )
    return Binary(len(classes))
