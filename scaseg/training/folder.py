"""Which process of a run this is, and the checkpoint that the run goes on from."""

import os
from pathlib import Path

from scaseg.errors import UserError


def process_rank() -> int:
    """Rank of this process as its launcher set it, 0 where there is none; with Lightning's own, 0 for one alone."""
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name]) + (int(os.environ.get("NODE_RANK", 0)) if name == "LOCAL_RANK" else 0)
    return int(os.environ.get("NODE_RANK", 0))


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
