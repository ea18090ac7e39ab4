"""Checkpoints of scaseg.train, read with care and refused where they are none."""

from pathlib import Path
from typing import Any

import torch

from scaseg.errors import UserError
from scaseg.named import check_named


def load_checkpoint(path: Path, key: str) -> dict[str, Any]:
    """A checkpoint of ours as a dict, tensors on the CPU; UserError, naming the option `key`, where it is none.

    Also where its configuration names a class that nobody allowed: see scaseg.named.
    """
    if not path.is_file():
        raise UserError(f"{key}={path}: no such file")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise UserError(f"{key}={path}: not a checkpoint that can be read ({type(error).__name__})") from error
    if not isinstance(checkpoint, dict) or "scaseg" not in checkpoint:
        raise UserError(f"{key}={path}: not written by scaseg.train (it has no `scaseg` entry)")
    check_named(checkpoint["scaseg"], f"{key}={path}")
    return checkpoint
