"""What finished runs leave for other machines: result, curve and counts of each, a few kB, in a folder under version
control. A run whose record lies there is done.
"""

import shutil
from pathlib import Path
from typing import Any

from scaseg.errors import UserError
from scaseg.files import check_writable, new_folder, replacing
from scaseg.identity import MORE
from scaseg.runs.counts import COUNTS
from scaseg.runs.earlier import read_config
from scaseg.runs.folder import RESULT
from scaseg.runs.result import has_result, read_result, write_result
from scaseg.runs.store import is_held
from scaseg.schema import without_places

BESIDE = ("metrics.csv", COUNTS)  # where the run has it
PATHS = ("weights", "data_dir", "output_dir", "ckpt_path", "cache", "records")


def check_place(records: str) -> None:
    """UserError where no record can be left: asked before hours of training, as the answer would come after."""
    if Path(records).is_file():
        raise UserError(f"records={records} is a file: name a folder")
    check_writable("records", Path(records))


def leave(run: Path, records: Path) -> Path:
    """Make a finished run's record, named as this version names the run; one that lies there is kept.

    Paths of this machine are cut to the files' names: fingerprints say what these held. Raises UserError where the run
    has no result, or the record cannot be written.
    """
    result: Any = read_result(run)
    record = records / read_config(result["config"]).name
    if has_result(record):
        return record
    result["config"] = _without_paths(result["config"])
    result["config"][MORE] = without_places(result["config"].get(MORE, []))
    with new_folder(record) as beside:
        for name in BESIDE:
            if (run / name).is_file():
                shutil.copyfile(run / name, beside / name)
        write_result(beside, result)
    return record


def take(name: str, folder: Path, records: str | None) -> bool:
    """Whether a run without a result had a record, which is in its folder then; name: the run's."""
    if records is None or has_result(folder) or is_held(folder) or not has_result(Path(records) / name):
        return False
    try:
        if (found := read_config(read_result(Path(records) / name)["config"]).name) != name:
            raise UserError(f"it is of the run {found}")
    except (UserError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"records={records}: {name} is no record of this run ({error}); move it away") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in (*BESIDE, RESULT):  # the result last: with it the run is done
            if (Path(records) / name / file).is_file():
                with replacing(folder / file) as beside:
                    shutil.copyfile(Path(records) / name / file, beside)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    return True


def _without_paths(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    return {
        key: Path(value).name if key in PATHS and isinstance(value, str) else _without_paths(value)
        for key, value in content.items()
    }
