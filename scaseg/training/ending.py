"""What may end a training before its last step: callbacks that were asked for, and a limit of time."""

from collections.abc import Mapping, Sequence

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Timer

from scaseg.errors import UserError
from scaseg.named import CALLBACKS, built
from scaseg.parts import CallbackPart


def build_callbacks(chosen: Mapping[str, CallbackPart], max_time: str | None, columns: Sequence[str]) -> list[Callback]:
    """Of Lightning, in the order in which they are given; they stand before the run's own, which save their states.

    columns: of metrics.csv. Raises UserError where a callback monitors something else than a column of validation's.
    """
    found: list[Callback] = []
    for name, part in chosen.items():
        callback: Callback = built(part, f"callbacks.{name}", CALLBACKS, Callback, "a callback")
        monitor = getattr(callback, "monitor", None)
        known = [column for column in columns if column.startswith("val/")]
        if monitor is not None and monitor not in known:
            raise UserError(f"callbacks.{name}.monitor={monitor}: choose one of {', '.join(known)}")
        found.append(callback)
    if max_time is not None:
        found.append(Timer(max_time, interval="step", verbose=False))
    return found


def out_of_time(trainer: Trainer) -> bool:
    """Whether `training.max_time` is over."""
    timers = [one for one in trainer.callbacks if isinstance(one, Timer)]  # type: ignore[attr-defined]
    left = [timer.time_remaining() for timer in timers]
    return any(seconds is not None and seconds <= 0 for seconds in left)
