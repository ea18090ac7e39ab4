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
RUNTIMES = ("onnxruntime", "openvino", "nncf")
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
    for package in (*PACKAGES, *(RUNTIMES if suite == "runtime" else ()), *PEERS):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    machine: Json = {"cores": os.cpu_count(), "cpu": processor_name(), "threads": torch.get_num_threads()}
    machine["instruction_sets"] = instruction_sets()
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


def instruction_sets() -> list[str]:
    """Of those that decide about the time of a model what this processor offers, as torch sees it."""
    import torch

    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.13
    known = {"avx2": "AVX2", "avx512_f": "AVX-512", "avx512_vnni": "VNNI", "amx_tile": "AMX"}
    return [name for key, name in known.items() if told.get(key)] or [torch.backends.cpu.get_cpu_capability()]


def taken_on(result: Mapping[str, Any]) -> str:
    """Of a record: date, machine and versions."""
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in result["versions"].items())
    machine = result["machine"]
    sets = f" ({', '.join(machine['instruction_sets'])})" if "instruction_sets" in machine else ""
    return (
        f"{result['date']}, {machine.get('gpu', machine['cpu'])}{sets}, {machine['cores']} cores,"
        f" {machine['threads']} torch threads, Python {result['python']}, {versions}."
    )


def show(result: Mapping[str, Any]) -> None:
    """Print a record as a Markdown table."""
    print(f"\n{table(result['suite'], result['rows'])}\n\n{taken_on(result)}")
