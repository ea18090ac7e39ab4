"""Checkpoints of scaseg.train, read with care and refused where they are none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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


def check_architecture(config: Mapping[str, Any], checkpoint: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Raise UserError where the checkpoint's tensors are not those of the configured model."""
    theirs = checkpoint["state_dict"]
    missing = sorted(state.keys() - theirs.keys())
    extra = sorted(theirs.keys() - state.keys())
    shapes = sorted(k for k in state.keys() & theirs.keys() if state[k].shape != theirs[k].shape)
    if not (missing or extra or shapes):
        return
    saved = checkpoint.get("scaseg", {}).get("config", {})
    differing = [
        f"{part}: {_described(saved[part])} in the checkpoint, {_described(config[part])} now"
        for part in ("backbone", "decoder", "dataset")
        if part in saved and _described(saved[part]) != _described(config[part])
    ]
    first = (missing or extra or shapes)[0]
    raise UserError(
        "the checkpoint is of another architecture ("
        + "; ".join(differing or ["its configuration looks alike"])
        + f"): {len(missing)} tensors missing, {len(extra)} unknown, {len(shapes)} of another shape, first {first}."
        " Give the options the checkpoint was trained with, or another ckpt_path"
    )


def _described(part: dict[str, Any]) -> str:
    keys = ("name", "attn", "lpm", "qk_channels", "clb_stages", "embed_channels", "query_pool")
    return " ".join(str(part[key]) for key in keys if key in part)
