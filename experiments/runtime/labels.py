"""Exported files beside their checkpoint on a split: mIoU, labels that are the same, and how long an image takes.

    python -m experiments.runtime.labels CKPT DATA SPLIT FILE...
    python -m experiments.runtime.labels CKPT DATA SPLIT FILE... --save=FOLDER --every=5

FILE: what scaseg.load takes; FILE@openvino names the runtime. every: each fifth image. save: the labels as .npy,
to compare runs with each other, as with and without LD_PRELOAD=hide.so.
"""

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

import scaseg
from scaseg.data.build import build_source
from scaseg.evaluation.counter import ConfusionMatrix
from scaseg.evaluation.metrics import scores


def main(*arguments: str) -> None:
    ckpt, data_dir, split, *files = (one for one in arguments if not one.startswith("--"))
    options = dict(one.removeprefix("--").split("=") for one in arguments if one.startswith("--"))
    trained = scaseg.load(ckpt)
    source = build_source(trained.config.dataset, data_dir, split)
    places = range(0, len(source), int(options.get("every", 1)))
    models = {"checkpoint": trained}
    for name in files:
        path, _, runtime = name.partition("@")
        models[name] = scaseg.load(path, runtime=runtime or None)
    confusions = {name: ConfusionMatrix(len(trained.classes)) for name in models}
    same: dict[str, list[float]] = {name: [] for name in models}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    kept: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for i in places:
        image, mask = source.read(i)
        for name, model in models.items():
            start = time.perf_counter()
            labels = model.predict(image)
            seconds[name].append(time.perf_counter() - start)
            kept[name].append(labels)
            same[name].append(float((labels == kept["checkpoint"][-1]).mean()))
            confusions[name].update(torch.from_numpy(labels)[None], torch.from_numpy(mask)[None])
    print(f"{len(places)} images of {split}")
    for number, (name, confusion) in enumerate(confusions.items()):
        miou = scores(confusion.compute()).mean_iou
        equal, each = 100 * np.mean(same[name]), 1e3 * median(seconds[name])
        print(f"{name}: mIoU {miou:.2f}, {equal:.4f} % of labels the checkpoint's, {each:.0f} ms an image")
        if "save" in options:
            np.save(Path(options["save"], f"{number}.npy"), np.array(kept[name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
