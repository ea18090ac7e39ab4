"""Prepare, train, evaluate, export and validate on each of the five datasets; writes README.md.

python experiments/benchmarks/make.py DATA

DATA holds samples in the official layouts: CamVid, VOCdevkit/VOC2012, ADEChallengeData2016, coco_stuff164k. They are
copied. Cityscapes may not be passed on: its files are generated, and packed as the official archives are.
"""

import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from scaseg.data.shapes import Shapes
from scaseg.machine import processor_name

HERE = Path(__file__).resolve().parent
FEW = 6  # images of a split
LABEL_IDS = np.array([23, 22, 7, 11, 26, 24, 21, 17], np.uint8)  # Cityscapes' sky, terrain, road, ... for the shapes
TRAIN = (
    "training.max_steps=4 training.val_every=4 training.batch_size=2 training.warmup_steps=1"
    " augment.crop_size=[128,128] hardware.accelerator=cpu hardware.threads=1 pictures=2"
)
FOLDERS = {
    "camvid": "CamVid",
    "voc": "VOCdevkit/VOC2012",
    "ade20k": "ADEChallengeData2016",
    "coco_stuff164k": "coco_stuff164k",
    "cityscapes": "cityscapes",
}


def few(path: Path) -> None:
    path.write_text("".join(f"{name}\n" for name in path.read_text().split()[:FEW]))


def sample(name: str, source: Path, target: Path) -> None:
    """A copy in the official layout, small; where the sample has no test images, those of val stand in."""
    shutil.copytree(source, target)
    if name == "camvid":
        for split in ("train", "val", "test"):
            few(target / f"{split}.txt")
    elif name == "voc":
        lists = target / "ImageSets/Segmentation"
        for path in lists.iterdir():
            few(path)
        shutil.copy(lists / "val.txt", lists / "test.txt")
    elif name == "ade20k":
        (target / "images/testing").mkdir()
        for path in (target / "images/validation").iterdir():
            shutil.copy(path, target / "images/testing" / path.name.replace("ADE_val", "ADE_test"))
    else:
        shutil.copytree(target / "images/val2017", target / "images/test2017")


def cityscapes_archives(folder: Path) -> None:
    """leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip with generated scenes of 1024 x 2048."""
    tree = folder / "tree"
    for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin")):
        scenes = Shapes(size=[1024, 2048], split=split)
        for i in range(2):
            image, mask = scenes.read(i)
            ids = LABEL_IDS[mask]
            ids[-60:] = 1  # the car that carries the camera
            stem = f"{split}/{city}/{city}_{i:06d}_000019"
            for kind, array in (("leftImg8bit", image), ("gtFine_labelIds", ids if split != "test" else ids * 0)):
                path = tree / kind.split("_")[0] / f"{stem}_{kind}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
    for kind in ("leftImg8bit", "gtFine"):
        shutil.make_archive(str(folder / f"{kind}_trainvaltest"), "zip", tree, kind)
    shutil.rmtree(tree)


def run(command: str, place: Path, lines: int) -> str:
    """The command as a user gives it, and the first and last lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=place, capture_output=True, text=True, check=False
    )
    print(command, done.returncode, flush=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    said = [line for line in done.stdout.splitlines() if "absent: not in the mean" not in line]
    if len(said) > lines:
        said = [*said[: lines // 2], f"... {len(said) - 2 * (lines // 2)} lines", *said[-(lines // 2) :]]
    return "\n".join([f"$ python -m {command}", *said])


def tree(folder: Path) -> str:
    """Files of an export."""
    paths = sorted(path.relative_to(folder.parent).as_posix() for path in folder.rglob("*") if path.is_file())
    return "\n".join(["$ find export -type f | sort | head -4", *paths[:4]])


def on(name: str, place: Path) -> str:
    folder = FOLDERS[name]
    archives = " archives=downloads" if name == "cityscapes" else ""
    parts = [run(f"scaseg.prepare dataset={name} data_dir={folder} subset=true{archives}", place, 20)]
    parts.append(run(f"scaseg.train backbone=mit_b0 dataset={name} data_dir={folder} {TRAIN}", place, 10))
    ckpt = next((place / "runs").glob("*/checkpoints/last.ckpt")).relative_to(place)
    machine = f"data_dir={folder} hardware.accelerator=cpu hardware.threads=1"
    parts.append(run(f"scaseg.evaluate ckpt={ckpt} {machine}", place, 12))
    views = "protocol.scales=[0.75,1.0] protocol.flip=true"
    parts.append(run(f"scaseg.evaluate ckpt={ckpt} {machine} {views}", place, 6))
    parts.append(run(f"scaseg.evaluate ckpt={ckpt} {machine} split=test submission=export pictures=0", place, 8))
    parts.append(tree(place / "export"))
    parts.append(run(f"scaseg.validate dataset={name} split=test submission=export data_dir={folder}", place, 6))
    return "\n\n".join(parts)


def main(data: Path) -> None:
    today = datetime.now(UTC).date()
    parts = [
        "# The five benchmarks, from files to a submission\n",
        f"Written by `python experiments/benchmarks/make.py DATA` ({processor_name()}, one core, beside other jobs).",
        "Prepare, train four steps (to show that it runs; the figures mean nothing), evaluate, evaluate with several",
        "views, export the test split, read the export back. Real samples in the official layouts, a few images a",
        "split; where a sample has no test images those of val stand in. Cityscapes' files are generated and unpacked",
        "from archives of the official names. Lines of absent classes are left out. Not shown: anything on a GPU, or",
        f"an upload to a server. {today}, Python {platform.python_version()}, torch {version('torch')}.\n",
    ]
    for name in FOLDERS:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            if name == "cityscapes":
                (place / "downloads").mkdir()
                cityscapes_archives(place / "downloads")
            else:
                (place / FOLDERS[name]).parent.mkdir(parents=True, exist_ok=True)
                sample(name, data / FOLDERS[name], place / FOLDERS[name])
            parts.append(f"## {name}\n\n```\n{on(name, place).replace(folder, 'FOLDER')}\n```\n")
    (HERE / "README.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
