"""The tour: from a folder of own images to a table, a figure on unseen images and a model. Writes README.md.

python experiments/tour/make.py [STEPS]; some 10 minutes on two cores with the 200 steps of the page.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import cv2

from scaseg.data.shapes import Shapes
from scaseg.machine import processor_name

HERE = Path(__file__).resolve().parent
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
IMAGES = {"train": 120, "val": 40, "test": 40}
PROGRESS = re.compile(r"step \d+/|[\w-]+: \d+ jobs, |evaluated \d+/|[\w .()-]+: \d+ s$")
SHOWN = 24  # lines of an output
SWEEP = (
    "python -m scaseg.train --multirun hydra.searchpath=[conf] experiment=mine data_dir=mine"
    " decoder.attn=sa,ca,sca seed=0,1,2 hydra.launcher.max_parallel=2"
)
RECIPE = f"""\
# @package _global_
defaults:
  - demo # an encoder that learns from random weights in minutes
  - _self_
  - override /dataset: folder
augment: {{resize_box: null, crop_size: [96, 128]}} # images are seen as they are
protocol: {{box: null}}
training: {{max_steps: {STEPS}, val_every: {STEPS}}}
loss:
  cross_entropy: {{class_weights: auto}}
"""


def own_images(folder: Path) -> None:
    """Files as a labelling tool leaves them; what they show is drawn, so that anybody can make the same."""
    for split, count in IMAGES.items():
        scenes = Shapes(split=split, length=count)
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            image, mask = scenes.read(i)
            cv2.imwrite(str(folder / "images" / split / f"{scenes.name(i)}.jpg"), image[..., ::-1])
            cv2.imwrite(str(folder / "masks" / split / f"{scenes.name(i)}.png"), mask)
    (folder / "classes.yaml").write_text("".join(f"- {name}\n" for name in Shapes.labels.names))


def run(command: str, place: Path) -> str:
    """What a command says, as in a terminal that keeps the last of it; a command that fails ends the tour."""
    print(f"$ {command}", flush=True)
    program = [sys.executable if word == "python" else word for word in shlex.split(command)]
    done = subprocess.run(program, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = [line.rstrip() for line in done.stdout.replace(str(place), "...").splitlines() if line.strip()]
    if done.returncode:
        raise SystemExit("\n".join([*lines, f"{command}: exit code {done.returncode}"]))
    lines = [line for line in lines if not PROGRESS.match(line)]
    if len(lines) > SHOWN:
        lines = [*lines[: SHOWN // 3], "[...]", *lines[-2 * SHOWN // 3 :]]
    return "\n".join(lines)


def made() -> str:
    torch, python, day = version("torch"), platform.python_version(), datetime.now(tz=UTC).date()
    return f"{os.cpu_count()} cores of {processor_name()}, Python {python}, torch {torch}, {day}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        own_images(place / "mine")
        (place / "conf/experiment").mkdir(parents=True)
        (place / "conf/experiment/mine.yaml").write_text(RECIPE)
        text = (HERE / "page.md").read_text()
        text = text.replace("RECIPE", RECIPE.rstrip()).replace("MACHINE", made()).replace("SWEEP", SWEEP)
        text = text.replace("CLASSES", (place / "mine/classes.yaml").read_text().rstrip())
        parts = re.split(r"^(\$ .+\n)", text, flags=re.M)
        for i in range(1, len(parts), 2):
            command = parts[i][2:].strip()
            if "RUN" in command:
                command = command.replace("RUN", next((place / "runs").glob("*-sca-s0-*/result.json")).parent.name)
            parts[i] = f"$ {command}\n{run(command, place)}\n"
        for name, source in (
            ("browse.png", "browse/folder_train_samples.png"),
            ("prediction.jpg", "predictions/overlays/test_00000.jpg"),
        ):
            shutil.copyfile(place / source, HERE / name)
        (HERE / "README.md").write_text("".join(parts))


if __name__ == "__main__":
    main()
