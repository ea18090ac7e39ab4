"""mIoU and time of ONNX files (output=labels) on a split, in one run.

    python experiments/use/onnx_miou.py CKPT DATA SPLIT FILE...

Each file sees the images as the checkpoint's protocol shows them; its labels are brought to the mask's size by
nearest neighbours where that differs, float32 and int8 alike.
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch

import scaseg
from scaseg.data.build import build_source
from scaseg.evaluation.counter import ConfusionMatrix
from scaseg.evaluation.metrics import scores
from scaseg.exported.sessions import onnx_session


def main(ckpt: str, data_dir: str, split: str, *files: str) -> None:
    model = scaseg.load(ckpt)
    source = build_source(model.config.dataset, data_dir, split)
    confusions = {file: ConfusionMatrix(len(model.classes)) for file in files}
    runs = {file: onnx_session(Path(file), torch.get_num_threads()).run for file in files}
    seconds = dict.fromkeys(files, 0.0)
    for i in range(len(source)):
        image, mask = source.read(i)
        height, width = model.seen_size(mask.shape)
        seen = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        pixels = np.ascontiguousarray(seen.transpose(2, 0, 1)[None], np.float32)
        for file, run in runs.items():
            start = time.perf_counter()
            labels = run(pixels)[0].astype(np.uint8)
            seconds[file] += time.perf_counter() - start
            labels = cv2.resize(labels, mask.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            confusions[file].update(torch.from_numpy(labels)[None], torch.from_numpy(mask)[None])
    for file in files:
        miou = scores(confusions[file].compute()).mean_iou
        each = 1e3 * seconds[file] / len(source)
        print(f"{Path(file).name}: mIoU {miou:.2f} on {split}, {len(source)} images, {each:.1f} ms each")
    if len(files) > 1:
        print(f"time of {Path(files[1]).name} to {Path(files[0]).name}: {seconds[files[1]] / seconds[files[0]]:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
