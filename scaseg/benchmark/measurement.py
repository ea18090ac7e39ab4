import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from scaseg.complexity.latency import Spread
from scaseg.machine import processor_name
from scaseg.typed import Json

PACKAGES = ("torch", "lightning", "albumentations", "opencv-python-headless", "torchmetrics")
PEERS = ("mmsegmentation", "transformers", "segmentation-models-pytorch")


@dataclass(frozen=True)
class Row:
    """One measurement: what, in which unit, median and quartiles of its rounds, and what it is held to, if anything."""

    what: str
    unit: str
    value: Spread
    goal: str = ""


def record(suite: str, rows: Sequence[Row]) -> Json:
    """The rows with machine, versions and date, as plain values."""
    import torch

    versions: dict[str, str | None] = {}
    for package in (*PACKAGES, *PEERS):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    machine = {"cores": os.cpu_count(), "cpu": processor_name(), "threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name()
    return {
        "suite": suite,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        "python": platform.python_version(),
        "versions": versions,
        "rows": [asdict(row) for row in rows],
    }


def table(title: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of a record as a Markdown table, ready to be committed."""
    lines = [f"| {title} | median | quartiles | rounds | goal |", "|---|---|---|---|---|"]
    for row in rows:
        value = row["value"]
        lines.append(
            f"| {row['what']} | {value['median']:.4g} {row['unit']} | {value['lower']:.4g} .. {value['upper']:.4g}"
            f" | {value['rounds']} | {row['goal']} |"
        )
    return "\n".join(lines)


def taken_on(result: Mapping[str, Any]) -> str:
    """Of a record: date, machine and versions."""
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in result["versions"].items())
    machine = result["machine"]
    return (
        f"{result['date']}, {machine.get('gpu', machine['cpu'])}, {machine['cores']} cores,"
        f" {machine['threads']} torch threads, Python {result['python']}, {versions}."
    )


def show(result: Mapping[str, Any]) -> None:
    """Print a record as a Markdown table."""
    print(f"\n{table(result['suite'], result['rows'])}\n\n{taken_on(result)}")
