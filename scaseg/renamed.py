"""Keys of earlier versions: each is taken for the one that it is called now, and the new name is said."""

import sys
from collections.abc import Sequence

from scaseg.values import quoted

_HARDWARE = {"device": "hardware.accelerator", "threads": "hardware.threads"}
_CROSS_ENTROPY = {
    f"training.loss.{key}": f"loss.cross_entropy.{key}"
    for key in ("class_weights", "average", "ohem", "ohem_threshold", "ohem_min_kept")
}
_GROUPS = {
    **_CROSS_ENTROPY,
    "training.loss.dice": "loss.dice.weight",
    "decoder.weights": "weights",
    "decoder.weights_sha256": "weights_sha256",
    "training.betas": "optimizer.adamw.betas",
    "training.poly_power": "schedule.poly.power",
    **{f"logger.{key}": f"logger.wandb.{key}" for key in ("project", "entity", "mode", "group", "tags")},
}
RENAMED = {
    "train": _GROUPS,
    **dict.fromkeys(("predict", "demo", "export"), _HARDWARE),
    "benchmark": {**_HARDWARE, **_GROUPS},
    "evaluate": {"export": "submission"},
    "validate": {"export": "submission"},
}
DROPPED = {"compare": ("resamples", "seed")}  # intervals are no longer of resamples
LETTERS = ("compare", "figures")  # their models were a=RUN b=RUN to h


def renamed(command: str, argv: Sequence[str]) -> list[str]:
    """The arguments with today's keys."""
    keys = RENAMED.get(command, {})
    found, models, said = [], [], []
    for text in argv:
        given, equals, value = text.partition("=")
        key = given.lstrip("+")
        if equals and key in keys:
            found.append(f"{keys[key]}={value}")
            said.append(f"{key}= is {keys[key]}= now")
        elif equals and key in DROPPED.get(command, ()):
            said.append(f"{key}= is not needed any more, and does nothing")
        elif equals and command in LETTERS and key in tuple("abcdefgh"):
            models.append((key, value.strip("'\"")))
        else:
            found.append(text)
    if "training.loss.dice= is loss.dice.weight= now" in said and not any(text.startswith("loss=") for text in found):
        found.append("loss=[cross_entropy,dice]")
    if models:
        found.append(f"ckpt=[{','.join(quoted(value) for _, value in sorted(models))}]")
        said.append("a= b= ... are ckpt=[...,...] now")
    for line in said:
        print(f"note: {line}", file=sys.stderr)
    return found
