"""How many of the spoiled masks an audit has among the first tenth.

python -m experiments.audit.measure SPOILED/spoiled.csv AUDIT/audit.csv
"""

import csv
import sys
from pathlib import Path

from experiments.audit.spoil import KINDS, SHARE


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def overlap(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two boxes share a pixel."""
    return all(
        int(one[low]) < int(other[high]) and int(other[low]) < int(one[high])
        for low, high in (("left", "right"), ("top", "bottom"))
    )


def main(spoiled: str, audit: str) -> None:
    kinds, rows = {row["name"]: row for row in read(spoiled)}, read(audit)
    first = rows[: round(SHARE * len(rows))]
    found = [row for row in first if row["image"] in kinds]
    print(
        f"{len(found)} of {len(kinds)} spoiled masks ({100 * len(found) / len(kinds):.0f} %) are among the first"
        f" {len(first)} of {len(rows)}"
    )
    for kind in KINDS:
        of_kind = [name for name, row in kinds.items() if row["kind"] == kind]
        print(f"  {kind}: {sum(row['image'] in of_kind for row in found)} of {len(of_kind)}")
    right = sum(overlap(row, kinds[row["image"]]) for row in found)
    print(f"the region named first touches what was spoiled in {right} of these {len(found)}")
    by_softmin = sorted(rows, key=lambda row: float(row["softmin"]))[: len(first)]
    print(f"by softmin alone: {sum(row['image'] in kinds for row in by_softmin)} of {len(kinds)}")
    ranks = [int(row["rank"]) for row in rows if row["image"] in kinds]
    print(f"ranks of the last five: {', '.join(map(str, ranks[-5:]))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
