"""result.json, the figures of a run or an evaluation: written here, read here. Imports nothing heavy."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaseg.errors import UserError
from scaseg.files import write_json
from scaseg.runs.folder import RESULT, run_of

TOLD = ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent", "split", "protocol", "step", "seed")
EARLIER = "images_trained_on"  # evaluated_images_trained_on before it was called so
TOLD_MORE = ("evaluated_images_trained_on", "params", "versions", "device", "git_commit", "wall_time_s")


def has_result(folder: Path) -> bool:
    """Whether what the folder is of has ended well."""
    return (folder / RESULT).exists()


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write it whole or not at all; nan is a ValueError."""
    write_json(folder / RESULT, result)


def read_result(folder: Path) -> dict[str, Any]:
    """A folder's result; UserError where it cannot be read."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{RESULT} can't be read ({error})") from error
    if not isinstance(result, dict):
        raise UserError(f"{RESULT} holds no object")
    return result


def results_of(checkpoint: Path, step: int, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the results beside a checkpoint tell of it: that of training, and of evaluations of this very file."""
    run = run_of(checkpoint)
    results: list[dict[str, Any]] = []
    for folder in [run, *sorted(path.parent for path in run.glob(f"evaluation/*/{RESULT}"))]:
        try:
            result = read_result(folder)
        except UserError:
            continue
        of_this = Path(result["checkpoint"]).name == checkpoint.name if "checkpoint" in result else True
        known = any(all(one[key] == result.get(key) for key in ("split", "protocol")) for one in results)
        done = result.get("status") == "done" and result.get("step") == step
        if done and of_this and not known and not _of_other_data(result, config):
            results.append({key: result[key] for key in (*TOLD, *TOLD_MORE, EARLIER) if key in result})
    return results


def _of_other_data(result: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether a split of the validation split's name lay in another folder than training knew."""
    known, found = config.get("fingerprints", {}).get("val"), result.get("fingerprint")
    return result.get("split") == config["dataset"]["val_split"] and None not in (known, found) and known != found


def git_commit() -> str | None:
    """The commit of the code, with `-dirty` where tracked files were changed; None outside a checkout."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # an installed copy may lie in another checkout
        return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*") or None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    told = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True, timeout=10)
    return told.stdout.strip()
