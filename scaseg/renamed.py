"""Keys of earlier versions: each is taken for the one that it is called now, and the new name is said."""

import sys
from collections.abc import Sequence

from scaseg.values import quoted

_HARDWARE = {"device": "hardware.accelerator", "threads": "hardware.threads"}
RENAMED = {
    **dict.fromkeys(("predict", "demo", "export", "benchmark"), _HARDWARE),
    "evaluate": {"export": "submission"},
    "validate": {"export": "submission"},
}
LETTERS = ("compare", "figures")  # their models were a=RUN b=RUN to h


def renamed(command: str, argv: Sequence[str]) -> list[str]:
    """The arguments with today's keys."""
    keys = RENAMED.get(command, {})
    found, models, said = [], [], []
    for text in argv:
        key, equals, value = text.partition("=")
        if equals and key in keys:
            found.append(f"{keys[key]}={value}")
            said.append(f"{key}= is {keys[key]}=")
        elif equals and command in LETTERS and key in tuple("abcdefgh"):
            models.append((key, value.strip("'\"")))
        else:
            found.append(text)
    if models:
        found.append(f"ckpt=[{','.join(quoted(value) for _, value in sorted(models))}]")
        said.append("a= b= ... are ckpt=[...,...]")
    for line in said:
        print(f"note: {line} now", file=sys.stderr)
    return found
