"""The run store: in which state a run is, and which process may work on it. Imports nothing heavy.

A run's folder holds `status.json`: pending, running, done or failed with the error, and how far it is. A process
that works on the run holds a lock of the operating system on `.lock`, which ends with the process however that
ends: a run that says `running` and is not locked was cut off.
"""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypedDict, cast

from scaseg.errors import BusyError, UserError
from scaseg.files import write_json
from scaseg.runs.result import has_result, read_result

STATUS, LOCK = "status.json", ".lock"
_held: set[Path] = set()  # by this process: its own locks do not keep it out, and probing would end them


class Status(TypedDict, total=False):
    """What status.json says. status: new, pending, running, cut off, done, failed; step: of the run so far, of which
    this process began with first_step; best_mIoU: in percent; started, updated: seconds since 1970.
    """

    run: str
    status: str
    label: str
    sweep: str
    attempt: int
    pid: int
    host: str
    started: float
    updated: float
    step: int | None
    first_step: int
    max_steps: int
    best_mIoU: float | None
    error: str | None


def read(folder: Path) -> Status:
    """What status.json says; its `status` is `new` where there is none, `done` wherever a result is.

    `cut off` stands for a run that says it is running while no process works on it.
    """
    said: Status = {"status": "new", **_content(folder)}
    if has_result(folder):
        said["status"] = "done"
    elif said.get("status") == "running" and not is_held(folder):
        said["status"] = "cut off"
    return said


def write(folder: Path, **fields: Any) -> None:
    """Change fields of status.json; the file is either the old or the new one at any time."""
    _replace(folder, cast("Status", {"run": folder.name, **_content(folder), **fields, "updated": time.time()}))


def progress(folder: Path, **fields: Any) -> None:
    """Say how far a running run is; nothing where another process of the run has said that it failed."""
    if _content(folder).get("status") == "running":
        write(folder, **fields)


def fail(folder: Path, error: BaseException | str) -> None:
    """Say that the run failed, unless its end is known already: the first error is the one that tells."""
    if _content(folder).get("status") in ("running", "pending"):
        text = error if isinstance(error, str | UserError) else f"{type(error).__name__}: {error}"
        with suppress(UserError):  # a full disk; the first error is the one to hear of
            write(folder, status="failed", error=str(text))


def scores(folder: Path) -> tuple[float | None, float | None]:
    """mIoU in percent of a finished run's last step, and of its best; None where there was nothing to score."""
    result = read_result(folder)
    return result["mIoU"], result["best"]["mIoU"]


def is_held(folder: Path) -> bool:
    """Whether a process works on the run."""
    if (folder / LOCK).resolve() in _held:
        return True
    try:
        file = (folder / LOCK).open("r+")
    except OSError:
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that ask do not see each other
        except OSError:
            # EACCES or EAGAIN: held
            pass
        else:
            return False
    return True


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold an existing run folder; BusyError where another process does.

    The lock is of POSIX's kind: loader processes do not inherit it, and network file systems know it.
    """
    path = folder / LOCK
    for attempt in range(5):
        file = path.open("a+")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            if attempt < 4:  # who asks with is_held is there for microseconds
                time.sleep(0.05)
            continue
        if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            break
        file.close()  # whoever held it has just taken the file away
    else:
        said = read(folder)
        who = f"process {said['pid']} on {said['host']}" if "pid" in said else "another process"
        raise BusyError(f"{folder} is being worked on by {who}: wait for it, or stop it")
    key = path.resolve()
    _held.add(key)
    try:
        yield
    finally:
        with suppress(OSError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                path.unlink()
        _held.discard(key)
        file.close()


@contextmanager
def claimed(folder: Path, fresh: bool) -> Iterator[None]:
    """Work on a run: its folder is made and held, and status.json says how the work ends.

    fresh: the old folder keeps its content under another name. Where a UserError comes up in a new folder before
    anything was learned, all is as before. Raises BusyError where another process works on the run.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    old = set_aside(folder) if fresh and folder.exists() else None
    make_folder(folder)
    with held(folder):
        before = _content(folder)
        here = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
        try:
            write(folder, status="running", attempt=before.get("attempt", 0) + 1, **here, step=None, error=None)
            yield
        except UserError as error:
            if (new or old) and not (folder / "metrics.csv").exists():
                _undo(folder, old, new[1:])
            elif _content(folder).get("step") is None and before:  # it says nothing of the run as it was
                _replace(folder, before)
            else:
                fail(folder, error)
            raise
        except Exception as error:
            fail(folder, error)
            raise
        except BaseException:  # stopped from outside: the same command goes on
            progress(folder, status="pending")
            raise
        write(folder, status="done")


@contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """What the other processes of a distributed run do: say why the run failed where they are the first to know."""
    try:
        yield
    except Exception as error:
        fail(folder, error)
        raise


def make_folder(folder: Path) -> None:
    """Make a run's folder; UserError where none can be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UserError(
            f"output_dir={folder.parent}: the run's folder {folder.name} cannot be written there ({error.strerror});"
            " name another output_dir"
        ) from error


def set_aside(folder: Path) -> Path:
    """Rename a run's folder to NAME.old-1, .old-2, ...; returns its new path. BusyError where it is worked on."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    with held(folder):
        try:
            folder.rename(target)
        except OSError as error:
            raise UserError(
                f"{folder} cannot be renamed to {target.name} ({error.strerror}), which keeps it"
            ) from error
    (target / LOCK).unlink(missing_ok=True)
    return target


def _undo(folder: Path, old: Path | None, parents: list[Path]) -> None:
    shutil.rmtree(folder)
    if old is not None:
        old.rename(folder)
    for path in parents:
        with suppress(OSError):  # another run is there by now
            path.rmdir()


def _content(folder: Path) -> Status:
    try:
        said = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("Status", said) if isinstance(said, dict) else {}


def _replace(folder: Path, content: Status) -> None:
    write_json(folder / STATUS, content, durable=False)
