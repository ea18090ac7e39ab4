"""Records of runs that were trained without `records=`: `python -m experiments.record RUN... FOLDER`."""

import sys
from pathlib import Path

from scaseg.runs.records import leave

if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    *runs, folder = map(Path, sys.argv[1:])
    for run in runs:
        print(leave(run, folder))
