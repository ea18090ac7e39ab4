"""From labels as tools export them to a trained model and a prediction; writes runs.md and predictions.jpg.

python experiments/own_data/make.py CCP WEIGHTS: Clothing Co-Parsing as a folder of images, masks and classes.yaml, and
the encoder's file. Of its first images in train.txt a LabelMe folder, a COCO JSON and a folder of colour masks are
written as these tools do, their polygons being the outlines of the masks.
"""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import yaml
from PIL import Image

from scaseg.data.labels import distinct_colours
from scaseg.machine import processor_name

HERE = Path(__file__).resolve().parent
COUNT, NEW = 80, 3  # images that are labelled, and others that are predicted
LEAST = 60  # pixels of a part that an annotator outlines
LABELS = {  # what ours are called, by CCP's classes; the rest nobody has labelled
    "skin": ("skin",),
    "hair": ("hair",),
    "top": ("blazer", "blouse", "coat", "jacket", "shirt", "suit", "sweater", "t-shirt"),
    "bottom": ("jeans", "pants", "skirt", "stockings"),
    "dress": ("dress",),
    "shoes": ("shoes", "sandals"),
}
COLOURS = np.array([(0, 0, 0), *distinct_colours()[: len(LABELS)]], np.uint8)
TRAIN = (
    "backbone=efficientnet_lite0 backbone.weights=WEIGHTS augment.resize_box=[192,128] augment.crop_size=[128,128]"
    " protocol.box=[192,128] loss=[cross_entropy,dice] training.max_steps=120 training.val_every=120"
    " training.batch_size=8 training.lr=8e-4 training.decoder_lr_mult=5 training.warmup_steps=20"
    " training.grad_clip=1 pictures=0 hardware.accelerator=cpu hardware.threads=1"
)
PROGRESS = re.compile(r"step \d+/|evaluated \d+/|[\w .()-]+: \d+ s$|[\w ]+: \d+ %")
SHOWN = 26  # lines of an output
Scene = tuple[str, np.ndarray, np.ndarray]


def scenes(ccp: Path, split: str, count: int) -> list[Scene]:
    """(name, image, mask of our labels from 1)."""
    ids = {name: number for number, name in enumerate(yaml.safe_load((ccp / "classes.yaml").read_text()))}
    ours = np.zeros(256, np.uint8)
    for number, names in enumerate(LABELS.values(), 1):
        ours[[ids[name] for name in names]] = number
    found = []
    for name in (ccp / f"{split}.txt").read_text().split()[:count]:
        mask = np.asarray(Image.open(ccp / f"masks/{name}.png"))
        found.append((name, np.asarray(Image.open(ccp / f"images/{name}.jpg")), ours[mask]))
    return found


def outlines(mask: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """(label, points) of the parts, as someone clicks along their outermost pixels' centres; the larger first."""
    found = []
    for number, label in enumerate(LABELS, 1):
        contours, _ = cv2.findContours((mask == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
        found += [(label, one[:, 0] + 0.5) for one in contours if len(one) > 2 and cv2.contourArea(one) >= LEAST]
    return sorted(found, key=lambda one: -cv2.contourArea(one[1].astype(np.float32)))


def labelme(folder: Path, labelled: list[Scene]) -> None:
    folder.mkdir()
    for name, image, mask in labelled:
        Image.fromarray(image).save(folder / f"{name}.jpg", quality=92)
        shapes = [
            {"label": label, "points": points.tolist(), "group_id": None, "shape_type": "polygon", "flags": {}}
            for label, points in outlines(mask)
        ]
        about = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None}
        about |= {"imageHeight": image.shape[0], "imageWidth": image.shape[1]}
        (folder / f"{name}.json").write_text(json.dumps(about, indent=2))


def coco(folder: Path, labelled: list[Scene]) -> None:
    for part in ("images", "annotations"):
        (folder / part).mkdir(parents=True)
    categories = [{"id": 10 * number, "name": label, "supercategory": ""} for number, label in enumerate(LABELS, 1)]
    ids = {entry["name"]: entry["id"] for entry in categories}
    images, annotations = [], []
    for number, (name, image, mask) in enumerate(labelled, 1):
        Image.fromarray(image).save(folder / f"images/{name}.jpg", quality=92)
        height, width = mask.shape
        images.append({"id": number, "file_name": f"{name}.jpg", "height": height, "width": width})
        for label, points in outlines(mask):
            left, top, wide, high = cv2.boundingRect(points.astype(np.float32))
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": ids[label], "iscrowd": 0}
            entry |= {"segmentation": [points.ravel().tolist()], "bbox": [left, top, wide, high]}
            annotations.append(entry | {"area": cv2.contourArea(points.astype(np.float32))})
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations/instances_default.json").write_text(json.dumps(content))


def colours(folder: Path, labelled: list[Scene]) -> None:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for name, image, mask in labelled:
        Image.fromarray(image).save(folder / f"images/{name}.jpg", quality=92)
        Image.fromarray(COLOURS[mask]).save(folder / f"masks/{name}.png")


def run(command: str, place: Path, weights: Path) -> str:
    """The command, and what it said, without progress; one that fails ends the script."""
    print(f"$ {command}", flush=True)
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    words = [word.replace("WEIGHTS", str(weights)) for word in words]
    done = subprocess.run(words, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = [
        line.rstrip() for line in done.stdout.replace(str(weights), "WEIGHTS").replace(f"{place}/", "").splitlines()
    ]
    if done.returncode:
        raise SystemExit("\n".join([*lines, f"{command}: exit code {done.returncode}"]))
    lines = [line for line in lines if not PROGRESS.match(line)]
    if len(lines) > SHOWN:
        lines = [*lines[: SHOWN // 2], "[...]", *lines[-SHOWN // 2 :]]
    return "\n".join([f"$ {command}", *lines])


def picture(place: Path, name: str, new: list[Scene]) -> np.ndarray:
    """Images that were not trained on, each beside the overlay of what is predicted."""
    shown = []
    for one, image, _ in new:
        overlay = np.asarray(Image.open(place / f"predicted_{name}/overlays/{one}.jpg"))
        shown += [cv2.resize(part, (160, 240), interpolation=cv2.INTER_AREA) for part in (image, overlay)]
    return np.hstack(shown)


def main(ccp: Path, weights: Path) -> None:
    labelled, new = scenes(ccp, "train", COUNT), scenes(ccp, "test", NEW)
    parts, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "new").mkdir()
        for one, image, _ in new:
            Image.fromarray(image).save(place / f"new/{one}.jpg", quality=92)
        for name, write in (("labelme", labelme), ("coco", coco), ("colours", colours)):
            write(place / name, labelled)
            prepare = f"python -m scaseg.prepare dataset=folder source={name} data_dir=own_{name} workers=0"
            said = [run(prepare, place, weights), run(f"cat own_{name}/classes.yaml", place, weights)]
            said.append(run(f"python -m scaseg.train dataset=folder data_dir=own_{name} {TRAIN}", place, weights))
            (made,) = (one for one in (place / "runs").iterdir() if one.name not in "".join(parts))
            call = f"python -m scaseg.predict ckpt=runs/{made.name} input=new output=predicted_{name}"
            said.append(run(f"{call} hardware.accelerator=cpu hardware.threads=1", place, weights))
            parts.append(f"## {name}\n\n```console\n" + "\n\n".join(said) + "\n```\n")
            rows.append(picture(place, name, new))
        Image.fromarray(np.vstack(rows)).save(HERE / "predictions.jpg", quality=85)
    head = (
        "# A LabelMe folder, a COCO JSON and a folder of colour masks, trained on\n\n"
        f"Written by `python experiments/own_data/make.py CCP WEIGHTS` on {datetime.now(UTC).date()}: {os.cpu_count()}"
        f" cores of {processor_name()}, beside other work; Python {platform.python_version()}, torch"
        f" {version('torch')}. The images are {COUNT} of Clothing Co-Parsing (Yang, Luo and Lin, CVPR 2014), with"
        f" {len(LABELS)} labels; `WEIGHTS` is EfficientNet-Lite0's file"
        " ([how to get it](../../conf/backbone/efficientnet_lite0.yaml)). Progress is left out, long outputs are cut."
        " The steps are few: they show the way, and not what these labels are worth.\n\n"
        "![images and predictions](predictions.jpg)\n\n"
        "*From above: trained on LabelMe's, on COCO's, on the colour masks. Images that were not trained on, each"
        " beside what is predicted, in the colours of its classes.yaml.*\n\n"
    )
    (HERE / "runs.md").write_text(head + "\n".join(parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
