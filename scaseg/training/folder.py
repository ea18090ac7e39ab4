"""The run folder: found again by its name, never overwritten."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scaseg.errors import UserError

log = logging.getLogger("scaseg")


def process_rank() -> int:
    """Rank of this process as its launcher set it, 0 where there is none; with Lightning's own, 0 for one alone."""
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name]) + (int(os.environ.get("NODE_RANK", 0)) if name == "LOCAL_RANK" else 0)
    return int(os.environ.get("NODE_RANK", 0))


@contextmanager
def made(folder: Path, fresh: bool) -> Iterator[None]:
    """Make the run folder; for a fresh start the old one keeps its content under another name.

    All is as before where a UserError comes up before anything was learned.
    """
    old = set_aside(folder) if fresh and folder.exists() else None
    if old is not None:
        log.info("the old run folder is now %s", old)
    new = not folder.exists()
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    try:
        yield
    except UserError:
        if new and not (folder / "metrics.csv").exists():
            shutil.rmtree(folder)
            if old is not None:
                old.rename(folder)
        raise


def set_aside(folder: Path) -> Path:
    """Rename the folder to NAME.old-1, .old-2, ...; returns its new path."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(target)
    return target


def checkpoint_to_resume(folder: Path, ckpt_path: str | None, output_dir: str) -> Path | None:
    """The checkpoint to go on from, or None for a fresh start.

    ckpt_path: `auto` (the run's last checkpoint where it has one), `last` (it must have one), a file, or null
    (none, which an already started run refuses). Raises UserError.
    """
    last = folder / "checkpoints" / "last.ckpt"
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
            if not Path(path).is_file():
                raise UserError(f"ckpt_path={path}: no such file (or: auto, last, null)")
            return Path(path)
