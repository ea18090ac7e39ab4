"""Where a run starts: at a checkpoint, by what is asked now, or at given weights, or at random ones."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scaseg.errors import UserError
from scaseg.identity import MORE, NOT_IDENTITY
from scaseg.models.encoders.weights import load_encoder_weights
from scaseg.models.weights import load_model_weights
from scaseg.runs.checkpoint import Checkpoint, check_architecture, read_checkpoint
from scaseg.runs.earlier import read_config
from scaseg.runs.folder import CHECKPOINTS, CONFIG, checkpoint_of
from scaseg.runs.result import has_result
from scaseg.schema import Run
from scaseg.training.task import SegmentationTask
from scaseg.typed import dotted, to_plain

log = logging.getLogger("scaseg")
DATA = {"classes": "the class table", "train": "the training images or masks"}
VAL = "the validation images or masks"


@dataclass(frozen=True)
class Start:
    """checkpoint: to go on from, None for a new start; step: the one that it is of; changes: what is asked now and was
    not when it was written, by dotted key: (then, now).
    """

    checkpoint: Path | None = None
    step: int = 0
    changes: Mapping[str, tuple[Any, Any]] | None = None


def find_start(folder: Path, config: Run, task: SegmentationTask) -> Start:
    """Where the run of this folder goes on; loads `backbone.weights` or `weights` where it is a new start.

    Raises UserError where the checkpoint does not fit the task, its data or its recipe.
    """
    path = checkpoint_to_resume(folder, config.ckpt_path, config.output_dir)
    if path is None:
        if config.ckpt_path == "auto":
            _say_of_other_data(folder, config)
        load_weights(config, task)
        return Start()
    checkpoint = read_checkpoint(path, "ckpt_path")
    if not checkpoint.resumable:
        raise UserError(f"ckpt_path={path} is of a model alone, and no training can go on in it: weights={path}")
    check_architecture(config, checkpoint, task.state_dict())
    step = checkpoint.step
    _same_data(checkpoint.run, config, path)
    changes = dict(_changes(checkpoint.run, config))
    _possible(checkpoint, config, task)
    if changes:
        log.info(
            "%s: on from step %d with what is asked now: %s",
            *(path, step, ", ".join(f"{key}={now} (was {then})" for key, (then, now) in changes.items())),
        )
    return Start(path, step, changes)


def checkpoint_to_resume(folder: Path, ckpt_path: str | None, output_dir: str) -> Path | None:
    """The checkpoint to go on from, or None for a fresh start.

    ckpt_path: `auto` (the run's last checkpoint where it has one), `last` (it must have one), a file, or null
    (none, which an already started run refuses). A run that was started from a file goes on from its own last
    checkpoint once it has one. Raises UserError.
    """
    last = folder / CHECKPOINTS / "last.ckpt"
    match ckpt_path:
        case "auto":
            return last if last.exists() else None
        case "last":
            if not last.exists():
                others = sorted(p.parents[1].name for p in Path(output_dir).glob("*/checkpoints/last.ckpt"))
                raise UserError(
                    f"ckpt_path=last: {last} does not exist. The folder's name follows from the configuration:"
                    f" give the same options as before. Runs in {output_dir}: {', '.join(others) or 'none'}"
                )
            return last
        case None:
            if last.exists():
                raise UserError(
                    f"{folder} has a checkpoint already. Resume with ckpt_path=last, or start again with fresh=true"
                    " (the old folder is kept under another name)"
                )
            return None
        case path:
            given = checkpoint_of(path, "ckpt_path")
            own = given.resolve().parent == last.parent.resolve()
            return last if last.exists() and not own else given


def load_weights(config: Run, task: SegmentationTask) -> None:
    """The encoder's or the whole model's weights that the configuration names; none: they stay as they were drawn."""
    backbone, decoder = config.backbone, config.decoder
    if config.weights:
        report = load_model_weights(
            task.model,
            backbone.name,
            decoder.name,
            config.weights,
            config.weights_sha256,
            trains=config.training.max_steps > 0,
        )
        log.info("model weights from %s: %s", config.weights, report)
    elif backbone.weights:
        report = load_encoder_weights(
            task.model.encoder, backbone.name, backbone.weights, backbone.text("weights_sha256")
        )
        log.info("encoder weights from %s: %s", backbone.weights, report)


def _same_data(saved: Run, config: Run, path: Path) -> None:
    other = [_called(key) for key in _other_data(saved, config) if key != "val"]
    if other:
        raise UserError(
            f"{path} was trained on other data than data_dir={config.data_dir} holds ({' and '.join(other)} differ):"
            f" give the data_dir that it was trained on, or start a new run from its weights, weights={path}"
        )
    if "val" in _other_data(saved, config):
        log.info("%s: %s have changed since; its figures are of the old ones", path, VAL)


def _other_data(saved: Run, config: Run) -> list[str]:
    then, now = saved.fingerprints, config.fingerprints
    more = [key for key in now if key.startswith(f"{MORE}.")]
    return [key for key in (*DATA, *more, "val") if key in then and key in now and then[key] != now[key]]


def _called(key: str) -> str:
    """What a fingerprint is of."""
    return (DATA | {"val": VAL}).get(key, "the images or masks of more_data")


def _say_of_other_data(folder: Path, config: Run) -> None:
    """A run that was cut off, of the same recipe on data that have changed since, does not go on by itself."""
    for other in sorted(folder.parent.glob(folder.name.rpartition("-")[0] + "-*")):
        last = other / CHECKPOINTS / "last.ckpt"
        if other == folder or ".old-" in other.name or not last.exists() or has_result(other):
            continue
        try:
            saved = read_config(yaml.safe_load((other / CONFIG).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, UserError):
            continue
        differ = _other_data(saved, config)
        if differ and not any(True for _ in _changes(saved, config)):
            names = " and ".join(_called(key) for key in differ)
            mend = f"ckpt_path={last}" if differ == ["val"] else f"weights={last}"
            log.warning(
                "%s was cut off, and %s have changed since: this is a new run; %s starts from it", other, names, mend
            )


def _possible(checkpoint: Checkpoint, config: Run, task: SegmentationTask) -> None:
    path = checkpoint.path
    if checkpoint.step > config.training.max_steps:
        raise UserError(
            f"{path} is of step {checkpoint.step}, and training.max_steps={config.training.max_steps}: ask for more"
            f" steps, or start a new run from its weights, weights={path}"
        )
    then, now = ("".join(part.target for part in one.optimizer.values()) for one in (checkpoint.run, config))
    if then != now:
        raise UserError(
            f"{path}: its optimiser's state is that of {then}, and optimizer={','.join(config.optimizer)} is asked:"
            f" keep it, or start a new run from its weights, weights={path}"
        )
    if checkpoint.groups is not None and checkpoint.groups != task.group_names:
        raise UserError(
            f"{path}: its optimiser's state is arranged for {_arranged(checkpoint.run)}, and {_arranged(config)}"
            f" is asked: keep it, or start a new run from its weights, weights={path}"
        )


def _arranged(run: Run) -> str:
    """What decides how the optimiser's parameters are grouped."""
    recipe, frozen = run.training, run.backbone.freeze
    said = f"training.decay={recipe.decay.name}"
    if recipe.encoder_lr_decay != 1:
        said += f" training.encoder_lr_decay={recipe.encoder_lr_decay} by {recipe.encoder_lr_decay_by.name}"
    said += f" backbone.freeze={frozen}" if frozen else ""
    return said + (f" distillation=[{','.join(run.distillation)}]" if run.distillation else "")


def _changes(saved: Run, config: Run) -> Iterator[tuple[str, tuple[Any, Any]]]:
    then, now = (dotted({**to_plain(run), MORE: run.identity().get(MORE, [])}) for run in (saved, config))
    for key in now:
        if key in then and then[key] != now[key] and key.split(".")[0] not in (*NOT_IDENTITY, "fingerprints"):
            yield key, (then[key], now[key])
