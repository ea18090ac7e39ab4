"""Property tests with fresh seeds, again and again: python -m tests.explore MINUTES [pytest's arguments].

Prints each failure with its seed and the example that reproduces it; exit status 1 where there was one.
"""

import os
import re
import secrets
import subprocess
import sys
import time


def explore(minutes: float, arguments: list[str]) -> int:
    """Rounds of all property tests until the time is over; the number of rounds that failed."""
    end = time.monotonic() + 60 * minutes
    rounds = failed = 0
    while rounds == 0 or time.monotonic() < end:
        seed = secrets.randbelow(2**32)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis and not slow", f"--hypothesis-seed={seed}"]
        done = subprocess.run(
            [*command, *arguments],
            env={**os.environ, "SCASEG_EXAMPLES": "explore"},
            capture_output=True,
            text=True,
            check=False,
        )
        rounds += 1
        left = max(0.0, end - time.monotonic()) / 60
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        print(f"round {rounds}, seed {seed}: {last}; {left:.0f} min left", flush=True)
        if done.returncode:
            failed += 1
            print(re.sub(r"(?s)^.*?(=+ FAILURES|=+ ERRORS)", r"\1", done.stdout), done.stderr, flush=True)
    print(f"{rounds} rounds, {failed} with failures")
    return failed


if __name__ == "__main__":
    sys.exit(1 if explore(float(sys.argv[1]), sys.argv[2:]) else 0)
