"""How many of the spoiled masks an audit has among the first tenth; of one that is not done, of the folds that are.

python -m experiments.audit.measure SPOILED/spoiled.csv AUDIT
"""

import csv
import json
import sys
from pathlib import Path

from experiments.audit.spoil import KINDS, SHARE
from scaseg.audit.asked import ASKED
from scaseg.audit.findings import read_findings
from scaseg.audit.ranking import Suspect, ranked


def touches(suspect: Suspect, spoiled: dict[str, str]) -> bool:
    """Whether the box of the region that is named first shares a pixel with that of what was spoiled."""
    left, top, right, bottom = suspect.regions[0][1].box
    within = left < int(spoiled["right"]) and int(spoiled["left"]) < right
    return within and top < int(spoiled["bottom"]) and int(spoiled["top"]) < bottom


def main(spoiled: Path, audit: Path) -> None:
    model = json.loads((audit / ASKED).read_text())["identity"]
    suspects = ranked([one for path in sorted(audit.glob("fold-*.json")) for one in read_findings(path, model) or ()])
    judged = {one.finding.name for one in suspects}
    with spoiled.open(newline="") as file:
        every = {row["name"]: row for row in csv.DictReader(file)}
    kinds = {name: row for name, row in every.items() if name in judged}
    first = suspects[: round(SHARE * len(suspects))]
    found = [one for one in first if one.finding.name in kinds]
    print(
        f"{len(found)} of {len(kinds)} spoiled masks ({100 * len(found) / len(kinds):.0f} %) are among the first"
        f" {len(first)} of {len(suspects)}"
    )
    for kind in KINDS:
        of_kind = [name for name, row in kinds.items() if row["kind"] == kind]
        print(f"  {kind}: {sum(one.finding.name in of_kind for one in found)} of {len(of_kind)}")
    right = sum(touches(one, kinds[one.finding.name]) for one in found)
    print(f"the region named first touches what was spoiled in {right} of these {len(found)}")
    by_softmin = sorted(suspects, key=lambda one: one.finding.softmin)[: len(first)]
    print(f"by softmin alone: {sum(one.finding.name in kinds for one in by_softmin)} of {len(kinds)}")
    ranks = [rank for rank, one in enumerate(suspects, 1) if one.finding.name in kinds]
    print(f"ranks of the last five: {', '.join(map(str, ranks[-5:]))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
