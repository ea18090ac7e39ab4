"""The format of checkpoints: Lightning's, with a part of ours, `scaseg`. Written and read here, and nowhere else."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.files import write_bytes
from scaseg.named import check_named
from scaseg.runs.earlier import read_config
from scaseg.schema import Run
from scaseg.typed import Part, to_plain

VERSION = 2  # 1 had no number, and `lpm` among the keys of a run
# where models differ
TOLD = (
    *("name", "attn", "lpm", "qk_channels", "clb_stages", "embed_channels", "query_pool", "classifier", "ranks"),
    *("ffn_channels", "hidden_channels", "lpm_channels", "value_channels"),
)


@dataclass
class Checkpoint:
    """What a file of scaseg.train holds.

    state: tensors of the whole task; plain_state: those that `state` is an average of, None without one. groups: names
    of the parameters of each of the optimiser's groups; None in early files. step: optimiser steps taken. resumable:
    whether it has the optimiser's state too, and is not of `write_model`. thresholds: of a task that has some.
    """

    path: Path
    run: Run
    classes: tuple[str, ...]
    colours: list[list[int]]
    step: int
    state: Mapping[str, Tensor]
    plain_state: Mapping[str, Tensor] | None
    groups: list[list[str]] | None
    resumable: bool = True
    thresholds: tuple[float, ...] = ()

    @property
    def model_state(self) -> dict[str, Tensor]:
        """Tensors of the Segmentor."""
        start = "model."
        return {key.removeprefix(start): value for key, value in self.state.items() if key.startswith(start)}


def write_into(
    lightning: dict[str, Any],
    run: Run,
    labels: LabelTable,
    groups: Sequence[Sequence[str]],
    thresholds: Sequence[float] = (),
) -> None:
    """Put our part into a checkpoint of Lightning's: all it takes to use the model, as plain values."""
    lightning["scaseg"] = {
        "version": VERSION,
        "config": to_plain(run),
        "classes": list(labels.names),
        "colours": [list(colour) for colour in labels.colours],
        "parameter_groups": [list(names) for names in groups],
        **({"thresholds": list(thresholds)} if thresholds else {}),
    }


def thresholds_in(lightning: Mapping[str, Any]) -> tuple[float, ...]:
    """Those of a checkpoint of Lightning's with our part."""
    return tuple(lightning["scaseg"].get("thresholds", ()))


def write_model(
    path: Path,
    run: Run,
    labels: LabelTable,
    tensors: Mapping[str, Tensor],
    step: int,
    thresholds: Sequence[float] = (),
) -> None:
    """A checkpoint of a Segmentor's tensors alone, to evaluate, export and start from; training cannot resume it."""
    state = {f"model.{key}": value for key, value in tensors.items()}
    content: dict[str, Any] = {"state_dict": state, "global_step": step}
    write_into(content, run, labels, [], thresholds)
    whole = io.BytesIO()
    torch.save(content, whole)
    write_bytes(path, whole.getbuffer())


def read_checkpoint(path: Path, key: str) -> Checkpoint:
    """A checkpoint of this version or an earlier one, tensors on the CPU and not read before they are used.

    Raises UserError, naming the option `key`, where it is none, is of a later version, or names a class that nobody
    allowed (see scaseg.named).
    """
    if not path.is_file():
        raise UserError(f"{key}={path}: no such file")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise UserError(f"{key}={path}: not a checkpoint that can be read ({type(error).__name__})") from error
    if not isinstance(found, dict) or "scaseg" not in found:
        raise UserError(f"{key}={path}: not written by scaseg.train (it has no `scaseg` entry)")
    ours = found["scaseg"]
    check_named(ours, f"{key}={path}")
    if ours.get("version", 1) > VERSION:
        raise UserError(
            f"{key}={path}: of format {ours['version']}, and this version of scaseg reads up to {VERSION}: update it"
        )
    return Checkpoint(
        path,
        read_config(ours["config"]),
        tuple(ours["classes"]),
        ours["colours"],
        int(found["global_step"]),
        found["state_dict"],
        found.get("current_model_state"),
        ours.get("parameter_groups"),
        "optimizer_states" in found,
        thresholds_in(found),
    )


def check_architecture(run: Run, checkpoint: Checkpoint, state: Mapping[str, Tensor]) -> None:
    """Raise UserError where the checkpoint's tensors are not those of the configured task, `state`.

    Those that a distillation learned beside the model may be missing there: without its teacher none needs them.
    """
    taught = {key for key in checkpoint.state if key.startswith("distillation.") and key not in state}
    saved_state = {key: value for key, value in checkpoint.state.items() if key not in taught}
    if (differ := differences(state, saved_state)) is None:
        return
    saved = checkpoint.run
    parts = [
        f"{part}: {_described(then)} in the checkpoint, {_described(now)} now"
        for part, then, now in (
            ("backbone", saved.backbone, run.backbone),
            ("decoder", saved.decoder, run.decoder),
            ("dataset", saved.dataset, run.dataset),
        )
        if _described(then) != _described(now)
    ]
    if saved.task != run.task:
        parts.append(f"task: {saved.task} in the checkpoint, {run.task} now")
    raise UserError(
        f"the checkpoint is of another architecture ({'; '.join(parts or ['its configuration looks alike'])}):"
        f" {differ}. Give the options the checkpoint was trained with, or another ckpt_path"
    )


def differences(own: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> str | None:
    """In words, where two sets of tensors are not of the same names and shapes; None where they are."""
    missing, extra = sorted(own.keys() - others.keys()), sorted(others.keys() - own.keys())
    shapes = sorted(key for key in own.keys() & others.keys() if own[key].shape != others[key].shape)
    if not (missing or extra or shapes):
        return None
    return (
        f"{len(missing)} tensors missing, {len(extra)} unknown, {len(shapes)} of another shape,"
        f" first {(missing or extra or shapes)[0]}"
    )


def _described(part: Part) -> str:
    return " ".join(str(part.values[key]) for key in TOLD if part.option(key) is not None)
