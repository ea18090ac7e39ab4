"""Into this checkout's table, which `strip=auto` reads, the line that a report has brought from another machine:

python -m experiments.gpu.crossings OUTPUT/strip_crossings.json
"""

import sys
from pathlib import Path

from scaseg.errors import UserError
from scaseg.models.layers.strip_crossings import TABLE, read_crossings, write_crossing


def main(path: Path, table: Path = TABLE) -> None:
    """UserError where there is no such table."""
    if not (lines := read_crossings(path)):
        raise UserError(f"{path} holds no crossing: give the strip_crossings.json beside a report.md of a GPU")
    for name, crossing in lines.items():
        write_crossing(name, crossing, table)
        print(f"{table.name}: {name}, {crossing}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
