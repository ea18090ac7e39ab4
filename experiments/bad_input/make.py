"""What a user sees for bad input: runs the commands on faulty data of the official layout, writes README.md.

python experiments/bad_input/make.py
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
TINY = (
    "dataset=camvid augment.crop_size=[32,64] training.max_steps=2 training.val_every=2 training.batch_size=2"
    " hardware.accelerator=cpu"
)


def camvid(root: Path) -> Path:
    """Four images a split, in CamVid's layout."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in (split, f"{split}annot"):
            (root / kind).mkdir(parents=True)
        for name in "abcd":
            cv2.imwrite(str(root / split / f"{name}.jpg"), generator.integers(0, 255, (48, 64, 3), np.uint8))
            cv2.imwrite(str(root / f"{split}annot" / f"{name}.png"), generator.integers(0, 12, (48, 64), np.uint8))
    return root


def wrong_id(root: Path) -> None:
    cv2.imwrite(str(root / "trainannot/b.png"), np.full((48, 64), 77, np.uint8))


def wrong_size(root: Path) -> None:
    cv2.imwrite(str(root / "trainannot/b.png"), np.zeros((40, 64), np.uint8))


def truncated(root: Path) -> None:
    file = root / "train/c.jpg"
    file.write_bytes(file.read_bytes()[:-500])


def empty_split(root: Path) -> None:
    for folder in ("train", "trainannot"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()


def as_it_is(root: Path) -> None:
    pass


CASES: list[tuple[str, Callable[[Path], None], str]] = [
    ("unknown backbone", as_it_is, f"scaseg.train backbone=mit_b9 {TINY}"),
    ("unknown key", as_it_is, f"scaseg.train decoder.attnn=sca {TINY}"),
    ("wrong value", as_it_is, f"scaseg.train decoder.attn=sda {TINY}"),
    ("missing folder", as_it_is, f"scaseg.train {TINY} data_dir=nowhere"),
    ("mask with an id outside the table", wrong_id, f"scaseg.train {TINY}"),
    ("image and mask of different sizes", wrong_size, f"scaseg.train {TINY}"),
    ("corrupt JPEG", truncated, f"scaseg.train {TINY}"),
    ("empty split", empty_split, f"scaseg.train {TINY}"),
    ("total batch that does not divide", as_it_is, f"scaseg.train {TINY} training.batch_size_per_device=3"),
    (
        "checkpoint of another architecture",
        as_it_is,
        f"scaseg.train {TINY} lpm=none ckpt_path=runs/done/checkpoints/last.ckpt",
    ),
    ("checkpoint that is none", as_it_is, "scaseg.evaluate ckpt=camvid/train/a.jpg"),
]


def run(command: str, folder: Path) -> tuple[int, str]:
    data = "" if "data_dir" in command or "evaluate" in command else " data_dir=camvid"
    done = subprocess.run(
        [sys.executable, "-m", *(command + data).split()], cwd=folder, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
    text = "\n".join(lines).replace(str(folder), "FOLDER").replace(str(HERE.parents[1]), "CHECKOUT")
    return done.returncode, text


def main() -> None:
    parts = [
        "# What bad input says\n",
        "Written by `python experiments/bad_input/make.py`, which breaks a small dataset in CamVid's layout.",
        "Standard error as it is, the folder's own path replaced; `data_dir=camvid` is given where none is shown.\n",
    ]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        camvid(whole / "camvid")
        code, text = run(f"scaseg.train {TINY}", whole)
        if code:
            raise SystemExit(f"the sound dataset does not train:\n{text}")
        made = next((whole / "runs").iterdir())
        for title, breaks, command in CASES:
            place = Path(folder) / title.replace(" ", "_")
            root = camvid(place / "camvid")
            breaks(root)
            if "runs/done" in command:
                shutil.copytree(made, place / "runs/done")
            before = sorted(p.name for p in (place / "runs").glob("*"))
            code, text = run(command, place)
            left = sorted(p.name for p in (place / "runs").glob("*") if p.name not in before)
            parts.append(f"## {title}\n\n```\n$ python -m {command}\n{text}\n```\n")
            parts.append(f"exit code {code}; new run folders: {', '.join(left) or 'none'}\n")
            print(title, code)
    (HERE / "README.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
