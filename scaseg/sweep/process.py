"""One job as a process: started with its log, stopped gently, and nothing of it left behind."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LOG = "job.log"
LINGER = 5.0  # seconds that other processes of a job have after its first has failed


class JobProcess:
    """A command in a session of its own, so that Ctrl-C reaches the sweep alone; output goes to FOLDER/job.log."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.started = time.monotonic()
        self._ended: float | None = None
        with (folder / LOG).open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(arguments)}\n")
            log.flush()
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def ended(self) -> int | None:
        """The exit status once the process and all that it has started are gone, negative for a signal; else None."""
        status = self._process.poll()
        if status is None:
            return None
        if self._ended is None:
            self._ended = time.monotonic()
        # DDP processes whose first process is gone may wait for it for ever
        if status and self._group_lives() and time.monotonic() - self._ended < LINGER:
            return None
        self._signal_group(signal.SIGKILL)
        return status

    def stop(self) -> None:
        """Ask the job to end; it can be resumed."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the job and all that it has started."""
        if self._process.poll() is None:
            self._signal_group(signal.SIGKILL)

    def last_words(self) -> str:
        """The last error that this attempt's log names, else its last line."""
        with (self.folder / LOG).open("rb") as log:
            log.seek(self._log_start)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return (errors or lines or ["no output"])[-1]

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except OSError:
            return False
        return True

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(OSError):
            os.killpg(self._process.pid, number)
