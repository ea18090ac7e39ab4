"""Paths within a run's folder, and what a path that a user gives means. Imports nothing heavy."""

import logging
from pathlib import Path

from scaseg.errors import UserError

log = logging.getLogger("scaseg")
CHECKPOINTS, RESULT, CONFIG = "checkpoints", "result.json", "config.yaml"
SAVED_CONFIG, SAVED_WEIGHTS = "config.json", "model.safetensors"  # of a folder that scaseg.save_pretrained wrote


def checkpoint_of(given: str | Path, key: str, which: str = "last") -> Path:
    """The checkpoint that a path means: the file itself; of a run's folder its `last` or `best`, which is said.

    key: the option, for messages. Raises UserError where there is none.
    """
    path = Path(given).expanduser()
    if is_saved(path):
        raise UserError(
            f"{key}={given} was written by scaseg.save_pretrained: {key} takes a run's folder or a .ckpt file"
        )
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{key}={given}: no such file or folder")
    for folder in (path, path / CHECKPOINTS):
        if (found := folder / f"{which}.ckpt").is_file():
            log.info("%s=%s: %s", key, given, found)
            return found
    if runs := sorted(path.glob(f"*/{CHECKPOINTS}/{which}.ckpt")):
        raise UserError(f"{key}={given} holds runs and is none: name one, as {key}={runs[0].parent.parent}")
    raise UserError(
        f"{key}={given}: neither a run's folder (it has no {CHECKPOINTS}/{which}.ckpt) nor one that"
        f" scaseg.save_pretrained wrote (it has no {SAVED_CONFIG})"
    )


def is_saved(path: Path) -> bool:
    """Whether a path is a folder that `scaseg.save_pretrained` wrote, or the file of weights in one."""
    folder = path.parent if path.name == SAVED_WEIGHTS else path
    return (folder / SAVED_CONFIG).is_file() and (folder / SAVED_WEIGHTS).is_file()


def model_of(given: str | Path, key: str, which: str = "last") -> Path:
    """What a trained model is read from: a folder that scaseg.save_pretrained wrote, else as `checkpoint_of`."""
    path = Path(given).expanduser()
    if is_saved(path):
        return path.parent if path.name == SAVED_WEIGHTS else path
    return checkpoint_of(given, key, which)


def weights_of(given: str | Path, key: str) -> Path:
    """The file of weights that a path means: as `checkpoint_of`, and of a saved folder its model.safetensors."""
    saved = Path(given).expanduser() / SAVED_WEIGHTS
    if saved.is_file():
        log.info("%s=%s: %s", key, given, saved)
        return saved
    return checkpoint_of(given, key)


def run_of(checkpoint: Path) -> Path:
    """The folder of the run that a checkpoint is of: that above `checkpoints`, else the file's own."""
    return checkpoint.parent.parent if checkpoint.parent.name == CHECKPOINTS else checkpoint.parent
