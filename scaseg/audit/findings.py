"""What a fold's model says of each of its images: a file a fold, written and read here alone."""

import json
from dataclasses import dataclass
from pathlib import Path

from scaseg.audit.regions import Region
from scaseg.files import write_json
from scaseg.typed import from_plain, to_plain


@dataclass(frozen=True)
class Finding:
    """Of one image. fold: whose model judged it; softmin: after Lad and Mueller, low where pixels are denied."""

    name: str
    fold: int
    softmin: float
    regions: list[Region]


def write_findings(path: Path, model: str, found: list[Finding]) -> None:
    """model: what they are by, which `read_findings` compares."""
    write_json(path, {"model": model, "images": to_plain(found)})


def read_findings(path: Path, model: str) -> list[Finding] | None:
    """None where there are none by this model."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["model"] != model:
        return None
    return [
        from_plain(Finding, {**one, "regions": [from_plain(Region, region) for region in one["regions"]]})
        for one in content["images"]
    ]
